"""Promises over traces: made ones that break each by the least amount, and recorded ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from grader.modules.rollout import proofs
from grader.modules.rollout.trace import Health, NodeChange, Proof, Request, Status, Trace
from grader.modules.rollout.updates import batches, counting, way_back
from tests.unit import made_trace as made
from tests.unit.made_trace import new, old, recorded, requests, trace

PROMISES: dict[str, Callable[[Trace], Proof]] = {
    "final": lambda t: proofs.final_version_and_count(t, "2.0", 4),
    "parallelism": lambda t: proofs.parallelism_kept(t, 2),
    "delay": lambda t: proofs.delay_kept(t, 3.0),
    "order": lambda t: proofs.order_kept(t, "start-first"),
    "available": lambda t: proofs.never_below(t, 4),
    "requests": proofs.no_failed_request,
}


@pytest.mark.parametrize("name", PROMISES)
def test_a_good_update_keeps_its_promises(name: str) -> None:
    proof = PROMISES[name](made.good())
    assert (proof.name, proof.ok) == (name, True), proof
    assert proof.promise
    assert proof.found


OLD = (old(1, 4.2), old(2, 4.2), old(3, 10.2), old(4, 10.2))
FIRST = (new(1, 1.0, 4.0), new(2, 1.0, 4.0))
SECOND = (new(3, 7.1, 10.0), new(4, 7.1, 10.0))

BROKEN = {
    "final: one task too many": (
        "final",
        made.trace(*OLD, *FIRST, *SECOND, new(5, 12.0, 13.0)),
    ),
    "final: one still old": (
        "final",
        made.trace(*OLD[:3], old(4), *FIRST, SECOND[0]),
    ),
    # Slot 3 is begun an instant before the first two were seen not to run yet.
    "parallelism: a third for one look": (
        "parallelism",
        made.trace(*OLD, *FIRST, new(3, 3.85, 10.0), SECOND[1]),
    ),
    # Done at 3.9 at the earliest, begun 2.99 s later: no window lets that be three seconds.
    "delay: ten milliseconds short": (
        "delay",
        made.trace(*OLD, *FIRST, new(3, 6.89, 10.0), new(4, 7.1, 10.0)),
    ),
    "order: one slot stopped first": (
        "order",
        made.trace(old(1, 3.9), *OLD[1:], *FIRST, *SECOND),
    ),
    "available: three for an instant": (
        "available",
        made.trace(old(1, 3.85), *OLD[1:], *FIRST, *SECOND),
    ),
    "requests: one refused": (
        "requests",
        made.good(
            requests=(
                replace(
                    requests(),
                    sent=(
                        *requests().sent[:-1],
                        Request(19.8, 1.0, 0, error="connection refused"),
                    ),
                ),
            )
        ),
    ),
    "requests: one answered 502": (
        "requests",
        made.good(
            requests=(replace(requests(), sent=(*requests().sent, Request(19.95, 9.0, 502))),)
        ),
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_by_the_least_amount(case: str) -> None:
    name, found = BROKEN[case]
    proof = PROMISES[name](found)
    assert proof.ok is False, proof
    assert proof.at is not None
    others = {other: PROMISES[other](found).ok for other in PROMISES if other != name}
    if not case.startswith(("available", "order", "final")):
        assert set(others.values()) == {True}, others


BLIND = {
    # The looks around the first batch's end were so far apart that it may have been done.
    "parallelism": made.trace(
        *OLD, new(1, 1.0, 4.0, look=1.5), new(2, 1.0, 4.0), new(3, 2.9, 10.0), SECOND[1]
    ),
    "delay": made.trace(
        *OLD, new(1, 1.0, 6.0, look=4.5), new(2, 1.0, 6.0, look=4.5), new(3, 8.0, 9.0), SECOND[1]
    ),
    "order": made.trace(*OLD[2:]),
    "available": made.trace(
        *(old(1, 4.2), *OLD[1:]), new(1, 1.0, 5.5, look=2.5), *FIRST[1:], *SECOND
    ),
    "requests": made.good(requests=(requests(until=18.5),)),
}


@pytest.mark.parametrize("name", BLIND)
def test_looks_too_far_apart_tell_nothing(name: str) -> None:
    proof = PROMISES[name](BLIND[name])
    assert proof.ok is None, proof
    assert proof.found


def test_slow_nodes_are_asked_less_often_and_a_pause_is_one_only_beyond_that() -> None:
    seldom = replace(requests(until=18.6), every=0.4)
    assert proofs.no_failed_request(made.good(requests=(seldom,))).ok is True
    longer = replace(requests(until=17.6), every=0.4)
    assert proofs.no_failed_request(made.good(requests=(longer,))).ok is None
    usual = requests(until=18.6)
    assert proofs.no_failed_request(made.good(requests=(usual,))).ok is None


def test_all_at_once_shows_no_pause() -> None:
    at_once = made.trace(*OLD, *FIRST, new(3, 1.0, 4.0), new(4, 1.0, 4.0))
    assert proofs.parallelism_kept(at_once, 2).ok is False
    proof = proofs.delay_kept(at_once, 3.0)
    assert proof.ok is None
    assert "one batch" in proof.found


def test_a_wrong_parallelism_does_not_break_the_delay_too() -> None:
    three = made.trace(*OLD, *FIRST, new(3, 1.0, 4.0), SECOND[1])
    assert proofs.parallelism_kept(three, 2).ok is False
    assert proofs.delay_kept(three, 3.0).ok is True


def test_uncertain_clocks_count_against_certainty() -> None:
    """A pause that is long enough only if the clocks agree is not called broken for that."""
    barely = made.trace(*OLD, *FIRST, new(3, 6.95, 10.0), new(4, 7.1, 10.0))
    assert proofs.delay_kept(barely, 3.0).ok is True
    unsure = replace(barely, clocks={"manager1": (0.0, 2.0)})
    assert proofs.delay_kept(unsure, 3.0).ok is None


def test_an_unhealthy_task_that_ended_in_good_order_never_ran() -> None:
    sick = new(1, 1.0, 4.0, health=(Health(3.5, "unhealthy"),))
    assert sick.up() is None
    assert replace(sick, health=(Health(3.0, "healthy"), *sick.health)).up() is not None


def test_tasks_of_a_node_that_is_down_do_not_count() -> None:
    down = (NodeChange(9.4, 9.5, "worker2", "down", "active"),)
    lonely = made.trace(old(1), old(2, node="worker2"), nodes=down)
    spans = counting(lonely)
    assert [(s.end, s.least, s.most) for s in spans] == [(9.4, 2, 2), (9.5, 1, 2), (20.0, 1, 1)]
    assert proofs.never_below(lonely, 2).ok is False
    assert proofs.final_version_and_count(lonely, "1.0", 2).ok is False


def test_rescheduled_in_time_by_the_least_amount() -> None:
    moved = trace(old(1, 6.0, node="worker2"), new(1, 6.0, 11.0, node="worker1"))
    assert proofs.rescheduled_within(moved, "worker2", 10.0, 1.0).ok is True
    assert proofs.rescheduled_within(moved, "worker2", 9.89, 1.0).ok is False
    assert proofs.rescheduled_within(moved, "worker2", 9.95, 1.0).ok is None
    assert proofs.rescheduled_within(moved, "worker1", 9.0, 1.0).ok is None
    same_node = trace(old(1, 6.0, node="worker2"), new(1, 6.0, 11.0, node="worker2"))
    assert proofs.rescheduled_within(same_node, "worker2", 15.0, 1.0).ok is False
    short = replace(same_node, seconds=12.0)
    assert proofs.rescheduled_within(short, "worker2", 15.0, 1.0).ok is None


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("update", "none"),
        ("automatic", "automatic"),
        ("manual", "manual"),
        ("set_again", "set again"),
        ("failover", "none"),
    ],
)
def test_ways_back_on_real_swarms(name: str, way: str) -> None:
    found = recorded(name)
    assert way_back(found) == way
    assert proofs.rolled_back_by_itself(found).ok is (way == "automatic")


def test_a_rollback_that_did_not_finish_is_none() -> None:
    automatic = recorded("automatic")
    last = automatic.statuses[-1]
    begun = Status(last.at, "rollback_started", "update rolled back due to failure", None)
    proof = proofs.rolled_back_by_itself(replace(automatic, statuses=(begun,)))
    assert proof.ok is False
    assert "did not finish" in proof.found


def test_a_previous_spec_tells_a_rollback_by_hand() -> None:
    automatic = recorded("automatic")
    by_hand = replace(automatic.statuses[-1], previous="3.0")
    found = replace(automatic, statuses=(*automatic.statuses[:-1], by_hand))
    assert proofs.rolled_back_by_itself(found).ok is False


def test_a_real_update_start_first() -> None:
    found = recorded("update")
    assert [len(batch.rows) for batch in batches(found)] == [2, 2]
    assert proofs.final_version_and_count(found, "2.0", 4).ok is True
    assert proofs.parallelism_kept(found, 2).ok is True
    assert proofs.parallelism_kept(found, 1).ok is False
    assert proofs.delay_kept(found, 2.0).ok is True
    assert proofs.delay_kept(found, 2.2).ok is False
    assert proofs.order_kept(found, "start-first").ok is True
    assert proofs.order_kept(found, "stop-first").ok is False
    assert proofs.never_below(found, 4).ok is True
    assert proofs.never_below(found, 5).ok is False
    assert proofs.no_failed_request(found).ok is True


def test_a_real_update_stop_first() -> None:
    found = recorded("stop_first")
    assert [len(batch.rows) for batch in batches(found)] == [1, 1, 1, 1]
    assert proofs.order_kept(found, "stop-first").ok is True
    assert proofs.order_kept(found, "start-first").ok is False
    assert proofs.never_below(found, 3).ok is True
    assert proofs.never_below(found, 4).ok is False
    assert proofs.delay_kept(found, 1.0).ok is True
    assert proofs.delay_kept(found, 1.1).ok is False


def test_a_real_node_failure() -> None:
    found = recorded("failover")
    cut = next(event.at for event in found.events if event.kind == "mark")
    assert proofs.rescheduled_within(found, "worker2", 18.0, cut).ok is True
    assert proofs.rescheduled_within(found, "worker2", 12.0, cut).ok is False
    assert proofs.never_below(found, 4).ok is False
