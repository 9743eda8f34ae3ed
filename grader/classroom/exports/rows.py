"""One row per student: the data of every export, computed in one place.

A student has a total only if the submission was graded and, if the lab has questions, marked. No
other student gets a number, and certainly not a zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from grader.classroom.marking import marks
from grader.classroom.marking.marks import Mark, Marks
from grader.classroom.results import Entry, Person, Results
from grader.lab import late
from grader.lab.model import Lab
from grader.lab.rubric import Question
from grader.record import Record
from grader.reports import summary

State = Literal["graded", "waiting", "not_gradable", "not_graded", "refused", "missing"]

WORDS: dict[State, str] = {
    "graded": "graded",
    "waiting": "waiting for marks",
    "not_gradable": "not gradable",
    "not_graded": "not graded yet",
    "refused": "refused",
    "missing": "nothing handed in",
}


@dataclass(frozen=True)
class Row:
    """One student. Points are None if they are not known.

    `automatic` are the points from grading, of `automatic_max`; `marks` those from a person, of
    `marks_max`; `penalty` is the fraction that is lost for late submission; `total` is what remains
    of both, of `maximum`. `why` is a sentence about a state other than graded, `late` one about the
    penalty. `given` are the single marks by question.
    """

    person: Person
    state: State
    automatic: float | None
    automatic_max: float | None
    marks: float | None
    marks_max: float
    penalty: float
    total: float | None
    maximum: float | None
    submitted: str | None = None
    why: str = ""
    late: str = ""
    record: Record | None = None
    given: tuple[tuple[Question, Mark], ...] = ()

    @property
    def student(self) -> str:
        return self.person.id

    @property
    def why_anonymous(self) -> str:
        """`why` without words that may identify someone, for example the name of an archive."""
        return "It could not be unpacked." if self.state == "refused" else self.why

    def scaled(self, full: float) -> float | None:
        """The total as points of `full`, for an LMS with another maximum."""
        if self.total is None or not self.maximum:
            return None
        return rounded(self.total / self.maximum * full)


def rounded(points: float) -> float:
    """Two decimals, halves rounded up: what people expect of points, and every LMS accepts."""
    return math.floor(points * 100 + 0.5 + 1e-9) / 100


def rows(
    results: Results, lab: Lab, questions: Sequence[Question] = (), given: Marks | None = None
) -> list[Row]:
    """Everyone in the class, in the order of the IDs.

    Without `questions`, marks do not count and are not needed for a total.
    """
    given = given or Marks()
    found = [_handed_in(entry, record, lab, questions, given) for entry, record in results.graded()]
    there = {row.student for row in found}
    found += [_missing(person, questions) for person in results.missing if person.id not in there]
    return sorted(found, key=lambda row: row.student)


def _missing(person: Person, questions: Sequence[Question]) -> Row:
    return Row(
        person=person,
        state="missing",
        automatic=None,
        automatic_max=None,
        marks=None,
        marks_max=marks.maximum(questions),
        penalty=0.0,
        total=None,
        maximum=None,
        why="Nothing was handed in.",
    )


def _handed_in(
    entry: Entry, record: Record | None, lab: Lab, questions: Sequence[Question], given: Marks
) -> Row:
    student = entry.person.id
    state, why = _state(entry, record, lab)
    # An exercise that was not graded says nothing, and neither does the sum of the others.
    complete = state == "graded" and record is not None
    by_hand: float | None = given.points(student, questions) if questions else 0.0
    row = Row(
        person=entry.person,
        state=state,
        automatic=rounded(record.score) if complete and record else None,
        automatic_max=rounded(record.max_score) if complete and record else None,
        marks=by_hand if questions else None,
        marks_max=marks.maximum(questions),
        penalty=late.penalty(entry.submitted, lab.late),
        total=None,
        maximum=None,
        submitted=entry.submitted,
        why=why,
        late=late.words(entry.submitted, lab.late),
        record=record,
        given=tuple(
            (question, given.of(student)[question.id])
            for question in questions
            if question.id in given.of(student)
        ),
    )
    if row.automatic is None or row.automatic_max is None:
        return row
    row = replace(row, maximum=rounded(row.automatic_max + row.marks_max))
    if by_hand is None:
        open_ = [q.title for q in questions if q.id not in given.of(student)]
        return replace(row, state="waiting", why=f"No marks yet for {', '.join(open_)}.")
    got = (row.automatic or 0.0) + by_hand
    return replace(row, total=rounded(got * (1 - row.penalty)))


def _state(entry: Entry, record: Record | None, lab: Lab) -> tuple[State, str]:
    if entry.refused is not None:
        return "refused", entry.refused
    if record is None:
        return "not_graded", "There is no record of it: grade again."
    left_out = [
        exercise.title for exercise in lab.exercises if record.exercise(exercise.id) is None
    ]
    if left_out:
        return "not_graded", f"Not graded: {', '.join(left_out)}. Grade again."
    if not record.gradable:
        broken = [exercise.title for exercise in record.exercises if not exercise.gradable]
        return "not_gradable", f"The grader could not grade: {', '.join(broken)}. Grade again."
    return "graded", ""


def feedback(row: Row, *, failures: int = 3) -> list[str]:
    """What the student reads in the LMS: a few short lines, without hidden checks."""
    if row.total is None or row.maximum is None or row.record is None:
        return []
    record = summary.for_student(row.record)
    lines = [f"{summary.points(row.total)} of {summary.points_word(row.maximum)}."]
    parts = [(e.title, e.score, e.max_score) for e in record.exercises]
    lines.append("; ".join(_share(*part) for part in parts) + ".")
    if row.marks is not None and row.marks_max:
        lines.append(_share("Questions", row.marks, row.marks_max) + ".")
    lines += [f"{question.title}: {mark.comment}" for question, mark in row.given if mark.comment]
    if row.penalty:
        lines.append(f"{row.late[:1].upper()}{row.late[1:]}.")
    todos = [todo for todo in summary.first_things(record, failures) if todo.check.cause]
    lines += [
        f"Not yet: {summary.closed(todo.check.title)} {summary.closed(todo.check.cause.reason)}"
        for todo in todos
        if todo.check.cause
    ]
    return [line[:400] for line in lines]


def _share(title: str, got: float, full: float) -> str:
    return f"{title}: {summary.points(got)} of {summary.points(full)}"


def unfilled(found: Sequence[Row]) -> list[str]:
    """A line for each student without a number, with the reason."""
    return [
        f"{row.student}{f' ({row.person.name})' if row.person.name else ''}: "
        f"{WORDS[row.state]}. {row.why if row.state != 'missing' else ''}".rstrip()
        for row in found
        if row.total is None
    ]
