"""Compose projects on a node: commands, what came of them, and what cannot go wrong with them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from grader.modules.compose import ComposeProject
from grader.modules.container import Container, events, log
from grader.modules.http import connects
from grader.modules.probe import reachable, run_probe
from grader.nodes.node import Node
from grader.waiting import wait_until
from tests.engine import looked_at
from tests.engine.looked_at import BARE, LISTENER

pytestmark = pytest.mark.engine

FOLDER = "/drydock/project"
HOLDER = """
my $s = IO::Socket::INET->new(LocalPort => 3307, Listen => 5, ReuseAddr => 1);
while (my $c = $s->accept) { push @kept, $c; syswrite $c, "x" }
"""
"""A server that says something and never closes a connection."""

SLEEPER = "image: alpine:3\n    init: true\n    command: sleep 1000\n"

TWO = f"""
services:
  front:
    image: {BARE}
    init: true
    command: perl /here/listener.pl 0.0.0.0 80
    volumes: [".:/here"]
    ports: ["8000-8009:80", "127.0.0.1:9000:80"]
    networks: [outside, inside]
    healthcheck: {{test: ["CMD", "true"], interval: 1s}}
  back:
    image: {BARE}
    init: true
    command: perl /here/listener.pl 0.0.0.0 3306
    depends_on: {{front: {{condition: service_healthy}}}}
    volumes: [".:/here", "kept:/data"]
    networks: [inside]
volumes: {{kept: }}
networks: {{outside: , inside: }}
"""

Projects = Callable[..., ComposeProject]


@pytest.fixture(scope="module")
def node(engine: Any, image_set: Any) -> Iterator[Node]:
    with looked_at.node(engine, image_set) as node:
        yield node


@pytest.fixture
def project(node: Node) -> Iterator[Projects]:
    """`project(compose file, other files)` puts a project on the node; it goes with the test."""
    made: list[ComposeProject] = []

    def make(text: str, **files: str) -> ComposeProject:
        name = f"p{time.monotonic_ns()}"
        folder = f"{FOLDER}/{name}"
        contents = {"compose.yaml": text, "listener.pl": LISTENER, **files}
        node.put({n.replace("__", "."): c.encode() for n, c in contents.items()}, folder)
        env_file = ".env" if "__env" in files else None
        made.append(ComposeProject(node, name, folder, ["compose.yaml"], env_file))
        return made[-1]

    yield make
    for project in made:
        for container in project.containers():
            node.docker.api.remove_container(container.id, force=True, v=True)
        project.down("--volumes")


def test_a_project_is_seen_as_plain_data_until_it_is_down(node: Node, project: Projects) -> None:
    two = project(TWO)
    since = time.time()
    done = two.up()
    assert done.ok, done.out
    told = events(node, since, time.time())
    front, back = two.containers("front", "back")[::-1]
    assert (front.service, back.service) == ("front", "back")
    assert front.runs_well
    assert front.health == "healthy"
    assert front.healthcheck == ["CMD", "true"]
    assert back.healthcheck == []

    ports = {p.host_port: p.only_inside for p in front.published}
    assert ports.pop(9000) is True
    ((outside, only_inside),) = ports.items()
    assert 8000 <= outside <= 8009
    assert not only_inside
    assert back.published == []
    assert connects(node.address, outside)
    assert not connects(node.address, 9000)

    assert set(front.networks) == {f"{two.name}_outside", f"{two.name}_inside"}
    assert [n.key for n in sorted(two.networks(), key=lambda n: n.key)] == ["inside", "outside"]
    (kept,) = [m for m in back.mounts if m.kind == "volume"]
    assert (kept.name, kept.path) == (f"{two.name}_kept", "/data")
    assert [v.name for v in two.volumes()] == [kept.name]

    healthy = [
        e.at for e in told if (e.container, e.action) == (front.id, "health_status: healthy")
    ]
    started = [e.at for e in told if (e.container, e.action) == (back.id, "start")]
    assert min(healthy) < min(started)

    # A probe finds open what is, and closed what is not, by name and by address.
    holds = node.docker.api.exec_create(back.id, ["perl", "-MIO::Socket::INET", "-e", HOLDER])
    node.docker.api.exec_start(holds["Id"], detach=True)
    address = (back.networks[f"{two.name}_inside"], 3306)
    places = [("back", 3307), ("back", 3306), address]
    inside = reachable(node, f"{two.name}_inside", places, wait_seconds=5)
    outside_view = reachable(
        node, f"{two.name}_outside", [("front", 80), ("back", 3306), ("front", 81), address]
    )
    assert inside == dict.fromkeys(places, True)
    assert outside_view == {
        ("front", 80): True,
        ("back", 3306): False,
        ("front", 81): False,
        address: False,
    }

    assert two.down().ok
    assert two.containers() == []
    assert two.networks() == []
    assert [v.key for v in two.volumes()] == ["kept"]


def test_a_dotenv_file_cannot_lead_the_cli_elsewhere(node: Node, project: Projects) -> None:
    dotenv = """COMPOSE_PROJECT_NAME=other
