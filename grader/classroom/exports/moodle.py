"""Moodle: the teacher's own offline grading worksheet, filled in.

Moodle's importer (mod/assign/feedback/offline) finds its columns by their headers, in the language
of the person who imports. It silently ignores some rows: grades above the maximum, locked grades,
people of another course. So the headers stay as they are, and the export names each row that Moodle
would ignore. Feedback comments are HTML.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from grader.classroom.csvfile import Table, cell
from grader.classroom.exports import rows as exported
from grader.classroom.exports.export import Export, known_by, matched
from grader.classroom.exports.rows import Row
from grader.errors import KitError

FILE = "moodle.csv"
SIGN = "Drydock: "
"""How the kit's feedback begins. A cell with it may be filled in again; any other was written by
hand."""

# English, German, French, Spanish.
HEADERS = {
    "identifier": ("Identifier", "ID", "Identifiant", "Identificador"),
    "email": (
        *("Email address", "E-Mail-Adresse", "E-Mail", "Adresse de courriel", "Adresse e-mail"),
        *("Dirección de correo", "Dirección Email", "Correo electrónico", "Correo"),
    ),
    "grade": ("Grade", "Bewertung", "Note", "Calificación", "Puntuación"),
    "maximum": (
        *("Maximum grade", "Bestwertung", "Note maximale", "Calificación máxima"),
        "Puntuación máxima",
    ),
    "changeable": (
        *("Grade can be changed", "Bewertung kann geändert werden"),
        *("La note peut être modifiée", "La calificación puede ser cambiada"),
    ),
    "modified": (
        *("Last modified (grade)", "Zuletzt geändert (Bewertung)"),
        *("Dernière modification (note)", "Última modificación (calificación)"),
    ),
    "feedback": (
        *("Feedback comments", "Feedback als Kommentar", "Feedback par commentaires"),
        *("Commentaires", "Comentarios de retroalimentación", "Comentarios de retroacción"),
    ),
}
NEEDED = ("identifier", "grade", "modified")
_NO = ("no", "nein", "non")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?", re.ASCII)


def export(rows: Sequence[Row], worksheet: Table, *, scale: bool = False) -> Export:
    """The worksheet with grades and feedback; all other cells stay as they were.

    With `scale`, points are converted to the assignment's maximum. Raises KitError if a column is
    missing or grades would not fit.
    """
    filling = _Filling(rows, worksheet, scale)
    return filling.export()


@dataclass
class _Filling:
    """The worksheet while it is filled in."""

    rows: Sequence[Row]
    table: Table
    scale: bool
    notes: list[str] = field(default_factory=list)
    done: dict[str, str] = field(default_factory=dict)
    maxima: set[tuple[float, float]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.columns = _columns(self.table)
        numbers = [self.columns.get("maximum"), self.columns["grade"]]
        # Moodle reads numbers with the decimal sign of its own language, which it writes, too.
        self.comma = any("," in cell(row, n) for row in self.table.rows[1:] for n in numbers)

    def export(self) -> Export:
        people = known_by(self.rows)
        new = [list(self.table.header)]
        filled = 0
        for cells in self.table.rows[1:]:
            line = list(cells)
            if any(text.strip() for text in cells):
                found = matched(cells[:3], self._keys(cells), people)
                filled += self._fill(line, found)
            new.append(line)
        self._say_rest()
        content = self.table.with_rows(new).to_bytes()
        return Export({FILE: content}, filled, tuple(self.notes))

    def _keys(self, cells: Sequence[str]) -> list[tuple[str, str]]:
        """Participant number, e-mail address, then everything else that may be an ID."""
        number = re.search(r"(\d+)\s*$", cell(cells, self.columns["identifier"]))
        own = {self.columns.get(name) for name in HEADERS}
        others = [
            ("id", text)
            for place, text in enumerate(cells)
            # Short numbers may count anything: groups, days.
            if place not in own and len(text.strip()) >= 4
        ]
        return [
            ("moodle", number.group(1) if number else ""),
            ("email", cell(cells, self.columns.get("email"))),
            *others,
        ]

    def _fill(self, line: list[str], found: Row | str | None) -> bool:
        shown = ", ".join(filter(None, (text.strip() for text in line[:3])))[:120]
        if found is None:
            self.notes.append(f"{shown}: in the worksheet, but not in these results.")
            return False
        if isinstance(found, str):
            self.notes.append(f"{found}: not changed.")
            return False
        if found.student in self.done:
            self.notes.append(f"{shown}: {found.student} has a row already: not changed.")
            return False
        self.done[found.student] = shown
        if found.total is None:
            return False
        if cell(line, self.columns.get("changeable")).casefold() in _NO:
            self.notes.append(f"{shown}: Moodle has locked this grade: not changed.")
            return False
        line.extend([""] * (len(self.table.header) - len(line)))
        points = self._points(line, found)
        before = line[self.columns["grade"]].strip()
        written = f"{points:.2f}".replace(".", "," if self.comma else ".")
        line[self.columns["grade"]] = written
        if _NUMBER.fullmatch(before) and float(before.replace(",", ".")) != points:
            self.notes.append(f"{shown}: the grade was {before}, now it is {written}.")
        self._comment(line, found, shown)
        return True

    def _points(self, line: list[str], row: Row) -> float:
        assert row.total is not None
        assert row.maximum is not None
        text = cell(line, self.columns.get("maximum"))
        if not text:
            return row.total
        if not _NUMBER.fullmatch(text):
            raise KitError(
                f"This assignment has a scale ({text[:60]!r}) instead of points.",
                where=str(self.table.file),
                remedy="Choose Grade: Point in the assignment's settings, and export again.",
            )
        full = float(text.replace(",", "."))
        self.maxima.add((row.maximum, full))
        if self.scale:
            return row.scaled(full) or 0.0
        if row.total > full:
            raise KitError(
                f"{row.student} has {row.total:g} points, Moodle's assignment gives {full:g} at"
                " most, and Moodle drops such a grade without a message.",
                where=str(self.table.file),
                remedy=f"Set its maximum grade to {row.maximum:g} in Moodle and export the"
                " worksheet again, or convert the points with --scale.",
            )
        return row.total

    def _comment(self, line: list[str], row: Row, shown: str) -> None:
        place = self.columns.get("feedback")
        if place is None:
            return
        before = html.unescape(re.sub(r"<[^>]*>", "", line[place])).strip()
        if before and not before.startswith(SIGN.strip()):
            self.notes.append(f"{shown}: there is a comment already: it was kept.")
            return
        text = "<br>".join(html.escape(part) for part in exported.feedback(row))
        # PHP's CSV reader takes a backslash before a quotation mark for an escape.
        whole = (SIGN + text).replace("\\", "&#92;").replace("\n", " ")
        coded = whole.encode(self.table.encoding, errors="xmlcharrefreplace")
        line[place] = coded.decode(self.table.encoding)

    def _say_rest(self) -> None:
        self.notes.extend(exported.unfilled(self.rows))
        self.notes.extend(
            f"{row.student}: graded, but not in the worksheet."
            for row in self.rows
            if row.total is not None and row.student not in self.done
        )
        if self.columns.get("feedback") is None:
            self.notes.append(
                "The worksheet has no feedback column (feedback comments are off in Moodle, or in "
                "a language that the kit does not know): only grades were filled in."
            )
        if not self.scale and any(maximum != full for maximum, full in self.maxima):
            ours, theirs = (
                " and ".join(f"{n:g}" for n in sorted(set(m)))
                for m in zip(*self.maxima, strict=True)
            )
            self.notes.append(
                f"These are points of {ours}; Moodle's assignment gives {theirs}."
                " --scale converts them."
            )


def _columns(table: Table) -> dict[str, int]:
    """The position of each column, by the names of HEADERS. Raises KitError if a needed one is
    missing."""
    places: dict[str, int] = {}
    for place, header in enumerate(table.header):
        places.setdefault(_plain(header), place)
    found = {
        name: places[_plain(header)]
        for name, headers in HEADERS.items()
        for header in reversed(headers)
        if _plain(header) in places
    }
    missing = [HEADERS[name][0] for name in NEEDED if name not in found]
    if missing:
        raise KitError(
            f"This is not a grading worksheet that the kit knows: it has no column "
            f"{', '.join(missing)}.",
            where=f"{table.file}, line {table.lines[0]}",
            remedy="In the assignment, Grading action: Download grading worksheet. If Moodle is "
            "not in English, German, French or Spanish, switch it to one of them first.",
        )
    return found


def _plain(header: str) -> str:
    return unicodedata.normalize("NFC", header).strip().casefold()
