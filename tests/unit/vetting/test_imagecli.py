"""Which commands about images and a registry are run."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.vetting.imagecli import FORMS, Rules, Vetted, vet
from grader.vetting.refusal import Refusal
from tests.unit import refusal

RULES = Rules({"registry:2", "drydock/demo:1.0"}, 5100)


def look(line: str) -> Vetted:
    return vet(shlex.split(line), RULES)


def refused(line: str) -> Refusal:
    return refusal.of(look, line)


@pytest.mark.parametrize(
    "line",
    [
        "docker run -d --name registry -p 5100:5000 -v data:/var/lib/registry registry:2",
        "docker run -dp 127.0.0.1:5100:5000 --restart=always registry:2",
        "docker container run --detach --mount source=data,target=/var/lib/registry registry:2",
        "docker run -d --mount type=volume,src=data,dst=/var/lib/registry registry:2",
        "docker run -d -v /var/lib/registry registry:2",
        "docker volume create data",
        "docker tag drydock/demo:1.0 localhost:5100/harbour/page:1.0",
        "docker image tag drydock/demo:1.0 page",
        "docker push localhost:5100/harbour/page:1.0",
        "docker push -a 127.0.0.1:5100/harbour/page",
        "docker image pull localhost:5100/harbour/page@${DIGEST}",
        "docker rmi -f a b c",
        "docker image rm a",
        "docker rm -fv registry",
        "docker stop -t 3 registry",
        "docker logs --tail 5 registry",
        "docker ps -a",
        "docker images --digests",
        "docker image inspect --format '{{.Id}}' a",
        "docker history a",
    ],
)
def test_what_the_exercise_is_about_is_run(line: str) -> None:
    assert look(line).command in FORMS


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("docker run -d -v /srv:/var/lib/registry registry:2", "gives the container a folder"),
        ("docker run -d -v ./data:/var/lib/registry registry:2", "gives the container a folder"),
        ("docker run -d -v ~/data:/data registry:2", "gives the container a folder"),
        ("docker run -d --mount type=bind,src=/,dst=/x registry:2", "more than a named volume"),
        ("docker run -d --mount src=/srv,dst=/x registry:2", "gives the container a folder"),
        ("docker run -d --mount src=a,dst=/x,volume-opt=o=bind registry:2", "more than a named"),
        ("docker volume create --driver nfs data", "no volume driver"),
        ("docker volume create --opt device=/ data", "takes no --opt"),
        ("docker run -d --privileged registry:2", "takes no --privileged"),
        ("docker run -d --network host registry:2", "takes no --network"),
        ("docker run registry:2", "would never end"),
        ("docker run --detach=false registry:2", "would never end"),
        ("docker run -d busybox", "no image busybox"),
        ("docker run -d registry:2 sh -c 'sleep 9'", "instead of the image's own"),
        ("docker run -d --name drydock-x registry:2", "reserved for the kit"),
        ("docker push harbour/page:1.0", "pushed to Docker Hub"),
        ("docker push registry.example.org/page:1.0", "pushed to registry.example.org"),
        ("docker push localhost:5000/page:1.0", "pushed to localhost:5000"),
        ("docker push localhost:51000/page:1.0", "pushed to localhost:51000"),
        ("docker pull nginx", "pulled from Docker Hub"),
        ("docker logs -f registry", "takes no -f"),
        ("docker exec registry sh", "not a command of this exercise"),
        ("docker image prune", "not a command of this exercise"),
        ("docker --host tcp://x images", "chooses the engine"),
        ("podman images", "is not docker"),
        ("docker", "does nothing"),
    ],
)
def test_what_is_not_run_is_refused_with_a_reason(line: str, reason: str) -> None:
    assert reason in refused(line).reason


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("docker-compose up", "each command is docker's own"),
        ("docker compose up", "each command is docker's own"),
        ("docker image save page", "Images are not carried as files"),
        ("docker image prune", "Name what to remove"),
        ("docker container exec registry sh", "`docker logs` shows"),
        ("docker imagse", "Did you mean `docker images`?"),
        ("docker swarm init", "Use run, tag, push"),
    ],
)
def test_what_is_refused_says_what_to_do_instead(line: str, hint: str) -> None:
    assert hint in refused(line).hint


@pytest.mark.parametrize("line", ["docker push localhost:5100/page:1", "docker pull nginx:1.22"])
def test_without_a_registry_nothing_is_pushed_or_pulled(line: str) -> None:
    refused = refusal.of(lambda line: vet(shlex.split(line), Rules({"nginx:1.22"})), line)
    assert refused.hint == "This exercise has no registry: leave it out."


@given(st.lists(st.sampled_from(["docker", "run", "-d", "-v", "--mount", "a=b,c", "-", "--", "x"])))
def test_any_words_are_taken_or_refused(words: list[str]) -> None:
    try:
        found = vet(words, RULES).command in FORMS
    except Refusal as refusal:
        found = bool(refusal.hint)
    assert found
