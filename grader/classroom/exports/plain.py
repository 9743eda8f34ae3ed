"""grades.csv: the points of all students, for people and other programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from grader.classroom import spreadsheet
from grader.classroom.exports import rows as exported
from grader.classroom.exports.export import Export
from grader.classroom.exports.rows import WORDS, Row
from grader.classroom.marking import marks
from grader.classroom.results import Results
from grader.classroom.spreadsheet import Cell
from grader.errors import KitError
from grader.files import private
from grader.lab import rubric
from grader.lab.model import Lab
from grader.lab.rubric import Question

FILE = "grades.csv"


def write(results: Results, lab: Lab) -> Path:
    """Write grades.csv into the results folder, replacing an older one; return its path.

    Raises KitError if marks.csv is wrong, or if the folder cannot be written to.
    """
    questions = rubric.load(lab)
    found = exported.rows(results, lab, questions, marks.read(results, questions))
    file = results.folder / FILE
    try:
        private.write(file, export(found, lab, questions).files[FILE])
    except OSError as error:
        raise KitError(
            f"The list of points cannot be written: {error.strerror or error}.",
            where=str(file),
            remedy="Correct the permissions of the results folder, then run the command again.",
        ) from None
    return results.folder / FILE


def export(
    rows: Sequence[Row],
    lab: Lab,
    questions: Sequence[Question] = (),
    *,
    codes: Mapping[str, str] | None = None,
) -> Export:
    """A line per student: state, points of each exercise and question, and their sum.

    Cells with unknown values stay empty. With `codes` (by ID) there are no names, and codes replace
    the IDs.
    """
    header = ["student", *(("name", "email") if codes is None else ()), "state"]
    header += [exercise.id for exercise in lab.exercises]
    header += ["automatic", "automatic_max"]
    header += [question.id for question in questions]
    header += ["marks", "marks_max", "penalty_percent", "total", "maximum", "submitted", "remark"]
    lines = [_line(row, lab, questions, codes) for row in rows]
    if codes is not None:
        lines.sort(key=lambda line: str(line[0]))
    return Export(
        {FILE: spreadsheet.table(header, lines).encode("utf-8", errors="backslashreplace")},
        filled=sum(row.total is not None for row in rows),
        notes=tuple(exported.unfilled(rows)) if codes is None else (),
    )


def _line(
    row: Row, lab: Lab, questions: Sequence[Question], codes: Mapping[str, str] | None
) -> list[Cell]:
    who: list[Cell] = [row.student, row.person.name, row.person.email]
    given = {question.id: mark.points for question, mark in row.given}
    return [
        *(who if codes is None else [codes[row.student]]),
        WORDS[row.state],
        *(_exercise(row, exercise.id) for exercise in lab.exercises),
        row.automatic,
        row.automatic_max,
        *(given.get(question.id) for question in questions),
        row.marks,
        row.marks_max,
        row.penalty * 100,
        row.total,
        row.maximum,
        row.submitted,
        " ".join(filter(None, (row.why if codes is None else row.why_anonymous, row.late))),
    ]


def _exercise(row: Row, exercise_id: str) -> float | None:
    """The points of an exercise, if all of it could be graded."""
    found = row.record.exercise(exercise_id) if row.record else None
    return found.score if found is not None and found.gradable else None
