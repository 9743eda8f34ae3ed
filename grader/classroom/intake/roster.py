"""roster.csv: who is in the class, as Moodle, Canvas or a spreadsheet writes it.

    >>> from tempfile import TemporaryDirectory
    >>> from grader.lab.labfile import load
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder, "roster.csv")
    ...     _ = file.write_text("ID number,Full name,Moodle ID\\ns1815123,Ada Lovelace,17")
    ...     roster = read(file, load("lab4"))
    >>> roster.people[0]
    Person(id='s1815123', name='Ada Lovelace', email='', numbers={'moodle': '17'})

Moodle's grading worksheet is a roster, too, and the best one: it says when each submission was
handed in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from grader.classroom import csvfile
from grader.classroom.intake import dates
from grader.classroom.results import Person
from grader.errors import KitError
from grader.lab.model import Lab
from grader.submission.archives import names

UNREADABLE = (
    "Name the file with --roster, or leave --roster out: then IDs come from the submissions."
)

COLUMNS: dict[str, tuple[str, ...]] = {
    "id": (
        "student id", "studentid", "student number", "matriculation number", "matriculation no",
        "matriculation", "matrikelnummer", "matrikelnr", "matrikel-nr", "matrikel", "id number",
        "idnumber", "id-nummer", "studierendennummer", "user id number",
    ),
    "first": ("first name", "firstname", "given name", "vorname", "vorname(n)", "forename"),
    "last": ("last name", "lastname", "surname", "family name", "nachname", "familienname"),
    "name": (
        "full name", "fullname", "name", "student name", "vollständiger name",
        "vollstaendiger name", "display name", "sortable name", "nom complet", "nombre completo",
    ),
    "email": (
        "email", "e-mail", "email address", "e-mail address", "e-mail-adresse", "emailadresse",
        "mail", "e-mailadresse",
    ),
    "login": (
        "login", "login id", "sis login id", "username", "user name", "benutzername",
        "anmeldename", "kennung", "account", "nutzername",
    ),
    "sis": ("sis id", "sis user id"),
    "canvas": ("canvas id", "canvas user id", "canvas"),
    "moodle": ("identifier", "moodle id", "participant", "teilnehmer", "kennzeichnung", "moodle"),
    "submitted": ("last modified (submission)", "zuletzt geändert (abgabe)"),
    "student": ("student", "studierende", "studierender"),
    "unclear": ("id",),
}  # fmt: skip
"""What headers mean, in lower case.

`student` is a name or an ID; `unclear` is Canvas's ID, Moodle's, or the student's.
"""

_ROWS_OF_CANVAS = ("points possible", "student, test", "test student")
_NUMBER = re.compile(r"\D*?(\d+)")
_PARTICIPANT = re.compile(r"(?:participant|teilnehmer\S*?)\s*(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Roster:
    """The people and, if the file has it, each person's submission time by ID (ISO 8601)."""

    people: tuple[Person, ...]
    submitted: Mapping[str, str] = field(default_factory=dict)


def read(file: Path, lab: Lab) -> Roster:
    """Read the roster in `file`. Raises KitError with file, line and column if it is wrong."""
    rows = _rows(file)
    if not rows:
        raise KitError("The roster is empty.", where=str(file), remedy=_example(lab))
    line, header = rows[0]
    columns = _columns(file, line, header, lab)
    people: list[Person] = []
    submitted: dict[str, str] = {}
    lines: dict[str, int] = {}
    for line, cells in rows[1:]:
        texts = {k: cells[at].strip() for k, at in columns.items() if at < len(cells)}
        if not any(texts.values()) or _not_a_person(texts):
            continue
        person = _person(file, line, header, columns, texts, lab)
        if person.id in lines:
            raise KitError(
                f"{person.id} is in the roster twice, in line {lines[person.id]} as well.",
                where=f"{file}, line {line}",
                remedy="Delete one of the two lines.",
            )
        lines[person.id] = line
        people.append(person)
        when = dates.moodle(texts.get("submitted", ""))
        if when:
            submitted[person.id] = when
    if not people:
        raise KitError(
            "The roster has a header but no students.", where=str(file), remedy=_example(lab)
        )
    _refuse_shared_numbers(file, people, lines)
    return Roster(tuple(people), submitted)


def _rows(file: Path) -> list[tuple[int, list[str]]]:
    """Rows that are not empty, each with the line where it begins."""
    table = csvfile.read(file, UNREADABLE)
    rows = zip(table.lines, table.rows, strict=True)
    return [(line, list(cells)) for line, cells in rows if any(cell.strip() for cell in cells)]


