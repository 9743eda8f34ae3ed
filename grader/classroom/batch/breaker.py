"""The circuit breaker decides what caused a failure: a state machine without side effects.

Grading continues while the breaker is *closed*. It *opens*, and grading pauses, when the engine is
not healthy, when several students in a row could not be graded although nothing seems wrong, or
when disk or memory runs out. It closes when that is fixed, and the affected submissions are graded
again.

If one student's submission cannot be graded while others can, it is set aside and graded once more
alone at the end. If that fails, it stays ungraded, so it affects no one else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

IN_A_ROW = 3
"""How many different students in a row may fail, with no one graded in between."""

OUTAGES = 2
"""How many outages a submission may be part of before it is suspected of causing them."""

Verdict = Literal["again", "alone", "leave"]


@dataclass(frozen=True)
class Trouble:
    """Why grading pauses. `kind` is `engine`, `row`, `disk` or `memory`."""

    kind: Literal["engine", "row", "disk", "memory"]
    what: str
    remedy: str


class Breaker:
    """See the module. `trouble` is None while the breaker is closed."""

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
        """An exercise could not be graded. `engine` says what is wrong with the engine, if anything
        is.

        A failure while the breaker is open counts as a result of what opened it.
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
        """The process or machine that graded this submission is gone: that counts as an outage."""
        self._hit.add(student)

    def trip(self, trouble: Trouble) -> None:
        """Open. Students who failed since someone was last graded count as affected."""
        self.trouble = trouble
        self._hit |= self._row.keys()
        self._row.clear()

    def recovered(self) -> None:
        """Close. After a row of failures, a trial has shown that the engine is healthy: then
        each failure had its own cause (or the checks failed), and no one counts as affected."""
        if self.trouble is not None and self.trouble.kind == "row":
            self._hit.clear()
        self.trouble = None

    def verdict(self, student: str, alone: bool) -> Verdict:
        """Decide what happens to a finished submission that could not be graded completely.

        Each outage is forgiven, up to a limit: a submission that stops the engine every time is
        graded alone, and then left ungraded.
        """
        if student in self._hit:
            self._hit.discard(student)
            self._counts[student] = self._counts.get(student, 0) + 1
            if self._counts[student] <= self._outages:
                return "again"
        return "leave" if alone else "alone"
