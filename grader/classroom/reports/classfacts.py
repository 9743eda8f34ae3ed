"""Facts from all records of a class: pure functions, shared by the class page and its table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Literal

from grader.classroom.results import Entry, Results
from grader.record import Record
from grader.reports import facts, summary

Status = Literal["graded", "partly", "open", "missing"]
STATUS: dict[Status, str] = {
    "graded": "graded",
    "partly": "partly graded",
    "open": "not graded",
    "missing": "nothing handed in",
}
_AGAIN = "Run the same command again: it grades only what has no result."
_REMEDIES = {
    "engine": f"`nox -s doctor` shows how to fix the engine. {_AGAIN}",
    "grader": f"{_AGAIN} If it breaks again, the feedback page has the output that explains it.",
}


@dataclass(frozen=True)
class Row:
    """One student: an entry with or without a record, or a student without a submission."""

    student: str
    entry: Entry | None = None
    record: Record | None = None

    @property
    def status(self) -> Status:
        if self.entry is None:
            return "missing"
        if self.record is None:
            return "open"
        return "graded" if self.record.gradable else "partly"

    @property
    def seconds(self) -> float:
        """All seconds that the submission's exercises took."""
        if self.record is None:
            return 0.0
        return sum(facts.together(exercise.seconds) for exercise in self.record.exercises)


@dataclass(frozen=True)
class Trouble:
    """Why submissions were not graded, or not completely; what to do; and which students are
    affected."""

    reason: str
    remedy: str
    students: tuple[str, ...]
    refused: bool = False
    """The reason is about the submission's files, not about the kit."""


@dataclass(frozen=True)
class Spread:
    """The distribution of results between 0 and `top`: points, or percent if the sums differ.

    `bins` are the numbers of results in each tenth; the last one includes `top` itself.
    """

    unit: Literal["points", "%"]
    top: float
    values: tuple[float, ...]
    bins: tuple[int, ...]
    quarter: float
    middle: float
    three_quarters: float

    def text(self, value: float) -> str:
        """`61.5 points`, `72 %`."""
        return f"{value:.0f} %" if self.unit == "%" else summary.points_word(round(value, 2))


def rows(results: Results) -> list[Row]:
    """Everyone in the class, in the order of the IDs; each record is read once."""
    everybody = [Row(entry.person.id, entry, record) for entry, record in results.graded()]
    everybody += [Row(person.id) for person in results.missing]
    return sorted(everybody, key=lambda row: row.student)


def spread(everybody: Iterable[Row]) -> Spread | None:
    """The distribution of all completely graded results; None if there are none."""
    records = [row.record for row in everybody if row.record and row.status == "graded"]
    records = [record for record in records if record.max_score > 0]
    if not records:
        return None
    tops = {round(record.max_score, 6) for record in records}
    top = tops.pop() if len(tops) == 1 else 100.0
    unit: Literal["points", "%"] = "points" if not tops else "%"
    values = sorted(r.score if unit == "points" else 100 * r.score / r.max_score for r in records)
    bins = [0] * 10
    for value in values:
        bins[min(9, max(0, int(10 * value / top + 1e-9)))] += 1
    parts = quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return Spread(unit, top, tuple(values), tuple(bins), parts[0], median(values), parts[2])


def troubles(everybody: Iterable[Row]) -> list[Trouble]:
    """Why students were not graded, the most frequent reason first; equal reasons are combined."""
    found: dict[tuple[str, str, bool], list[str]] = defaultdict(list)
    for row in everybody:
        for key in _why_open(row):
            found[key].append(row.student)
    told = [
        Trouble(reason, remedy, tuple(students), refused)
        for (reason, remedy, refused), students in found.items()
    ]
    return sorted(told, key=lambda trouble: (-len(trouble.students), trouble.reason))


def _why_open(row: Row) -> list[tuple[str, str, bool]]:
    if row.entry is None:
        return []
    if row.entry.refused is not None:
        remedy = (
            "Ask for the submission again, or unpack it yourself into a folder that is named"
            " by the ID; then run the same command."
        )
        return [(summary.closed(row.entry.refused), remedy, True)]
    if row.record is None:
        return [("It was not graded yet, or its record cannot be read.", _AGAIN, False)]
    reasons: dict[tuple[str, str, bool], None] = {}
    for exercise in row.record.exercises:
        for group in summary.unanswered(exercise):
            why = group.start.why
            if why in ("engine", "grader"):
                hint = group.start.cause.hint if group.start.cause else None
                # An engine's own hint is the better one; a check's is the student's.
                remedy = (
                    f"{summary.closed(hint)} {_AGAIN}"
                    if hint and why == "engine"
                    else _REMEDIES[why]
                )
                reasons[(f"{exercise.title}: {group.cause_text}", remedy, False)] = None
    return list(reasons)


def counts(everybody: Sequence[Row]) -> dict[Status, int]:
    """How many of the class are in each of the four states, including zeros."""
    states = [row.status for row in everybody]
    return {status: states.count(status) for status in STATUS}