def _columns(file: Path, line: int, header: list[str], lab: Lab) -> dict[str, int]:
    """The column of each kind, from the header."""
    found: dict[str, int] = {}
    for at, title in enumerate(header):
        small = " ".join(title.replace("\ufeff", "").strip().casefold().rstrip(".:").split())
        kind = next((k for k, titles in COLUMNS.items() if small in titles), None)
        if kind is None:
            continue
        if kind in found and kind != "name":
            raise KitError(
                f"Two columns have the same meaning: {header[found[kind]]!r} and {title!r}.",
                where=f"{file}, line {line}, column {at + 1}",
                remedy="Rename or delete the one that does not count.",
            )
        found.setdefault(kind, at)
    of_canvas = any(title.strip().casefold().startswith("sis ") for title in header)
    if "unclear" in found:
        at = found.pop("unclear")
        found.setdefault("canvas" if of_canvas else "moodle" if "id" in found else "id", at)
    if "student" in found:
        at = found.pop("student")
        found.setdefault("name" if of_canvas or "id" in found else "id", at)
    if not found.keys() & {"id", "login", "sis", "email"}:
        raise KitError(
            "No column has the students' IDs.",
            where=f"{file}, line {line}: {', '.join(h.strip() for h in header)[:200]}",
            remedy=_example(lab),
        )
    return found


def _not_a_person(texts: Mapping[str, str]) -> bool:
    """Canvas's second row and its made-up student."""
    return any(texts.get(kind, "").strip().casefold() in _ROWS_OF_CANVAS for kind in ("name", "id"))


def _person(
    file: Path,
    line: int,
    header: list[str],
    columns: Mapping[str, int],
    texts: Mapping[str, str],
    lab: Lab,
) -> Person:
    email = texts.get("email", "")
    tried = {kind: texts.get(kind, "") for kind in ("id", "sis", "login")}
    tried["email"] = email.partition("@")[0]
    student = next((s for s in (as_id(text, lab) for text in tried.values()) if s), None)
    if student is None:
        kind = next((k for k in tried if k in columns), "id")
        said = texts.get(kind, "")
        place = f"column {columns[kind] + 1} ({header[columns[kind]].strip()})"
        raise KitError(
            f"{said!r} is not a student ID." if said else "This person has no student ID.",
            where=f"{file}, line {line}, {place}",
            remedy=f"It must look like {lab.example_student}; correct it, or delete the line.",
        )
    numbers = {}
    for kind, column in (("moodle", "id"), ("moodle", "moodle"), ("canvas", "canvas")):
        pattern = _PARTICIPANT if column == "id" else _NUMBER
        number = pattern.fullmatch(texts.get(column, ""))
        if number:
            numbers[kind] = number[1]
    numbers |= {kind: texts[kind] for kind in ("login", "sis") if texts.get(kind)}
    if texts.get("first") or texts.get("last"):
        # German rosters have Vorname beside Name.
        last = texts.get("last") or texts.get("name", "")
        name = f"{texts.get('first', '')} {last}".strip()
    else:
        last, comma, first = texts.get("name", "").partition(",")
        name = f"{first.strip()} {last.strip()}".strip() if comma else last.strip()
    return Person(student, " ".join(name.split()), email, numbers)


def as_id(text: str, lab: Lab) -> str | None:
    """The text as an ID of this lab, in lower or upper case if necessary; None if it is not an
    ID."""
    for form in (text, text.lower(), text.upper()):
        if lab.is_student(form) and _can_be_a_folder(form):
            return form
    return None


def _can_be_a_folder(student: str) -> bool:
    try:
        found = names.parts(student)
        names.check(found)
    except names.NotUnpacked:
        return False
    return len(found) == 1 and not student.startswith(".")


def _refuse_shared_numbers(file: Path, people: list[Person], lines: Mapping[str, int]) -> None:
    known: dict[tuple[str, str], str] = {}
    for person in people:
        for kind, value in [*person.numbers.items(), ("e-mail", person.email.casefold())]:
            if not value:
                continue
            other = known.setdefault((kind, value.casefold()), person.id)
            if other != person.id:
                raise KitError(
                    f"{other} and {person.id} have the same {kind}: {value!r}.",
                    where=f"{file}, lines {lines[other]} and {lines[person.id]}",
                    remedy="Correct one of the two.",
                )


def _example(lab: Lab) -> str:
    return (
        "The first line names the columns, for example: student id,first name,last name,email;"
        f" an ID looks like {lab.example_student}."
    )
