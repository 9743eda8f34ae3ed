"""Values of flags as docker reads them: numbers, lists in CSV, capitals, the last of several."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

import pytest

from grader.vetting import composecli, dockercli, imagecli
from grader.vetting.commandline import number
from grader.vetting.refusal import Refusal
from tests.unit import refusal

RULES = imagecli.Rules(images={"registry:2"}, registry=5100)


def swarm(line: str) -> Any:
    return dockercli.vet(shlex.split(line), ("alpine:3",))


def compose(line: str) -> Any:
    return composecli.vet(shlex.split(line))


def image(line: str) -> Any:
    return imagecli.vet(shlex.split(line), RULES)


@pytest.mark.parametrize(
    ("text", "base", "found"),
    [
        ("12", 10, 12),
        ("+12", 10, 12),
        ("-12", 10, -12),
        ("012", 10, 12),
        ("0" * 60 + "99", 10, 99),
        ("1_0", 10, None),
        ("0x20", 10, None),
        ("٣", 10, None),
        (" 3", 10, None),
        ("", 10, None),
        ("0X20", 0, 32),
        ("0o40", 0, 32),
        ("040", 0, 32),
        ("0b1_0", 0, 2),
        ("1_000", 0, 1000),
        ("0", 0, 0),
        ("08", 0, None),
        ("+12", 0, None),
        ("3.0", 0, None),
        ("1e3", 0, None),
    ],
)
def test_a_number_is_read_as_go_reads_it(text: str, base: int, found: int | None) -> None:
    assert number(text, base) == found


def test_a_number_of_any_length_is_read() -> None:
    found = number("9" * 100_000)
    assert found is not None
    assert found > 10**30


@pytest.mark.parametrize(
    ("look", "line"),
    [
        (swarm, "docker service create --replicas 0x20 alpine:3"),
        (swarm, "docker service create --replicas=0b11111 alpine:3"),
        (swarm, "docker service create --replicas 2_1 alpine:3"),
        (swarm, "docker service create --replicas 1 --replicas 0o40 alpine:3"),
        (swarm, f"docker service update --replicas {'0' * 12}77 web"),
        (swarm, "docker service scale web=1 other=00000000021"),
        (swarm, "docker service scale -d -- web=21"),
        (swarm, "docker service create --network alias=x,name=host alpine:3"),
        (swarm, "docker service create --network NAME=host alpine:3"),
        (swarm, "docker service create --network name=Host alpine:3"),
        (swarm, "docker service create --network 'alias=x, name = host' alpine:3"),
        (swarm, "docker service create --network '\"name=host\",alias=x' alpine:3"),
        (swarm, "docker service create --network name=web,name=bridge alpine:3"),
        (swarm, "docker service create --network name=web,driver-opt=a=b alpine:3"),
        (swarm, "docker service create --network 'name=\"web' alpine:3"),
        (swarm, "docker service create --network web --network=host alpine:3"),
        (swarm, "docker service create --network drydock-probe alpine:3"),
        (swarm, "docker service create --net=host alpine:3"),
        (swarm, "docker service update --network-add alias=x,name=host web"),
        (swarm, "docker service create --mount type=bind,src=/,dst=/x alpine:3"),
        (swarm, "docker service create --mou type=bind,src=/,dst=/x alpine:3"),
        (swarm, "docker service create --config source=a,target=/x alpine:3"),
        (swarm, "docker service create --label drydock.run=1 alpine:3"),
        (swarm, "docker service update --container-label-add Drydock.kept=1 web"),
        (swarm, "docker node update --label-add=com.docker.x=1 worker1"),
        (swarm, "docker swarm init --advertise-addr 127.evil.example"),
        (swarm, "docker swarm init --advertise-addr 0.0.0.0.evil.example"),
        (compose, "docker compose up -d --scale page=+99"),
        (compose, "docker compose up -d --scale page=0000000000013"),
        (compose, "docker compose up -d --scale page=1 --scale=page=13"),
        (compose, "docker compose scale page=+13"),
        (compose, "docker compose up --detach=0"),
        (compose, "docker compose up -d -d=F"),
        (compose, "docker compose up --detach --detach=False"),
        (compose, "docker compose up --wait=f"),
        (compose, "docker compose rm -sf --force=0 page"),
        (compose, "docker compose up -d --pull=daily"),
        (compose, "docker compose up -d --pull Always"),
        (compose, "docker compose --project-directory / up -d"),
        (compose, "docker compose up -d --scal page=13"),
        (compose, "docker compose run --label com.docker.compose.service=x page"),
        (image, "docker run -d=0 registry:2"),
        (image, "docker run -d --detach=FALSE registry:2"),
        (image, "docker run -d --mount 'type=volume,\"source=/\",target=/x' registry:2"),
        (image, "docker run -d --mount TYPE=bind,source=vol,target=/x registry:2"),
        (image, "docker run -d --mount type=bind,type=volume,source=vol,target=/x registry:2"),
        (image, "docker run -d --mount source=vol,src=/etc,target=/x registry:2"),
        (image, "docker run -d --mount src=/etc,source=vol,target=/x registry:2"),
        (image, "docker run -d -v/etc:/x registry:2"),
        (image, "docker run -dv /etc:/x registry:2"),
        (image, "docker run -d --volume=../x:/x registry:2"),
        (image, "docker run -d --net=host registry:2"),
        (image, "docker run -d --pull=Always registry:2"),
        (image, "docker run -d --label=drydock.kept=1 registry:2"),
    ],
)
def test_what_docker_would_read_as_more_is_refused(look: Callable[[str], Any], line: str) -> None:
    refusal.of(look, line)


@pytest.mark.parametrize(
    ("look", "line"),
    [
        (swarm, "docker service create --replicas 0x14 --network name=web,alias=front alpine:3"),
        (swarm, "docker service create --network web --network other alpine:3"),
        (swarm, "docker service create --label tier=web --network 'name=web' alpine:3"),
        (swarm, "docker service scale web=020"),
        (swarm, "docker service scale web=many"),
        (swarm, "docker swarm init --advertise-addr 127.0.0.1:2377 --listen-addr 0.0.0.0:2377"),
        (compose, "docker compose up -d --scale page=+12 --pull never"),
        (compose, "docker compose up --detach=T"),
        (image, "docker run -d --mount type=volume,source=vol,target=/x,readonly registry:2"),
        (image, "docker run -d=1 --pull missing -v vol:/x registry:2"),
    ],
)
def test_what_stays_within_the_limits_is_run(look: Callable[[str], Any], line: str) -> None:
    try:
        look(line)
    except Refusal as error:
        pytest.fail(f"{error.reason} {error.hint}")


@pytest.mark.parametrize(
    "value", ["1-65535", "001024-062000:80", "8000-8060:80", "published=9000-9100"]
)
def test_a_range_of_many_ports_is_not_published(value: str) -> None:
    for run, line in (
        (swarm, f"docker service create -p {value} alpine:3 sleep 9"),
        (swarm, f"docker service update --publish-add {value} web"),
        (image, f"docker run -d --publish={value} registry:2"),
    ):
        with pytest.raises(Refusal, match="more than 60 ports"):
            run(line)


def test_many_flags_publish_no_more_ports_than_one() -> None:
    many = [f"-p {port}:80" for port in range(8000, 8061)]
    for run, line in (
        (swarm, "docker service create {} alpine:3 sleep 9"),
        (swarm, "docker service update --publish-add 8000-8030:80 --publish-add 9000-9030:80 web"),
        (image, "docker run -d {} registry:2"),
    ):
        with pytest.raises(Refusal, match="more than 60 ports"):
            run(line.format(" ".join(many)))
    swarm("docker service create {} alpine:3 sleep 9".format(" ".join(many[:60])))


def test_ports_as_an_exercise_needs_them_are_published() -> None:
    swarm("docker service create -p mode=host,published=8080,target=80 alpine:3 sleep 9")
    image("docker run -d -p 127.0.0.1:5100:5000 -p 8000-8010:80 registry:2")
