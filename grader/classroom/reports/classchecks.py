"""Statistics of exercises and checks over a class: failures, reasons, and times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from grader.classroom.reports.classfacts import Row
from grader.classroom.reports.people import People
from grader.classroom.similarity.placeholders import Placeholders
from grader.errors import KitError
from grader.lab.model import Lab
from grader.lab.variant import variant
from grader.record import CheckResult, ExerciseResult
from grader.reports import facts, summary

REASONS = 3


@dataclass
class Tally:
    """One check over the class. Counts are students. `waiting` is behind another failed check,
    `open` was not graded through no fault of the student."""

    check: CheckResult
    exercise: str
    passed: int = 0
    failed: int = 0
    waiting: int = 0
    open: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    # The names that the template's bar knows.
    @property
    def got(self) -> int:
        return self.passed

    @property
    def lost(self) -> int:
        return self.failed

    @property
    def possible(self) -> int:
        return self.passed + self.failed + self.waiting + self.open

    @property
    def text(self) -> str:
        parts = [f"{self.passed} passed", f"{self.failed} failed"]
        if self.waiting:
            parts.append(f"{self.waiting} waiting for another check")
        if self.open:
            parts.append(f"{self.open} not graded")
        return ", ".join(parts)


@dataclass(frozen=True)
class ExerciseFacts:
    """One exercise over the class; `middle` is the median of the points of the `graded`
    students."""

    id: str
    title: str
    points: float
    shares: summary.Shares
    graded: int
    middle: float
    full: int
    nothing: int


@dataclass(frozen=True)
class Times:
    """Seconds of one exercise over the class, by stage: (median, longest), None if not measured."""

    title: str
    stages: tuple[tuple[float, float] | None, ...]


def exercises(everybody: Iterable[Row]) -> list[ExerciseFacts]:
    """Every exercise that was graded, in the order of the records."""
    told = []
    for title, results in _by_exercise(everybody).values():
        scores = [result.score for result in results if result.gradable]
        told.append(
            ExerciseFacts(
                id=results[0].id,
                title=title,
                points=max(result.points for result in results),
                shares=summary.shares(*results),
                graded=len(scores),
                middle=median(scores) if scores else 0.0,
                full=sum(r.gradable and 0 < r.max_score <= r.score for r in results),
                nothing=sum(r.gradable and r.score == 0 < r.max_score for r in results),
            )
        )
    return told


def checks(everybody: Iterable[Row], lab: Lab, people: People) -> list[Tally]:
    """Every check, with the most failures first. In reasons, a student's own values are replaced
    by their names, so that equal reasons have the same text."""
    found: dict[str, Tally] = {}
    for row in everybody:
        if row.record is None:
            continue
        named = _placeholders(lab, row.student)
        for exercise in row.record.exercises:
            for check in exercise.checks:
                tally = found.setdefault(check.id, Tally(check, exercise.title))
                _count(tally, exercise, check)
                if check.outcome == "failed" and check.cause:
                    reason = people.scrubbed(named(" ".join(check.cause.reason.split())))
                    tally.reasons[reason] += 1
    return sorted(
        found.values(), key=lambda t: (-t.failed, -t.waiting, -t.open, -t.check.max_points)
    )


def reasons(tally: Tally, anonymous: bool) -> tuple[list[tuple[str, int]], int]:
    """The most frequent reasons, with the number of students for each, and the number of other
    failures.

    An anonymous page shows only reasons that several students share: a single one may contain a
    name.
    """
    told = [
        (reason, count)
        for reason, count in sorted(tally.reasons.items(), key=lambda item: (-item[1], item[0]))
        if count > 1 or not anonymous
    ][:REASONS]
    return told, tally.failed - sum(count for _, count in told)


def times(everybody: Sequence[Row]) -> tuple[list[str], list[Times]]:
    """The names of the stages, and the times of each exercise."""
    by_exercise = _by_exercise(everybody)
    timed = [result.seconds for _, results in by_exercise.values() for result in results]
    stages = ["sandbox", "checks", *facts.stages(timed)]
    told = []
    for title, results in by_exercise.values():
        columns = [[r.seconds[s] for r in results if s in r.seconds] for s in stages]
        columns.append([facts.together(r.seconds) for r in results if r.seconds])
        told.append(Times(title, tuple((median(c), max(c)) if c else None for c in columns)))
    return stages, told


def _count(tally: Tally, exercise: ExerciseResult, check: CheckResult) -> None:
    if check.outcome == "passed":
        tally.passed += 1
    elif check.outcome == "failed":
        tally.failed += 1
    elif summary.origin(exercise, check).outcome == "failed":
        tally.waiting += 1
    else:
        tally.open += 1


def _by_exercise(everybody: Iterable[Row]) -> dict[str, tuple[str, list[ExerciseResult]]]:
    found: dict[str, tuple[str, list[ExerciseResult]]] = {}
    for row in everybody:
        for exercise in row.record.exercises if row.record else ():
            found.setdefault(exercise.id, (exercise.title, []))[1].append(exercise)
    return found


def _placeholders(lab: Lab, student: str) -> Placeholders:
    try:
        return Placeholders(variant(lab, student))
    except KitError:
        return Placeholders({})
