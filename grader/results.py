"""A class's results folder: who handed in what, and where each record and page lies.

    FOLDER/class.json            this module: the people, their submissions, what was not matched
    FOLDER/submissions/ID/       what each handed in, unpacked
    FOLDER/records/ID.json       grader.record
    FOLDER/feedback/ID.html      the student's page
    FOLDER/class/index.html      the class page
    FOLDER/.order-of-anonymous   a secret that numbers people on an anonymous class page
    FOLDER/grades.csv            everybody's points
    FOLDER/marks.csv             what a tutor marked by hand (read, never written over)

Reports and exports get a `Results` and read nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from grader import record
from grader.errors import KitError
from grader.record import Record

SCHEMA = 1


@dataclass(frozen=True)
class Person:
    """Somebody of the class. `id` has the lab's form.

    `numbers` are the other names by which an LMS knows them, by kind: `moodle` (the participant's
    number), `canvas` (the user's ID), `login`, `sis` and what else a roster has.
    """

    id: str
    name: str = ""
    email: str = ""
    numbers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """One submission that is somebody's.

    `source` is where it came from, as a person would look for it (`class.zip: Lovelace_17_…`);
    `submitted` when it was handed in (ISO 8601 with offset; None where nothing says so); `digest`
    is SHA-256 over its files; `remarks` are sentences for the tutor (left out, renamed, older
    attempt set aside); `refused` says why it could not be unpacked: then it is not graded.
    """

    person: Person
    source: str
    submitted: str | None = None
    digest: str = ""
    remarks: tuple[str, ...] = ()
    refused: str | None = None


@dataclass(frozen=True)
class Unmatched:
    """Something handed in of which nobody knows whose it is; `reason` says why, and the remedy."""

    source: str
    reason: str


@dataclass(frozen=True)
class Likeness:
    """Students whose submissions have something in common that their variants do not give them.

    `kind` is `values` (the first student's files use the second one's values: `detail` names
    them) or `file` (all have the same file, `detail` names it, and it is not a starter's).
    """

    kind: str
    students: tuple[str, ...]
    detail: str


@dataclass(frozen=True)
class Results:
    """See the module. `missing` are people of the roster who handed nothing in."""

    folder: Path
    lab: str
    entries: tuple[Entry, ...] = ()
    unmatched: tuple[Unmatched, ...] = ()
    missing: tuple[Person, ...] = ()
    likenesses: tuple[Likeness, ...] = ()

    @property
    def file(self) -> Path:
        return self.folder / "class.json"

    @property
    def marks_file(self) -> Path:
        return self.folder / "marks.csv"

    def submission(self, student: str) -> Path:
        return self.folder / "submissions" / student

    def record_file(self, student: str) -> Path:
        return self.folder / "records" / f"{student}.json"

    def feedback_file(self, student: str) -> Path:
        return self.folder / "feedback" / f"{student}.html"

    def record(self, student: str) -> Record | None:
        """What grading found; None if the student's submission was not graded (yet)."""
        return record.load(self.record_file(student))

    def graded(self) -> Iterator[tuple[Entry, Record | None]]:
        """Every entry with its record, in the order of the IDs."""
        for entry in sorted(self.entries, key=lambda entry: entry.person.id):
            yield entry, self.record(entry.person.id)

    def with_likenesses(self, found: tuple[Likeness, ...]) -> Results:
        return replace(self, likenesses=found)

    def save(self) -> None:
        """Write class.json, whole or not at all."""
        data: dict[str, Any] = {"schema": SCHEMA, **asdict(self)}
        del data["folder"]
        record.write_atomically(self.file, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def load(folder: Path) -> Results:
    """The results in `folder`; KitError where there are none that this kit can read."""
    file = folder / "class.json"
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        if data.get("schema") != SCHEMA:
            raise KitError(
                f"These results have schema {data.get('schema')!r}, this kit reads {SCHEMA}.",
                where=str(file),
                remedy="Grade into another folder (--out).",
            )
        return Results(
            folder=folder,
            lab=data["lab"],
            entries=tuple(_entry(entry) for entry in data["entries"]),
            unmatched=tuple(Unmatched(**one) for one in data["unmatched"]),
            missing=tuple(Person(**person) for person in data["missing"]),
            likenesses=tuple(
                Likeness(**{**one, "students": tuple(one["students"])})
                for one in data["likenesses"]
            ),
        )
    except FileNotFoundError:
        raise KitError(
            "There are no results of a class here.",
            where=str(folder),
            remedy="Grade first (nox -s grade -- SUBMISSIONS), or name its results folder.",
        ) from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise KitError(
            f"This list of a class's results cannot be read ({error}).",
            where=str(file),
            remedy="Grade again into the same folder: records are kept, the list is made anew.",
        ) from None


def _entry(data: dict[str, Any]) -> Entry:
    return Entry(**{**data, "person": Person(**data["person"]), "remarks": tuple(data["remarks"])})
