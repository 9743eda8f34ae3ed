"""Admission: exercises wait here until the machine has resources for them.

There are two gates, one behind the other. The first lets an exercise make its sandbox, the second
lets its checks run. The first lets a few more through than the second, so that the next sandboxes
are made while the present checks run. Both let earlier submissions in first, and both can be
closed.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from grader.grading.exercise import Stopped
from grader.lab.model import Exercise

AHEAD = 1
"""How many sandboxes are made before their checks may run."""

LOOK_SECONDS = 0.2


class Quota:
    """Lets users in, the lowest rank first, as long as there is `room` for their weights.

    One user is always let in, however heavy it is: otherwise it would wait for ever.
    """

    def __init__(self, changed: threading.Condition, room: int) -> None:
        self._changed = changed
        self.room = room
        self.used = 0
        self._waiting: list[tuple[int, int, int]] = []
        self._numbers = itertools.count()

    def enter(self, rank: int, weight: int, stop: threading.Event, held: list[bool]) -> None:
        with self._changed:
            ticket = (rank, next(self._numbers), weight)
            heapq.heappush(self._waiting, ticket)
            try:
                while not self._may(ticket, held):
                    if stop.is_set():
                        raise Stopped
                    self._changed.wait(LOOK_SECONDS)
                self.used += weight
            finally:
                self._waiting.remove(ticket)
                heapq.heapify(self._waiting)
                self._changed.notify_all()

    def leave(self, weight: int) -> None:
        with self._changed:
            self.used -= weight
            self._changed.notify_all()

    def _may(self, ticket: tuple[int, int, int], held: list[bool]) -> bool:
        fits = self.used == 0 or self.used + ticket[2] <= self.room
        return not held[0] and self._waiting[0] == ticket and fits


class Admission:
    """See `grader.grading.exercise.Admission`.

    `side_by_side` is how many exercises' checks run at the same time. `nodes` is the highest number
    of nodes at the same time, including those that are made ahead. Both can be changed at any time.
    """

    def __init__(self, side_by_side: int, nodes: int, ahead: int = AHEAD) -> None:
        self._changed = threading.Condition()
        self._held = [False]
        self._ranks: dict[str, int] = {}
        self._ahead = ahead
        self._nodes = Quota(self._changed, nodes)
        self._sandboxes = Quota(self._changed, side_by_side + ahead)
        self._checks = Quota(self._changed, side_by_side)

    @property
    def side_by_side(self) -> int:
        return self._checks.room

    @property
    def running(self) -> int:
        """How many exercises' checks are running now."""
        return self._checks.used

    def allow(self, side_by_side: int, nodes: int) -> None:
        with self._changed:
            self._checks.room = side_by_side
            self._sandboxes.room = side_by_side + self._ahead
            self._nodes.room = nodes
            self._changed.notify_all()

    def hold(self) -> None:
        """Let no one else in. Exercises that are already in continue."""
        self._held[0] = True

    def go_on(self) -> None:
        with self._changed:
            self._held[0] = False
            self._changed.notify_all()

    @property
    def held(self) -> bool:
        return self._held[0]

    def rank(self, student: str, rank: int) -> None:
        """Low ranks are served first."""
        self._ranks[student] = rank

    @contextmanager
    def sandbox(self, exercise: Exercise, student: str, stop: threading.Event) -> Iterator[None]:
        with (
            self._inside(self._sandboxes, 1, student, stop),
            self._inside(self._nodes, exercise.nodes, student, stop),
        ):
            yield

    @contextmanager
    def checks(self, exercise: Exercise, student: str, stop: threading.Event) -> Iterator[None]:
        with self._inside(self._checks, 1, student, stop):
            yield

    @contextmanager
    def _inside(
        self, quota: Quota, weight: int, student: str, stop: threading.Event
    ) -> Iterator[None]:
        quota.enter(self._ranks.get(student, 0), weight, stop, self._held)
        try:
            yield
        finally:
            quota.leave(weight)
