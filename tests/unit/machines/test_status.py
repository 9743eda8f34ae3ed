"""A swarm's status: what is a problem, and how it reads on a terminal."""

from __future__ import annotations

import io
import threading
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from grader.machines import status_words
from grader.machines.status import _moment
from grader.machines.status_model import Clock, Mesh, NodeStatus, Status, Way, together
from grader.machines.status_network import PORTS
from grader.machines.status_problems import problems

NAMES = ("manager1", "worker1", "worker2")
ROLES = {"manager1": "leader", "worker1": "worker", "worker2": "worker"}


def node(name: str, **fields: Any) -> NodeStatus:
    number = NAMES.index(name) + 11
    usual: dict[str, Any] = {
        "address": f"192.168.56.{number}",
        "engine": "26.1.5+dfsg1",
        "state": "active",
        "role": ROLES[name],
        "node_id": f"id{number}",
        "advertised": f"192.168.56.{number}",
        "membership": "ready",
        "availability": "active",
        "clock": Clock(0.0, 0.01),
    }
    return NodeStatus(name, **{**usual, **fields})


def ways(*blocked: tuple[str, str, str]) -> list[Way]:
    return [
        Way(port, a, b, "blocked" if (port, a, b) in blocked else "open")
        for a in NAMES
        for b in NAMES
        if a != b
        for port in PORTS
        if port != "2377/tcp" or b == "manager1"
    ]


def made(*nodes: NodeStatus, **fields: Any) -> Status:
    given = {found.name: found for found in nodes}
    status = Status(nodes=[given.get(name, node(name)) for name in NAMES], **fields)
    return replace(status, problems=problems(status))


def whats(status: Status) -> list[str]:
    return [problem.what for problem in status.problems]


def printed(status: Status, *, width: int = 80, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, errors="strict", newline="\n")
    status_words.render(status, Console(file=file, width=width, highlight=False))
    file.flush()
    return raw.getvalue().decode(encoding)


def test_a_swarm_that_is_well_has_no_problems() -> None:
    status = made(ways=ways(), mesh=Mesh("asked", "web", 8080, dict.fromkeys(NAMES, True)))
    assert status.problems == []
    assert "No problems were found." in printed(status)
    assert "web at port 8080: answers at manager1, worker1, worker2." in printed(status)


def test_nodes_without_a_swarm_are_none() -> None:
    alone = {"state": "inactive", "role": "none", "membership": "", "advertised": ""}
    assert made(*(node(name, **alone) for name in NAMES)).problems == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"trouble": "does not answer: timed out"}, "worker1 does not answer: timed out."),
        ({"state": "error", "error": "cert expired"}, "says: error (cert expired)."),
        ({"state": "locked"}, "says: locked."),
        ({"state": "inactive", "role": "none", "membership": ""}, "worker1 is not in the swarm."),
        ({"membership": "stranger"}, "worker1 is in another swarm"),
        ({"membership": "down"}, "its managers report: down."),
        ({"clock": Clock(-3.2, 0.1)}, "The clock of worker1 is 3.2 s behind manager1's."),
        ({"advertised": "192.168.56.11"}, "with the same address 192.168.56.11"),
    ],
)
def test_what_is_wrong_with_a_node_is_said_with_what_to_do(
    fields: dict[str, Any], said: str
) -> None:
    status = made(node("worker1", **fields))
    (problem,) = status.problems
    assert said in problem.what
    assert problem.remedy


def test_a_clock_that_was_read_too_roughly_is_no_problem() -> None:
    assert made(node("worker1", clock=Clock(2.5, 1.6))).problems == []


def test_drained_and_paused_nodes_are_no_problem() -> None:
    status = made(node("worker1", availability="drain"))
    assert status.problems == []
    assert "ready, drain" in printed(status)


def test_a_blocked_port_is_one_problem_however_many_ways() -> None:
    blocked = [("4789/udp", a, b) for a in NAMES for b in NAMES if a != b]
    (what,) = whats(made(ways=ways(*blocked)))
    assert what.startswith("4789/udp is blocked between all nodes.")
    one = made(ways=ways(("7946/udp", "worker1", "worker2")))
    assert whats(one)[0].startswith("7946/udp is blocked from worker1 to worker2.")
    assert "BLOCKED 7946/udp" in printed(one)


def test_a_mesh_without_ip_vs_is_told_from_one_that_is_silent() -> None:
    silent = dict.fromkeys(NAMES, False)
    assert "no ip_vs" in whats(made(mesh=Mesh("no ip_vs", "web", 8080, silent)))[0]
    assert "ip_vs" not in whats(made(mesh=Mesh("asked", "web", 8080, silent)))[0]
    assert made(mesh=Mesh("nothing published")).problems == []


@pytest.mark.parametrize("width", [60, 80, 132])
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    status = made(
        node("worker1", trouble="does not answer: " + "no route to host " * 20),
        ways=ways(*[(port, "manager1", "worker2") for port in PORTS]),
        mesh=Mesh("asked", "a-service-with-a-long-name", 30080, dict.fromkeys(NAMES, False)),
        former=["worker9 (down)"],
        remarks=["The nodes end automatically on Wednesday, 25 November, 13:02."],
    )
    shown = printed(status, width=width)
    assert max(map(len, shown.split("\n"))) <= width


def test_many_nodes_are_listed_by_what_is_blocked() -> None:
    names = [f"host{number}" for number in range(10)]
    between = [Way("7946/tcp", a, b, "open") for a in names for b in names if a != b]
    between[0] = replace(between[0], state="blocked")
    status = Status(nodes=[NodeStatus(name, state="active") for name in names], ways=between)
    shown = printed(status)
    assert "89 of 90 connections are not blocked." in shown
    assert "blocked: 7946/tcp from host0 to host1" in shown


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_terminals_with_few_characters(encoding: str) -> None:
    assert "worker2" in printed(made(ways=ways()), encoding=encoding)


def test_what_nodes_say_cannot_steer_the_terminal() -> None:
    shown = printed(made(node("worker1", engine="\x1b[31m26", availability="[bold]\x07")))
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "[bold]" in shown.replace("\n", "")


def test_one_that_hangs_does_not_hold_up_the_others() -> None:
    release = threading.Event()

    def ask(one: Any) -> str:
        if one.name == "worker1":
            release.wait(30)
        if one.name == "worker2":
            raise OSError("no route to host")
        return "well"

    nodes: Any = [SimpleNamespace(name=name) for name in NAMES]
    started = time.monotonic()
    answers = together(nodes, ask, 0.3)
    release.set()
    assert time.monotonic() - started < 20
    assert answers["manager1"] == "well"
    assert isinstance(answers["worker1"], TimeoutError)
    assert isinstance(answers["worker2"], OSError)


def test_times_of_engines_are_read_with_all_their_decimals() -> None:
    assert _moment("1970-01-01T00:00:02.123456789Z") == pytest.approx(2.123456789)
    assert _moment("1970-01-01T01:00:02+01:00") == 2
    assert _moment("yesterday") is None
