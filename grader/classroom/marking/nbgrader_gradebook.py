"""Reads marks from nbgrader: from gradebook.db, or from the file that `nbgrader export` wrote."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from grader.classroom import csvfile
from grader.classroom.marking import marks
from grader.classroom.marking.marks import ALL, Mark, Marks
from grader.classroom.results import Results
from grader.errors import KitError
from grader.lab.rubric import Question

# An untouched cell has an automatic 0. A grade belongs to the cell as one that gives points, a
# comment to the cell of the same name as one that is answered.
_GRADES = """
SELECT student.id, base_cell.name, COALESCE(grade.manual_score, grade.auto_score),
       grade.extra_credit, grade.needs_manual_grade,
       (SELECT MAX(comment.manual_comment)
        FROM comment JOIN base_cell AS answered ON answered.id = comment.cell_id
        WHERE comment.notebook_id = grade.notebook_id AND answered.name = base_cell.name)
FROM grade
JOIN base_cell ON base_cell.id = grade.cell_id
JOIN submitted_notebook ON submitted_notebook.id = grade.notebook_id
JOIN submitted_assignment ON submitted_assignment.id = submitted_notebook.assignment_id
JOIN student ON student.id = submitted_assignment.student_id
"""


def read(file: Path, results: Results, questions: Sequence[Question]) -> Marks:
    """Read the marks in an nbgrader gradebook (SQLite) or grades CSV. Raises KitError if it is
    neither.

    It leaves out people who are not in this class and cells that are not a question of the lab. It
    also leaves out nbgrader's penalty for late submission, because the lab has its own policy.
    """
    try:
        with file.open("rb") as start:
            head = start.read(16)
    except OSError as error:
        raise KitError(
            f"The gradebook cannot be read: {error.strerror or error}.", where=str(file)
        ) from None
    found = (
        _database(file, questions)
        if head.startswith(b"SQLite format 3")
        else _export(file, results.lab, questions)
    )
    known = set(marks.people(results))
    return Marks({student: given for student, given in found.items() if student in known})


def _database(file: Path, questions: Sequence[Question]) -> dict[str, dict[str, Mark]]:
    most = {question.id: question.points for question in questions}
    found: dict[str, dict[str, Mark]] = {}
    try:
        # Read only: the teacher's gradebook stays as it is.
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as database:
            rows = database.execute(_GRADES).fetchall()
    except sqlite3.Error as error:
        raise KitError(
            f"This is not an nbgrader gradebook ({error}).",
            where=str(file),
            remedy="Name its gradebook.db, or the CSV file that `nbgrader export` wrote.",
        ) from None
    for student, question, score, extra, open_, comment in rows:
        if question not in most or score is None or open_:
            continue
        points = score + (extra or 0.0)
        if not 0 <= points <= most[question]:
            raise KitError(
                f"{student} has {points:g} points for {question}, which gives {most[question]:g}.",
                where=str(file),
                remedy="Fix it in nbgrader.",
            )
        found.setdefault(student, {})[question] = Mark(points, comment or "")
    return found


def _export(file: Path, lab: str, questions: Sequence[Question]) -> dict[str, dict[str, Mark]]:
    table = csvfile.read(file)
    wanted = ("assignment", "timestamp", "student_id", "raw_score", "max_score")
    columns = {name: place for place, name in enumerate(table.header)}
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise KitError(
            f"This is not an nbgrader grades file: it has no column {missing[0]}.",
            where=str(file),
            remedy="Name its gradebook.db, or the CSV file that `nbgrader export` wrote.",
        )
    most = marks.maximum(questions)
    found: dict[str, dict[str, Mark]] = {}
    for line, row in zip(table.lines[1:], table.rows[1:], strict=True):
        cells = {name: row[columns[name]] if columns[name] < len(row) else "" for name in wanted}
        # nbgrader gives 0.0 to who handed in nothing; that is no mark.
        if cells["assignment"] != lab or not cells["timestamp"]:
            continue
        try:
            points, full = float(cells["raw_score"]), float(cells["max_score"])
        except ValueError:
            points, full = -1.0, -1.0
        if full != most or not 0 <= points <= most:
            raise KitError(
                f"{cells['raw_score']} of {cells['max_score']} is not so many of the {most:g}"
                f" points that {lab}'s questions give.",
                where=f"{file}, line {line}",
                remedy="Name gradebook.db instead, which has points for each question.",
            )
        # What is not marked yet is 0 in this file. A zero that is meant has to be typed.
        if points:
            found[cells["student_id"]] = {ALL: Mark(points)}
    if not found:
        raise KitError(
            f"There are no points for an assignment {lab!r} in it.",
            where=str(file),
            remedy="The assignment must have the lab's name in nbgrader.",
        )
    return found
