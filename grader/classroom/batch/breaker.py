"""The circuit breaker decides what caused a failure: a state machine without side effects.

Grading goes on while it is *closed*. It *opens*, and grading pauses, when the engine is ill, when
several students in a row could not be graded although nothing seems wrong, or when disk or memory
run out. It closes once that is fixed, and those who were hit by it are graded again.

A student who alone cannot be graded while others can is set aside, graded once more alone at
the end, and then left: such a submission costs itself and no one else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

IN_A_ROW = 3
"""So many different students one after the other, with no one graded in between."""

OUTAGES = 2
"""How many outages a submission may be in before it is suspected to cause them."""

Verdict = Literal["again", "alone", "leave"]


@dataclass(frozen=True)
class Trouble:
    """Why grading pauses. `kind` is `engine`, `row`, `disk` or `memory`."""

    kind: Literal["engine", "row", "disk", "memory"]
    what: str
    remedy: str


class Breaker:
    """See the module. `trouble` is None while it is closed."""

    def __init__(self, in_a_row: int = IN_A_ROW, outages: int = OUTAGES) -> None:
        self.trouble: Trouble | None = None
        self._in_a_row = in_a_row
        self._outages = outages
        self._row: dict[str, str] = {}
        self._hit: set[str] = set()
        self._counts: dict[str, int] = {}

    @property
    def open(self) -> bool:
        return self.trouble is not None

    def good(self, _student: str) -> None:
        """An exercise was graded: engine and kit work."""
        self._row.clear()

    def fault(self, student: str, reason: str, engine: Trouble | None) -> None:
        """An exercise could not be graded; `engine` says what is wrong with the engine, if it is.

        What fails while it is open fails because of what opened it.
        """
        if self.trouble is None and engine is not None:
            self.trip(engine)
        if self.trouble is not None:
            self._hit.add(student)
            return
        self._row[student] = reason
        if len(self._row) >= self._in_a_row:
            self.trip(
                Trouble(
                    "row",
                    f"{len(self._row)} submissions in a row could not be graded, the last one"
                    f" because: {reason}",
                    "Check the engine: python -m grader doctor",
                )
            )

    def lost(self, student: str) -> None:
        """What graded this student's submission went away: that counts as an outage."""
        self._hit.add(student)

    def trip(self, trouble: Trouble) -> None:
        """Open. Those who failed since someone was graded are taken to be hit by it."""
        self.trouble = trouble
        self._hit |= self._row.keys()
        self._row.clear()

    def recovered(self) -> None:
        """Close. After a row, a trial has shown that the engine was well: then it was each one's
        own fault (or the checks'), and no one was hit by anything."""
        if self.trouble is not None and self.trouble.kind == "row":
            self._hit.clear()
        self.trouble = None

    def verdict(self, student: str, alone: bool) -> Verdict:
        """What is done with a submission that is done and could not be graded as a whole.

        Each outage is forgiven, up to a number: a submission that brings the engine down each
        time is graded alone, and then left.
        """
        if student in self._hit:
            self._hit.discard(student)
            self._counts[student] = self._counts.get(student, 0) + 1
            if self._counts[student] <= self._outages:
                return "again"
        return "leave" if alone else "alone"
