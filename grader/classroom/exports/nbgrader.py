"""nbgrader: the columns that its own `nbgrader export` writes, one row per student.

Where nbgrader's exporter writes 0.0 for someone without a submission, cells are empty here: no one
gets a zero for something that could not be graded.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timezone

from grader.classroom import spreadsheet
from grader.classroom.exports import rows as exported
from grader.classroom.exports.export import Export
from grader.classroom.exports.rows import Row, rounded
from grader.classroom.spreadsheet import Cell
from grader.lab import late
from grader.lab.model import Lab

FILE = "nbgrader.csv"
COLUMNS = (
    *("assignment", "duedate", "timestamp", "student_id", "last_name", "first_name", "email"),
    *("raw_score", "late_submission_penalty", "score", "max_score"),
)


def export(rows: Sequence[Row], lab: Lab) -> Export:
    """nbgrader's grades file: points before the penalty, the penalty in points, and the result."""
    return Export(
        {
            FILE: spreadsheet.table(COLUMNS, [_line(row, lab) for row in rows]).encode(
                "utf-8", errors="backslashreplace"
            )
        },
        filled=sum(row.total is not None for row in rows),
        notes=tuple(exported.unfilled(rows)),
    )


def _line(row: Row, lab: Lab) -> list[Cell]:
    last, first = _names(row.person.name)
    who: list[Cell] = [
        lab.id,
        _moment(lab.late.deadline.isoformat() if lab.late else None),
        _moment(row.submitted),
        row.student,
        last,
        first,
        row.person.email,
    ]
    if row.total is None or row.automatic is None:
        return [*who, None, None, None, row.maximum]
    raw = rounded(row.automatic + (row.marks or 0.0))
    return [*who, raw, rounded(raw - row.total), row.total, row.maximum]


def _names(name: str) -> tuple[str, str]:
    """Last and first name, from "Ada Lovelace" or "Lovelace, Ada"."""
    if "," in name:
        last, _, first = name.partition(",")
        return last.strip(), first.strip()
    first, _, last = name.strip().rpartition(" ")
    return last.strip(), first.strip()


def _moment(moment: str | None) -> str:
    """A time in nbgrader's format: UTC, without a zone."""
    found = late.read(moment)
    return str(found.astimezone(timezone.utc).replace(tzinfo=None)) if found else ""
