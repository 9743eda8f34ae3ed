"""Machines to type at, as a user has them: `swarm up`, status, join, ssh, env, down."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from grader.engine import engine_paths, reaper
from grader.engine.client import Engine
from grader.engine.node_limits import Limits
from grader.engine.sandbox import Sandbox
from grader.paths import KIT
from tests.engine import kit

pytestmark = pytest.mark.engine

NAMES = ["manager1", "worker1", "worker2"]
UDP = ("7946/udp", "4789/udp")


def objects(engine: Engine) -> list[str]:
    """All that belongs to this data directory, in the engine and among its files."""
    mine = {"label": f"drydock.home={engine_paths.current().key}"}
    with contextlib.closing(engine.client()) as client:
        found = [c["Names"][0] for c in client.api.containers(all=True, filters=mine)]
        found += [n["Name"] for n in client.api.networks(filters=mine)]
        found += [v["Name"] for v in client.api.volumes(filters=mine)["Volumes"] or []]
    found += map(str, (engine_paths.current().home / "runs").glob("*"))
    return found + list(map(str, engine_paths.current().nodes.glob("*")))


@contextlib.contextmanager
def home_at(path: Path) -> Iterator[None]:
    """A data directory of its own on the session's engine: a user's own swarm is left alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DRYDOCK_HOME", str(path))
        try:
            yield
        finally:
            kit.run("swarm", "down")
            shutil.rmtree(engine_paths.current().run, ignore_errors=True)


@pytest.fixture(scope="module")
def up(
    engine: Engine, image_set: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[str]]:
    """The words that bring nodes up, in a data directory of the module's own."""
    with home_at(tmp_path_factory.mktemp("swarm")):
        yield ["swarm", "up", "--engine", engine.url]


@pytest.fixture
def elsewhere(up: list[str], tmp_path: Path) -> Iterator[list[str]]:
    """The same in another data directory, for what must begin from nothing."""
    with home_at(tmp_path):
        yield up


@pytest.fixture(scope="module")
def nodes(up: list[str]) -> dict[str, str]:
    """Names and addresses of nodes that are up, in no swarm."""
    done = kit.run(*up)
    assert done.returncode == 0, done.stderr
    return dict(re.findall(r"^(\w+) +([\d.]+)$", done.stdout, re.MULTILINE))


def on(node: str, *command: str) -> str:
    done = kit.run("swarm", "ssh", node, "--", *command)
    assert done.returncode == 0, done.stderr
    return done.stdout


