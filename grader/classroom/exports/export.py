"""The result of an export: files, and notes for the teacher."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from grader.classroom.exports.rows import Row
from grader.classroom.results import Person


@dataclass(frozen=True)
class Export:
    """`files` by name (with /), with their contents as bytes; `notes` are sentences for the
    teacher.

    `filled` is how many students have points in it (in JUnit: have results). `gone` are files of an
    earlier export of the same kind that must be removed.
    """

    files: dict[str, bytes]
    filled: int
    notes: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


def matched(
    cells: Sequence[str], keys: Iterable[tuple[str, str]], people: dict[tuple[str, str], Row]
) -> Row | str | None:
    """The student that a row of an LMS's file is about.

    `keys` identify the row, as (kind, text); `people` is `known_by`; `cells` name the row for a
    person. Returns None if no key is known, and a text if the keys name different people: then
    nothing is written.
    """
    found: list[Row] = []
    for kind, text in keys:
        row = people.get((kind, text.strip().casefold())) if text.strip() else None
        if row is not None and row not in found:
            found.append(row)
    if not found:
        return None
    if len(found) > 1:
        names = " and ".join(row.student for row in found)
        return f"{', '.join(filter(None, cells))[:120]}: this could be {names}"
    return found[0]


def known_by(rows: Sequence[Row]) -> dict[tuple[str, str], Row]:
    """Rows by (kind, name in lower case). A name that two people share identifies neither."""
    found: dict[tuple[str, str], Row] = {}
    shared: set[tuple[str, str]] = set()
    for row in rows:
        for key in _names(row.person):
            if found.setdefault(key, row) is not row:
                shared.add(key)
    return {key: row for key, row in found.items() if key not in shared}


def _names(person: Person) -> list[tuple[str, str]]:
    """All names of a person; `id` is any of the names that an LMS stores as a number."""
    names = [(kind, number) for kind, number in person.numbers.items()]
    names += [("id", number) for kind, number in person.numbers.items() if kind not in _INTERNAL]
    names += [("email", person.email), ("id", person.id)]
    return [(kind, name.strip().casefold()) for kind, name in names if name.strip()]


# Numbers that an LMS counts itself: equal ones of another kind mean nothing.
_INTERNAL = ("moodle", "canvas")
