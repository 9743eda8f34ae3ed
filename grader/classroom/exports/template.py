"""marks.csv to fill in: a row per question and student, with the state of each answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from grader.classroom import spreadsheet
from grader.classroom.marking import marks
from grader.classroom.marking.answers import Worksheet
from grader.classroom.marking.marks import ALL, COLUMNS, Mark, Marks
from grader.classroom.results import Results
from grader.classroom.spreadsheet import Cell
from grader.lab.rubric import Question

NO_ANSWER = "No answer."
BOM = "\ufeff"
"""So that Excel reads UTF-8."""


def template(
    results: Results,
    questions: Sequence[Question],
    worksheets: Mapping[str, Worksheet],
    *,
    known: Marks | None = None,
    listed: frozenset[tuple[str, str]] = frozenset(),
    anonymous: bool = False,
) -> str | None:
    """The text of the file; None if there is nothing left to mark.

    `known` are marks that are already filled in, `listed` pairs of student and question that have a
    row elsewhere. An untouched answer has 0 points, which a person can still change.
    """
    known = known or Marks()
    names = marks.shown(results, anonymous=anonymous)
    students = sorted((entry.person.id for entry in results.entries), key=names.__getitem__)
    rows: list[list[Cell]] = []
    for student in students:
        given = known.of(student)
        if ALL in given and (student, ALL) not in listed:
            rows.append([names[student], ALL, marks.maximum(questions), given[ALL].points, ""])
    for question in questions:
        for student in students:
            given = known.of(student)
            if ALL in given or {(student, question.id), (student, ALL)} & listed:
                continue
            mark = given.get(question.id) or _guess(worksheets.get(student), question)
            points = mark.points if isinstance(mark, Mark) else None
            comment = mark.comment if isinstance(mark, Mark) else mark
            rows.append([names[student], question.id, question.points, points, comment])
    return BOM + spreadsheet.table(COLUMNS, rows) if rows else None


def _guess(worksheet: Worksheet | None, question: Question) -> Mark | str:
    """What is certain without reading: zero points for no answer, or why there is no answer to
    read."""
    if worksheet is None:
        return "It could not be unpacked."
    if worksheet.trouble:
        return worksheet.trouble
    answer = worksheet.answers.get(question.id)
    if answer is None:
        return "The worksheet no longer has this cell."
    return Mark(0.0, NO_ANSWER) if answer.untouched else ""
