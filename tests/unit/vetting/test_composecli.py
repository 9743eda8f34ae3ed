"""Which compose commands of a runbook are run, and which flags and values they may have."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.vetting.composecli import FORMS, LOOKS, MAX_CONTAINERS, Vetted, vet
from grader.vetting.refusal import Refusal
from tests.unit import refusal


def look(line: str) -> Vetted:
    return vet(shlex.split(line))


def refused(line: str) -> Refusal:
    return refusal.of(look, line)


@pytest.mark.parametrize(
    "line",
    [
        "docker compose up -d",
        "docker compose up --detach --build --force-recreate --no-deps page",
        "docker compose up -d --no-recreate --scale page=4 --scale=store=1",
        "docker compose -f compose.yaml up --wait",
        "docker compose --file=./compose.yml ps -a",
        "docker compose build --no-cache page",
        "docker compose run --rm -T -e A=b store redis-cli -h store set a b",
        "docker compose run --rm --no-deps store sh -c 'echo $HOME; ls -la'",
        "docker compose exec -T store redis-cli get a",
        "docker compose logs -t --tail=5 store",
        "docker compose logs -n 5",
        "docker compose top page",
        "docker compose images -q",
        "docker compose stop -t 3 store",
        "docker compose restart page",
        "docker compose kill -s SIGKILL page",
        "docker compose pause page",
        "docker compose unpause page",
        "docker compose rm -sfv page",
        "docker compose down --volumes --remove-orphans",
        "docker compose down --rmi local",
        "docker ps -a --filter name=page",
        "docker images",
    ],
)
def test_what_the_exercise_is_about_is_run_as_it_is_typed(line: str) -> None:
    assert look(line).argv == tuple(shlex.split(line))


def test_both_ways_to_call_compose_are_one() -> None:
    assert look("docker-compose up -d") == look("docker compose up -d")


def test_flags_are_read_as_compose_reads_them() -> None:
    vetted = look("docker compose run --rm -eA=b store redis-cli --rm -v")
    assert vetted.command == "run"
    assert vetted.flags == (("--rm", ""), ("--env", "A=b"))
    assert vetted.words == ("store", "redis-cli", "--rm", "-v")


@pytest.mark.parametrize(
    ("line", "run"),
    [
        ("run -it --rm store redis-cli -t", "run --interactive --rm store redis-cli -t"),
        ("run --rm -ti store sh", "run --rm --interactive store sh"),
        ("run -t --rm=true store", "run --rm=true store"),
        ("exec -it store sh -c 'ls -t'", "exec --interactive store sh -c 'ls -t'"),
        # A value never takes the next word, and what stands behind -- becomes no flag.
        ("run -t -e '' store env", "run --env= store env"),
        ("run -te A=b store env", "run --env=A=b store env"),
        ("run -t -- -v /:/host store", "run -- -v /:/host store"),
    ],
)
def test_a_terminal_is_not_asked_for_where_there_is_none(line: str, run: str) -> None:
    assert look(f"docker compose {line}").argv == tuple(shlex.split(f"docker compose {run}"))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("docker compose up", "never end"),
        ("docker compose up --build page", "-d"),
        ("docker compose up --detach=false", "-d"),
        ("docker compose up -d --detach=0", "-d"),
        ("docker compose up -d=F page", "-d"),
        ("docker compose rm -f --force=false page", "-f"),
        ("docker compose logs -f", "--tail"),
        ("docker compose logs --follow store", "--tail"),
        ("docker compose rm page", "-f"),
        ("docker compose events", "never ends"),
        ("docker compose watch", "--build"),
        ("docker compose attach page", "logs"),
        ("docker compose up -d --abort-on-container-exit", "-d"),
        ("docker compose exec store", "command"),
    ],
)
def test_what_would_never_end_is_refused_with_what_to_write(line: str, says: str) -> None:
    why = refused(line)
    assert says in f"{why.reason} {why.hint}"


@pytest.mark.parametrize(
    "line",
    [
        "docker compose -f ../blog/compose.yaml up -d",
        "docker compose -f /etc/passwd config",
        "docker compose --file=compose.yaml/../../x up -d",
        "docker compose --project-directory / up -d",
        "docker compose -p other up -d",
        "docker compose --project-name=other down",
        "docker compose --env-file /etc/shadow config",
        "docker compose --profile all up -d",
        "docker compose -H tcp://127.0.0.1:2375 ps",
        "docker -H unix:///run/x.sock compose ps",
        "docker --context other compose ps",
        "docker compose run -v /:/host store sh",
        "docker compose run -v/:/host store sh",
        "docker compose run --volume=/:/host store sh",
        "docker compose run -p 80:80 store sh",
        "docker compose run --service-ports page",
        "docker compose run --privileged store sh",
        "docker compose run --cap-add ALL store sh",
        "docker compose exec --privileged store sh",
        "docker compose up -d --pull always",
        "docker compose up -d --pull=always",
        "docker compose down --rmi all",
        "docker compose down --rmi=all",
        "docker compose down --rmi local --rmi all",
        "docker compose cp store:/data .",
        "docker compose push",
        "docker compose pull",
        "docker compose convert -o /x",
        "docker compose config -o /etc/cron.d/x",
        "docker compose config --output=/etc/cron.d/x",
        "docker compose publish x/y",
        "docker compose alpha viz",
        "docker compose compose up -d",
        "docker compose",
        "docker compose -f",
        "docker",
        "",
        "docker run -d redis:7",
        "docker exec store sh",
        "docker rm -f $(docker ps -aq)",
        "docker system prune -af",
        "docker-machine ls",
        "podman compose up -d",
        "sh -c 'docker compose up -d'",
        "docker compose up -d --scale page=1000",
        "docker compose scale page=13",
    ],
)
def test_everything_else_is_refused_with_a_reason_and_a_hint(line: str) -> None:
    refused(line)


def test_the_most_containers_are_taken() -> None:
    look(f"docker compose up -d --scale page={MAX_CONTAINERS}")


def test_a_command_without_compose_is_told_what_it_may_mean() -> None:
    assert "docker compose restart" in refused("docker restart page").hint
    assert "docker compose stop" in refused("docker compose stpo").hint


@given(
    st.lists(
        st.sampled_from(
            ["docker", "compose", "-f", "--", "-", "--scale", "=", "page=3", "-d", *FORMS, *LOOKS]
        )
        | st.text(max_size=6),
        max_size=7,
    )
)
def test_whatever_is_typed_it_is_run_as_it_is_or_refused(words: list[str]) -> None:
    try:
        vetted = vet(words)
    except Refusal as refusal:
        why: Refusal | None = refusal
    else:
        why = None
    if why is not None:
        assert why.reason
        assert why.hint
        return
    if "--tty" in dict(vetted.flags):
        assert not {"-t", "--tty"} & set(vetted.argv[: len(vetted.argv) - len(vetted.words)])
        return
    rest = words[1:] if words[0] == "docker-compose" else words[2:]
    assert vetted.argv in (("docker", "compose", *rest), tuple(words))