def status() -> tuple[int, dict[str, Any]]:
    done = kit.run("swarm", "status", "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def container(engine: Engine, name: str) -> str:
    kept = reaper.kept("swarm")
    assert kept is not None
    return f"drydock-{kept.id}-{name}"


def until(true: Callable[[], Any], what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"still not: {what}"
        time.sleep(0.02)


def half_way(engine: Engine, up: list[str]) -> kit.Running:
    """An `up` of which some nodes are there already."""
    running = kit.Running(*up)
    until(lambda: any("-worker" in name for name in objects(engine)), "a node is being made", 120)
    return running


# Made, or not at all ------------------------------------------------------------------------------


def test_ctrl_c_while_they_come_up_leaves_nothing(engine: Engine, elsewhere: list[str]) -> None:
    running = half_way(engine, elsewhere)
    assert running.interrupt() == 130
    assert "Traceback" not in running.said
    assert objects(engine) == []
    done = kit.run("swarm", "status")
    assert done.returncode == 2
    assert "nox -s swarm -- up" in done.stderr


def test_a_killed_up_is_a_dead_run_and_removed_by_the_next_start(
    engine: Engine, elsewhere: list[str]
) -> None:
    half_way(engine, elsewhere).kill()
    assert objects(engine)
    assert reaper.kept("swarm") is None
    assert reaper.reap(engine)
    assert objects(engine) == []


def test_of_two_at_the_same_time_one_waits(engine: Engine, up: list[str]) -> None:
    with ThreadPoolExecutor(2) as pool:
        both = [done.result() for done in [pool.submit(kit.run, *up) for _ in range(2)]]
    assert [done.returncode for done in both] == [0, 0]
    assert sum("nothing to do" in done.stderr for done in both) == 1
    assert both[0].stdout == both[1].stdout
    assert len([name for name in objects(engine) if name.startswith("/drydock-")]) == 3


# Used ---------------------------------------------------------------------------------------------


def test_they_come_up_without_a_swarm_and_say_until_when(nodes: dict[str, str]) -> None:
    assert sorted(nodes) == NAMES
    code, said = status()
    assert code == 0, said["problems"]
    assert [(n["name"], n["role"], n["address"]) for n in said["nodes"]] == [
        (name, "none", nodes[name]) for name in NAMES
    ]
    # Before anybody listens it is known what will arrive.
    assert {way["state"] for way in said["ways"]} == {"free"}
    assert len(said["ways"]) == 6 * 3 + 2
    assert all(abs(n["clock"]["ahead"]) <= n["clock"]["uncertainty"] for n in said["nodes"])
    assert "end automatically on" in said["remarks"][0]


def test_another_sandbox_and_its_reaper_leave_them_alone(
    engine: Engine, nodes: dict[str, str]
) -> None:
    with Sandbox.create(engine, limits=Limits(disk_mb=None)):
        assert reaper.reap(engine) == []
    assert on("worker2", "hostname").strip() == "worker2"


def test_a_command_has_its_input_its_outputs_and_its_exit_code(nodes: dict[str, str]) -> None:
    words = ["swarm", "ssh", "worker1", "--", "sh", "-c", "cat; echo not well >&2; exit 7"]
    # Without a docker command the Engine API does the same.
    for path in (os.environ["PATH"], "/nowhere"):
        done = subprocess.run(
            kit.command(*words),
            input="typed\n",
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PATH": path},
            cwd=KIT,
        )
        assert (done.returncode, done.stdout, done.stderr) == (7, "typed\n", "not well\n")


def test_a_shell_of_ones_own_speaks_to_a_node(nodes: dict[str, str]) -> None:
    docker = shutil.which("docker")
    if docker is None or os.geteuid() != 0:
        pytest.skip("needs the docker command, and root")
    told = kit.run("swarm", "env", "worker2", "--shell", "bash")
    asked = ["sh", "-c", f"{told.stdout}\n{docker} info --format '{{{{.Name}}}}'"]
    # As left behind by docker-machine: it would send docker elsewhere.
    stale = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/no/such", "DOCKER_CONTEXT": "none"}
    done = subprocess.run(asked, capture_output=True, text=True, env={**os.environ, **stale})
    assert done.stdout.strip() == "worker2", done.stderr
    # Such a shell must not have the kit make its sandboxes on the node.
    done = subprocess.run(
        ["sh", "-c", f'{told.stdout}\n"$@"', "sh", *kit.command("engine", "status")],
        capture_output=True,
        text=True,
        cwd=KIT,
    )
    assert "DOCKER_HOST is a node of your swarm" in done.stderr


def test_what_cannot_be_is_said_with_what_to_do(nodes: dict[str, str]) -> None:
    for words, said in (
        (["ssh", "worker3"], "There are: manager1, worker1, worker2."),
        (["env", "worker3"], "There are: manager1, worker1, worker2."),
        (["status", "--provider", "clouds"], "There are: containers, vagrant, hosts."),
        (["up", "--engine", "unix:///no/such"], "Leave --engine out"),
    ):
        done = kit.run("swarm", *words)
        assert (done.returncode, said in done.stderr) == (2, True), (words, done.stderr)


# A swarm ------------------------------------------------------------------------------------------


def test_a_swarm_made_by_hand_is_seen_and_completed(nodes: dict[str, str]) -> None:
    on("manager1", "docker", "swarm", "init", "--advertise-addr", nodes["manager1"])
    on("worker1", "docker", "swarm", "init", "--advertise-addr", nodes["worker1"])
    code, said = status()
    assert code == 1
    assert [n["role"] for n in said["nodes"]] == ["leader", "manager", "none"]
    assert [p["what"] for p in said["problems"]] == [
        "worker1 is in another swarm than the first manager.",
        "worker2 is not in the swarm.",
    ]
    done = kit.run("swarm", "join")
    assert done.returncode == 3
    assert "worker1 is not in the swarm: This node is a manager of another swarm." in done.stderr
    assert "worker2: This node has joined the swarm" in done.stderr, "one keeps out no other"
    on("worker1", "docker", "swarm", "leave", "--force")
    done = kit.run("swarm", "join")
    assert done.returncode == 0, done.stderr
    assert "manager1: The swarm exists already." in done.stderr
    assert "worker2: This node is in the swarm already." in done.stderr
    code, said = status()
    assert code == 0, said["problems"]
    assert [n["role"] for n in said["nodes"]] == ["leader", "worker", "worker"]
    assert {(n["membership"], n["availability"]) for n in said["nodes"]} == {("ready", "active")}
    assert {way["state"] for way in said["ways"]} == {"open"}


def test_a_blocked_port_is_named(nodes: dict[str, str]) -> None:
    rule = ["INPUT", "-p", "udp", "--dport", "4789", "-j", "DROP"]
    on("worker1", "iptables", "-I", *rule)
    try:
        code, said = status()
    finally:
        on("worker1", "iptables", "-D", *rule)
    assert code == 1
    blocked = {(w["port"], w["source"], w["dest"]) for w in said["ways"] if w["state"] == "blocked"}
    assert blocked == {("4789/udp", "manager1", "worker1"), ("4789/udp", "worker2", "worker1")}
    (problem,) = said["problems"]
    assert problem["what"].startswith("4789/udp is blocked from manager1 to worker1")


def test_a_node_that_died_is_named_replaced_and_taken_in(
    engine: Engine, up: list[str], nodes: dict[str, str]
) -> None:
    (before,) = on("manager1", "docker", "info", "--format", "{{.Swarm.NodeID}}").split()
    with contextlib.closing(engine.client()) as client:
        client.api.kill(container(engine, "worker2"))
    code, said = status()
    assert code == 1
    assert "worker2 has stopped" in said["problems"][0]["what"]
    assert [n["role"] for n in said["nodes"]] == ["leader", "worker", ""], "the others are seen"
    done = kit.run("swarm", "ssh", "worker2")
    assert (done.returncode, "nox -s swarm -- up" in done.stderr) == (2, True)

    done = kit.run(*up, "--join")

    assert done.returncode == 0, done.stderr
    assert "worker2 has stopped" in done.stderr
    assert "Removed the former worker2" in done.stderr
    code, said = status()
    assert code == 0, said["problems"]
    assert [n["role"] for n in said["nodes"]] == ["leader", "worker", "worker"]
    assert said["nodes"][0]["node_id"] == before, "what lives is left alone"


# Gone ---------------------------------------------------------------------------------------------


def test_stopping_the_engine_under_them_is_refused(engine: Engine, nodes: dict[str, str]) -> None:
    kept = reaper.kept("swarm")
    assert kept is not None
    note = engine_paths.current().home / "runs" / f"{kept.id}.json"
    text = note.read_text(encoding="utf-8")
    # As if the kit's own engine of this data directory had them.
    note.write_text(text.replace('"origin": "option"', '"origin": "embedded"'), encoding="utf-8")
    try:
        done = kit.run("engine", "stop")
    finally:
        note.write_text(text, encoding="utf-8")
    assert done.returncode == 2
    assert "nox -s swarm -- down" in done.stderr


def test_when_all_have_stopped_new_ones_are_made_and_down_leaves_nothing(
    engine: Engine, up: list[str], nodes: dict[str, str]
) -> None:
    with contextlib.closing(engine.client()) as client:
        for name in NAMES:
            client.api.kill(container(engine, name))
    done = kit.run("swarm", "status")
    assert "worker2 have stopped" in done.stderr
    assert "nox -s swarm -- up" in done.stderr
    done = kit.run(*up)
    assert done.returncode == 0, done.stderr
    assert "New ones are made" in done.stderr
    assert len([name for name in objects(engine) if name.startswith("/drydock-")]) == 3
    done = kit.run("swarm", "down")
    assert (done.returncode, "are removed" in done.stderr) == (0, True)
    assert objects(engine) == []
    assert kit.run("swarm", "down").returncode == 0, "twice is no mistake"
