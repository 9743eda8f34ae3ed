"""Whose turn it is on the machine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from grader.classroom.batch.admission import Admission
from grader.grading.exercise import Stopped
from grader.lab.model import Exercise
from grader.waiting import wait_until


def exercise(nodes: int = 1) -> Exercise:
    return Exercise("e", "E", 1, ["e"], ["a"], nodes, 60)


class Run:
    """An exercise in a thread that goes on when it is told to."""

    def __init__(
        self, admission: Admission, pool: ThreadPoolExecutor, student: str, nodes: int = 1
    ) -> None:
        self.stop = threading.Event()
        self.made, self.running, self.end = (threading.Event() for _ in range(3))

        def work() -> None:
            with admission.sandbox(exercise(nodes), student, self.stop):
                self.made.set()
                with admission.checks(exercise(nodes), student, self.stop):
                    self.running.set()
                    self.end.wait(30)

        self.future = pool.submit(work)


def soon(condition: Callable[[], bool]) -> bool:
    return bool(wait_until(condition, within=10))


def never(*events: threading.Event) -> bool:
    """Not within some looks of the gates."""
    return not any(event.wait(0.5) for event in events)


def test_the_next_sandbox_is_made_while_checks_run() -> None:
    admission = Admission(side_by_side=1, nodes=10)
    with ThreadPoolExecutor(3) as pool:
        first = Run(admission, pool, "s1")
        assert first.running.wait(10)
        second, third = Run(admission, pool, "s2"), Run(admission, pool, "s3")
        assert soon(lambda: second.made.is_set() or third.made.is_set())
        assert never(second.running, third.running)
        assert second.made.is_set() != third.made.is_set(), "only one is made ahead"
        for run in (first, second, third):
            run.end.set()
    assert first.future.exception() is second.future.exception() is third.future.exception() is None


def test_earlier_submissions_go_first() -> None:
    admission = Admission(side_by_side=1, nodes=10, ahead=0)
    for rank, student in enumerate(("s1", "s2", "s3")):
        admission.rank(student, rank)
    with ThreadPoolExecutor(3) as pool:
        first = Run(admission, pool, "s1")
        assert first.running.wait(10)
        third = Run(admission, pool, "s3")
        assert never(third.made)
        second = Run(admission, pool, "s2")
        assert never(second.made)
        first.end.set()
        assert second.running.wait(10)
        assert never(third.made)
        second.end.set()
        third.end.set()


def test_there_are_never_more_nodes_than_fit() -> None:
    admission = Admission(side_by_side=5, nodes=4)
    with ThreadPoolExecutor(2) as pool:
        first = Run(admission, pool, "s1", nodes=3)
        assert first.running.wait(10)
        second = Run(admission, pool, "s2", nodes=3)
        assert never(second.made)
        first.end.set()
        assert second.running.wait(10)
        second.end.set()


def test_one_that_is_too_large_for_the_machine_runs_alone() -> None:
    admission = Admission(side_by_side=2, nodes=1)
    with ThreadPoolExecutor(1) as pool:
        run = Run(admission, pool, "s1", nodes=3)
        assert run.running.wait(10)
        run.end.set()


def test_while_it_is_held_nothing_begins_and_what_runs_goes_on() -> None:
    admission = Admission(side_by_side=2, nodes=10)
    with ThreadPoolExecutor(2) as pool:
        first = Run(admission, pool, "s1")
        assert first.running.wait(10)
        admission.hold()
        second = Run(admission, pool, "s2")
        assert never(second.made)
        first.end.set()
        first.future.result(10)
        assert never(second.made)
        admission.go_on()
        assert second.running.wait(10)
        second.end.set()


def test_who_waits_can_be_stopped_and_leaves_no_gap() -> None:
    admission = Admission(side_by_side=1, nodes=10, ahead=0)
    with ThreadPoolExecutor(3) as pool:
        first = Run(admission, pool, "s1")
        assert first.running.wait(10)
        second = Run(admission, pool, "s2")
        second.stop.set()
        with pytest.raises(Stopped):
            second.future.result(10)
        third = Run(admission, pool, "s3")
        first.end.set()
        assert third.running.wait(10)
        third.end.set()
    assert admission.running == 0


def test_more_room_lets_in_who_waits() -> None:
    admission = Admission(side_by_side=1, nodes=1, ahead=0)
    with ThreadPoolExecutor(2) as pool:
        first, second = Run(admission, pool, "s1"), Run(admission, pool, "s2")
        assert soon(lambda: first.running.is_set() or second.running.is_set())
        admission.allow(2, 2)
        assert first.running.wait(10)
        assert second.running.wait(10)
        first.end.set()
        second.end.set()
