"""Canvas: an import file for one existing assignment, made from the exported gradebook.

Canvas makes a new assignment from every column whose title and number it does not know. So a column
that is not in the teacher's export is never written. Canvas takes an empty cell for "no longer any
grade", so a cell that cannot be filled in stays as it was.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from grader.classroom.csvfile import Table, cell
from grader.classroom.exports import rows as exported
from grader.classroom.exports.export import Export, known_by, matched
from grader.classroom.exports.rows import Row
from grader.errors import KitError

FILE = "canvas.csv"
NAMES = (
    *("Student", "LastName", "FirstName", "ID", "SIS User ID", "SIS Login ID"),
    *("Integration ID", "Root Account", "Section"),
)
"""The columns by which Canvas identifies students, in its own order."""

_TITLE = re.compile(r"(?P<title>.*\S)\s*\((?P<number>\d+)\)\s*", re.DOTALL)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?", re.ASCII)
_POINTS = "Points Possible"


def export(
    rows: Sequence[Row], gradebook: Table, assignment: str | None, *, scale: bool = False
) -> Export:
    """The students' columns and the column of `assignment` (title or number), with its grades.

    Raises KitError with a list of the columns if none matches.
    """
    head = _head(gradebook)
    if not {"Student", "ID"} <= head.keys() and not {"LastName", "ID"} <= head.keys():
        raise KitError(
            "This is not a Canvas gradebook: its first columns must be Student and ID.",
            where=f"{gradebook.file}, line {gradebook.lines[0]}",
            remedy="In Canvas: Grades, Export, Export Entire Gradebook.",
        )
    column = _column(gradebook, assignment)
    full = _possible(gradebook, column)
    people = known_by(rows)
    kept = [*sorted(head.values()), column]
    new: list[list[str]] = [[gradebook.header[place] for place in kept]]
    notes: list[str] = []
    done: set[str] = set()
    filled = 0
    for number, cells in enumerate(gradebook.rows[1:], start=1):
        line = [cells[place] if place < len(cells) else "" for place in kept]
        if any(text.strip() for text in cells) and not _is_about_columns(cells, number):
            keys = [
                ("canvas", cell(cells, head.get("ID"))),
                ("sis", cell(cells, head.get("SIS User ID"))),
                ("login", cell(cells, head.get("SIS Login ID"))),
                ("email", cell(cells, head.get("SIS Login ID"))),
                ("id", cell(cells, head.get("SIS User ID"))),
                ("id", cell(cells, head.get("SIS Login ID"))),
            ]
            found = matched(cells[:3], keys, people)
            filled += _fill(line, found, full, scale, done, notes)
        new.append(line)
    notes.extend(exported.unfilled(rows))
    notes.extend(
        f"{row.student}: graded, but not in the gradebook."
        for row in rows
        if row.total is not None and row.student not in done
    )
    maxima = {row.maximum for row in rows if row.total is not None}
    if full is not None and not scale and maxima - {full}:
        told = " and ".join(f"{maximum:g}" for maximum in sorted(filter(None, maxima)))
        notes.append(
            f"These are points of {told}; Canvas's assignment gives {full:g}."
            " --scale converts them."
        )
    return Export({FILE: gradebook.with_rows(new).to_bytes()}, filled, tuple(notes))


def _fill(
    line: list[str],
    found: Row | str | None,
    full: float | None,
    scale: bool,
    done: set[str],
    notes: list[str],
) -> bool:
    """Write the grade into the last cell of `line`; False if it stays as it was."""
    shown = ", ".join(filter(None, (text.strip() for text in line[:2])))[:120]
    if found is None:
        notes.append(f"{shown}: in the gradebook, but not in these results.")
        return False
    if isinstance(found, str):
        notes.append(f"{found}: not changed.")
        return False
    if found.student in done:
        notes.append(f"{shown}: {found.student} has a row already: not changed.")
        return False
    done.add(found.student)
    if found.total is None:
        return False
    before = line[-1].strip()
    if before.casefold() == "ex":
        notes.append(f"{shown}: excused in Canvas: not changed.")
        return False
    points = found.scaled(full) if scale and full else found.total
    line[-1] = f"{points:.2f}"
    if _NUMBER.fullmatch(before) and float(before.replace(",", ".")) != points:
        notes.append(f"{shown}: the grade was {before}, now it is {line[-1]}.")
    return True


def _head(gradebook: Table) -> dict[str, int]:
    """The students' columns by name."""
    return {
        header.strip(): place
        for place, header in reversed(list(enumerate(gradebook.header)))
        if header.strip() in NAMES
    }


def _is_about_columns(cells: Sequence[str], number: int) -> bool:
    """Rows below the header that are not students: how grades are posted, points possible."""
    if _POINTS in cells[0]:
        return True
    return number <= 2 and all(
        re.fullmatch(r"\s*(muted|manual posting.*)?\s*", text, re.IGNORECASE) for text in cells
    )


def _column(gradebook: Table, assignment: str | None) -> int:
    titles = {
        place: found
        for place, header in enumerate(gradebook.header)
        if (found := _TITLE.fullmatch(header)) and _writable(gradebook, place)
    }
    wanted = (assignment or "").strip()
    named = [
        place
        for place, found in titles.items()
        if wanted in (found["number"], found["title"].strip(), gradebook.header[place].strip())
    ] or [
        place
        for place, found in titles.items()
        if wanted and found["title"].strip().casefold() == wanted.casefold()
    ]
    if len(named) == 1:
        return named[0]
    listed = "\n  ".join(gradebook.header[place] for place in titles) or "none"
    if not wanted:
        what = "Which assignment is it?"
    elif named:
        what = f"There are {len(named)} assignments {wanted!r}."
    else:
        what = f"There is no assignment {wanted!r} in this gradebook."
    raise KitError(
        f"{what} There are:\n  {listed}",
        where=str(gradebook.file),
        remedy="Give its title or the number in brackets with --assignment. If it is missing, "
        "create it in Canvas first; an export cannot.",
    )


def _writable(gradebook: Table, place: int) -> bool:
    """Canvas writes "(read only)" into the points row of columns that it computes itself."""
    return not any(
        _POINTS in cells[0] and "read only" in cell(cells, place)
        for cells in gradebook.rows[1:4]
        if cells
    )


def _possible(gradebook: Table, column: int) -> float | None:
    for cells in gradebook.rows[1:4]:
        if cells and _POINTS in cells[0]:
            text = cell(cells, column)
            return float(text.replace(",", ".")) if _NUMBER.fullmatch(text) else None
    raise KitError(
        f"There is no row {_POINTS!r}.",
        where=str(gradebook.file),
        remedy="Export the gradebook again, and name that file without changing it.",
    )
