"""`swarm watch`: whom it asks, what its line says, and what it proves without a lab."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import NotFound

from grader.errors import KitError
from grader.machines import watch, watch_words
from grader.machines.target import Absent
from grader.machines.watch_words import Lines
from grader.modules.rollout import asked
from grader.modules.rollout.trace import NodeChange, Request, Status, Terms, Trace
from grader.reports import feedback, rollout_words
from tests.unit import made_trace as made

IDS = {"manager1": "m", "worker1": "a", "worker2": "b"}
PUBLISHED = [
    {"Protocol": "udp", "PublishedPort": 53, "PublishMode": "ingress"},
    {"Protocol": "tcp", "PublishedPort": 9000, "PublishMode": "host"},
    {"Protocol": "tcp", "PublishedPort": 8080, "PublishMode": "ingress"},
]


def node(
    name: str, *, manages: bool = False, member: bool = True, ports: Any = (), address: str = ""
) -> Any:
    """A node that answers by heart; the swarm has the service web, a task of it on worker1."""
    swarm = {"NodeID": IDS[name], "ControlAvailable": manages, "LocalNodeState": "active"}
    service = {"ID": "s", "Spec": {"Name": "web"}, "Endpoint": {"Ports": list(ports)}}

    def inspect(wanted: str) -> Any:
        if wanted not in ("web", "s"):
            raise NotFound("no such service")
        return service

    api = SimpleNamespace(
        info=lambda: {"Swarm": swarm if member else {"LocalNodeState": "inactive"}},
        nodes=lambda: [
            {"ID": own, "ManagerStatus": {"Leader": n == "manager1"} if n == "manager1" else {}}
            for n, own in IDS.items()
        ],
        inspect_service=inspect,
        services=lambda: [service],
        tasks=lambda filters: [{"NodeID": "a"}],
    )
    return SimpleNamespace(
        name=name,
        address=address or f"10.0.0.{1 + list(IDS).index(name)}",
        docker=SimpleNamespace(api=api),
    )


def found(*others: Any, ports: Any = PUBLISHED, port: int | None = None) -> watch.Found:
    """With the manager last."""
    return watch.find([*others, node("manager1", manages=True, ports=ports)], "web", port)


# Whom it asks -------------------------------------------------------------------------------------


def test_who_manages_comes_first_wherever_it_stands() -> None:
    seen = found(node("worker1"), node("worker2"))
    assert [n.name for n in seen.nodes] == ["manager1", "worker1", "worker2"]
    assert (seen.service, seen.port) == ("web", 8080), "of the routing mesh, by TCP"
    assert sorted(seen.asked) == sorted(IDS)


def test_who_does_not_answer_or_is_no_member_keeps_out_no_other() -> None:
    absent = Absent("worker1", KitError("It is switched off."))
    seen = found(absent, node("worker2", member=False))
    assert [n.name for n in seen.nodes] == ["manager1"]
    assert seen.asked == ("manager1",)
    assert "worker1 does not answer and is not watched: It is switched off." in seen.remarks


def test_in_host_mode_nodes_with_a_task_are_asked() -> None:
    seen = found(node("worker1"), node("worker2"), ports=PUBLISHED[:2])
    assert (seen.port, seen.asked) == (9000, ("worker1",))
    assert "host mode" in seen.remarks[-1]


@pytest.mark.parametrize(
    ("ports", "port", "expected"),
    [((), None, None), (PUBLISHED, 0, None), (PUBLISHED, 81, 81), ((), 81, 81)],
)
def test_a_port_may_be_missing_or_given(ports: Any, port: int | None, expected: int | None) -> None:
    seen = found(node("worker1"), ports=ports, port=port)
    assert (seen.port, len(seen.asked)) == (expected, 2 if expected else 0)


def test_a_public_address_is_not_asked() -> None:
    seen = found(node("worker1", address="8.8.8.8"))
    assert seen.asked == ("manager1",)
    assert any("8.8.8.8" in remark for remark in seen.remarks)


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(KitError) as caught:
        watch.find([node("manager1", manages=True)], "shop")
    assert "There are: web." in str(caught.value)
    with pytest.raises(KitError) as caught:
        watch.find([node("manager1", member=False)], "web")
    assert "nox -s swarm -- join" in str(caught.value)
    with pytest.raises(KitError) as caught:
        watch.find([node("worker1")], "web")
    assert "No manager" in str(caught.value)


# Its line -----------------------------------------------------------------------------------------


def at(seconds: float, **other: Any) -> Trace:
    """The good update as it was known then: four slots, two batches."""
    nodes = tuple(NodeChange(0.0, 0.1, f"worker{n}", "ready", "active") for n in (2, 1))
    values = {"nodes": nodes, "requests": (), "statuses": (Status(1.0, "updating", "", "1.0"),)}
    whole = made.good(**{**values, **other})
    tasks = tuple(
        replace(task, changes=changes)
        for task in whole.tasks
        if (changes := tuple(change for change in task.changes if change.by <= seconds))
    )
    return replace(whole, tasks=tasks, seconds=seconds)


def test_it_says_what_runs_where() -> None:
    assert watch_words.tasks(at(6.0)) == "updating  4/4 run  worker1 1.0×2 · worker2 2.0×2"
    assert watch_words.tasks(at(0.5)).endswith("worker1 1.0×4 · worker2 –")


def test_a_node_that_is_down_holds_nothing() -> None:
    nodes = (
        NodeChange(0.0, 0.1, "worker1", "ready", "drain"),
        NodeChange(0.0, 0.1, "worker2", "ready", "active"),
        NodeChange(5.0, 5.2, "worker2", "down", "active"),
    )
    line = watch_words.tasks(at(6.0, nodes=nodes))
    assert line == "updating  2/4 run  worker1 (drain) 1.0×2 · worker2 down"


def test_an_update_of_long_ago_is_not_told() -> None:
    ended = Status(0.1, "completed", "", "1.0")
    assert watch_words.tasks(at(0.5, statuses=(ended,))).startswith("4/4 run")
    back = (ended, Status(0.4, "rollback_started", "", "2.0"))
    assert watch_words.tasks(at(0.5, statuses=back)).startswith("rolling back  ")


def test_requests_are_counted_when_they_end() -> None:
    sent = made.requests(until=10.0)
    # Sent six seconds ago and given up just now.
    waited = replace(sent, sent=(*sent.sent[:20], Request(4.0, 5000.0, 0, error="no answer")))
    trace = at(10.0, requests=(sent, waited))
    assert watch_words.requests(trace) == "5/s answered, 0.5/s failed (1 in all)"
    assert watch_words.requests(at(10.0)) == ""


def test_who_does_not_answer_is_named() -> None:
    now = [0.0]
    lines = Lines(lambda: now[0])
    trace = at(6.0, clocks={"manager1": (0.0, 0.01)})
    assert "answered" not in lines.line(trace)
    now[0] = 4.0
    assert "manager1 has not answered for 4 s!" in lines.line(trace)
    assert "answered" not in lines.line(replace(trace, looks=trace.looks + 1))


def test_without_a_terminal_only_what_is_new_is_written() -> None:
    lines = Lines(lambda: 0.0)
    assert lines.changed(at(6.0))
    assert lines.changed(at(6.5)) is None
    assert lines.changed(at(10.2)), "the second batch"
    assert lines.changed(at(15.0)) is None
    assert lines.changed(at(20.3)), "long ago"


# What it proves -----------------------------------------------------------------------------------


def promises(trace: Trace) -> list[tuple[str, bool | None]]:
    return [(proof.promise.split(":")[0], proof.ok) for proof in asked.with_proofs(trace).proofs]


def test_each_update_is_held_against_its_own_terms() -> None:
    kept = promises(made.recorded("manual"))
    assert kept == [
        *[("Update to 2.0", True)] * 3,
        ("Rollback to 1.0", True),  # all at once and without a delay: its order is left
        ("At the end 4 tasks of version 1.0 run, and no others.", True),
        ("Every request at every node is answered.", True),
    ]
    assert [name for name, _ in promises(made.recorded("set_again"))[:6]] == [
        *["Update to 2.0"] * 3,
        *["Update to 1.0"] * 3,
    ]
    terms = Terms(0.0, "app:1.0", 4, parallelism=1, delay=9.0, order="stop-first")
    wrong = promises(made.good(specs=(terms, replace(terms, at=1.0, image="app:2.0"))))
    assert wrong[:3] == [("Update to 2.0", False)] * 3


def test_tasks_that_fail_break_no_terms() -> None:
    assert [name[:6] for name, _ in promises(made.recorded("automatic"))] == ["At the", "Every "]


def test_what_was_changed_is_marked() -> None:
    terms = Terms(0.0, "app:1.0", 3, parallelism=0)
    specs = (
        terms,
        replace(terms, at=2.0, replicas=6),
        replace(terms, at=4.0, replicas=6, image="app:2.0"),
        replace(terms, at=6.0, replicas=6, image="app:2.0", delay=5.0),
        replace(terms, at=8.0, replicas=6),
    )
    status = Status(8.1, "rollback_started", "", "2.0")
    trace = asked.with_proofs(made.trace(specs=specs, statuses=(status,)))
    assert [(event.at, event.text.partition(" (")[0]) for event in trace.events] == [
        (2.0, "It is scaled from 3 to 6"),
        (4.0, "The service is updated from 1.0 to 2.0"),
        (6.0, "The settings of the service are changed"),
        (8.0, "The service goes back from 2.0 to 1.0"),
    ]
    assert trace.events[0].text.endswith("(parallelism all, delay 0 s, stop-first)")


def test_its_page_grades_nobody() -> None:
    trace = asked.with_proofs(made.recorded("update"))
    blind = replace(trace.proofs[0], ok=None)
    trace = replace(trace, title="<b>In class</b>", proofs=(blind, *trace.proofs[1:]))
    page = feedback.render_trace(rollout_words.headline(trace), trace)
    assert "<h1>&lt;b&gt;In class&lt;/b&gt;</h1>" in page
    assert "Cannot be told." in page
    assert "cannot be told" in page, "as text, too"
    for word in ("graded", "Graded", "Student", "grader"):
        assert word not in page.partition("</head>")[2], word
