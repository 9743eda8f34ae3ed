"""In which order nodes are joined, and what happens when one of them does not answer as it should.

The script itself and real swarms are tested elsewhere; here nodes answer by heart.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from grader.errors import EngineFault
from grader.machines import joining
from grader.nodes.node import Completed

TOKEN = "SWMTKN-1-abc-def"
IDS = {"manager1": "m" * 25, "worker1": "a" * 25, "worker2": "b" * 25}


class Told:
    """A node that answers the script's calls from a table, and notes them in `calls`."""

    def __init__(self, name: str, calls: list[str], **answers: str | Exception) -> None:
        self.name = name
        self.address = f"10.0.0.{1 + list(IDS).index(name)}"
        self.calls = calls
        self.answers: dict[str, Any] = {"init": "made", "id": "-", "join": "joined", "tidy": ""}
        self.answers.update(answers)
        listed = [{"ID": i, "Description": {"Hostname": n}} for n, i in IDS.items()]
        info = {"Swarm": {"NodeID": IDS[name]}}
        self.docker = SimpleNamespace(
            api=SimpleNamespace(info=lambda: info, nodes=lambda: listed),
        )

    def run(self, argv: list[str], **_options: Any) -> Completed:
        assert argv[:2] == ["bash", "-c"]
        verb, *words = argv[4:]
        self.calls.append(" ".join([self.name, verb, *words]))
        answer = self.answers[verb]
        if isinstance(answer, Exception):
            raise answer
        failed = answer.startswith("! ")
        return Completed(tuple(argv), int(failed), answer.removeprefix("! "), 0.1)


def joined(
    manager: dict[str, Any] | None = None, worker1: dict[str, Any] | None = None
) -> tuple[list[str], list[joining.Failure], list[str]]:
    """(calls in order, failures, what the user was told)."""
    calls: list[str] = []
    nodes: Any = [
        Told("worker1", calls, **(worker1 or {})),
        Told("manager1", calls, token=f"WARNING: no swap\n{TOKEN}", **(manager or {})),
        Told("worker2", calls),
    ]
    said: list[str] = []
    failures = joining.join(nodes, said.append, 0.01)
    return calls, failures, said


def test_the_manager_begins_and_hands_one_token_to_each_worker() -> None:
    calls, failures, said = joined()
    assert failures == []
    assert calls[0] == "manager1 init 10.0.0.1"
    assert calls.count("manager1 token") == 1
    for name, address in (("worker1", "10.0.0.2"), ("worker2", "10.0.0.3")):
        assert f"{name} join 10.0.0.1 {address} {TOKEN}" in calls
    assert "worker1: joined" in said
    assert not any(TOKEN in line for line in said)


def test_a_member_is_given_no_token() -> None:
    calls, failures, _said = joined({"knows": "yes"}, {"id": IDS["worker1"]})
    assert failures == []
    assert "worker1 join 10.0.0.1 10.0.0.2 -" in calls


def test_one_whose_swarm_is_another_joins_like_a_new_one() -> None:
    calls, _failures, _said = joined({"knows": "no"}, {"id": "c" * 25})
    assert f"worker1 join 10.0.0.1 10.0.0.2 {TOKEN}" in calls


def test_a_node_that_fails_is_named_and_keeps_out_no_other() -> None:
    for trouble in (EngineFault("no route"), "! The engine does not answer."):
        calls, failures, said = joined(None, {"id": trouble})
        assert [failure.node for failure in failures] == ["worker1"]
        assert ("no route" in failures[0].what) or ("does not answer" in failures[0].what)
        assert "worker2: joined" in said
        assert not any(call.startswith("worker1 join") for call in calls)


def test_without_a_manager_nothing_is_tried() -> None:
    calls, failures, _said = joined({"init": "! This node is a worker in a swarm already."})
    assert calls == ["manager1 init 10.0.0.1"]
    assert {failure.node: failure.what for failure in failures} == {
        "manager1": "This node is a worker in a swarm already.",
        "worker1": "not tried, since manager1 failed",
        "worker2": "not tried, since manager1 failed",
    }


def test_an_answer_that_cannot_be_read_is_a_failure() -> None:
    _calls, failures, _said = joined(None, {"id": "Killed"})
    assert [failure.what for failure in failures] == ["an answer that cannot be read: Killed"]