COMPOSE_FILE=other.yaml
COMPOSE_PROFILES=surprise
DOCKER_HOST=tcp://192.0.2.1:2375
COMMAND=sleep 1000
"""
    mine = project(
        "services:\n  a: {image: 'alpine:3', init: true, command: $COMMAND}\n"
        "  b: {image: 'alpine:3', command: 'true', profiles: [surprise]}\n",
        __env=dotenv,
    )
    assert mine.up(timeout=60).ok
    assert [c.service for c in mine.containers()] == ["a"]


def test_a_container_that_will_not_stop_is_not_waited_for(project: Projects) -> None:
    stubborn = project(
        "services:\n  a:\n    image: alpine:3\n    stop_grace_period: 1h\n"
        "    command: sh -c \"trap '' TERM; while :; do sleep 1; done\"\n"
    )
    assert stubborn.up(timeout=60).ok
    done = stubborn.stop(timeout=4)
    assert done.timed_out
    assert done.seconds < 30
    assert stubborn.containers()[0].running


def test_a_build_that_prints_without_end_is_ended_and_kept_short(project: Projects) -> None:
    flood = project(
        "services:\n  a: {build: .}\n", Dockerfile=f"FROM {BARE}\nRUN yes words without end\n"
    )
    done = flood.up(timeout=8)
    assert done.timed_out
    assert len(done.out) < 100_000


def test_an_image_that_is_not_there_is_an_answer(project: Projects) -> None:
    done = project("services:\n  a: {image: 'drydock/none:1'}\n").up(timeout=60)
    assert not done.ok
    assert not done.timed_out
    assert "a Error" in done.out or "a Pulling" in done.out


def test_restarts_ends_and_logs_are_seen(node: Node, project: Projects) -> None:
    three = project(
        "services:\n"
        "  ends: {image: 'alpine:3', command: sh -c 'echo last words; exit 3'}\n"
        "  again: {image: 'alpine:3', restart: always, command: 'false'}\n"
        "  chatty: {image: 'alpine:3', command: sh -c 'yes | head -c 9000000; sleep 1000'}\n"
    )
    assert three.up(timeout=60).ok

    def seen(service: str) -> Container:
        return three.containers(service)[0]

    assert wait_until(lambda: seen("ends").ended, within=20)
    assert seen("ends").exit_code == 3
    assert "exit code 3" in seen("ends").in_words
    assert log(node, seen("ends")) == "last words\n"
    assert wait_until(lambda: seen("again").restarts >= 2, within=30)
    assert not seen("again").runs_well
    assert len(log(node, seen("chatty"), lines=10_000_000)) <= 200_000


def test_a_killed_process_is_a_crash_to_restart_policies(node: Node, project: Projects) -> None:
    both = project(
        f"services:\n  back:\n    {SLEEPER}    restart: unless-stopped\n  gone:\n    {SLEEPER}"
    )
    assert both.up(timeout=60).ok
    before = {c.service: c for c in both.containers()}
    pids = [str(c.pid) for c in before.values()]
    assert node.run(["sh", "-c", 'kill -KILL "$@"', "kill", *pids], timeout=10).ok

    def came_back() -> bool:
        (now,) = both.containers("back")
        return now.running and now.started_at > before["back"].started_at

    assert wait_until(came_back, within=30)
    assert wait_until(lambda: both.containers("gone")[0].ended, within=30)


def test_probes_answer_whatever_happens_and_leave_nothing(node: Node) -> None:
    said = run_probe(
        node, "alpine:3", ["sh", "-c", "echo $WORD; exit 3"], environment={"WORD": "x"}
    )
    assert (said.rc, said.out) == (3, "x\n")
    assert run_probe(node, "alpine:3", ["sleep", "100"], timeout=2).timed_out
    missing = run_probe(node, "alpine:3", ["no-such-program"])
    assert not missing.ok
    assert "no-such-program" in missing.out
    nowhere = run_probe(node, "drydock/none:1", ["true"])
    assert not nowhere.ok
    assert "drydock/none" in nowhere.out
    assert not run_probe(node, "alpine:3", ["true"], network="no-such-network").ok
    left = node.docker.api.containers(all=True, filters={"label": "drydock.role=probe"})
    assert left == []
