"""A class's results folder: who handed in what, and where each record and page lies.

    FOLDER/class.json            this module: the people, their submissions, what was not matched
    FOLDER/submissions/ID/       what each handed in, unpacked
    FOLDER/records/ID.json       grader.record
    FOLDER/feedback/ID.html      the student's page
    FOLDER/class/index.html      the class page
    FOLDER/.order-of-anonymous   a secret that numbers people on an anonymous class page
    FOLDER/grades.csv            everybody's points
    FOLDER/marks.csv             what a tutor marked by hand (read, never written over)

Reports and exports get a `Results` and read nothing else. The folder and all in it are their
owner's alone (`grader.files.private`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from grader import record
from grader.errors import KitError
from grader.files import private
from grader.record import Record
from grader.submission.archives import names

SCHEMA = 1
MAX_BYTES = 200_000_000
LIST = "class.json"
INNER = ("submissions", "records", "feedback", "class", "exports", "regrade", "replaced")
"""The folders in it."""

_LAB = re.compile(r"[\w.-]{1,100}")


@dataclass(frozen=True)
class Person:
    """Someone of the class. `id` has the lab's form.

    `numbers` are the other names by which an LMS knows them, by kind: `moodle` (the participant's
    number), `canvas` (the user's ID), `login`, `sis` and what else a roster has.
    """

    id: str
    name: str = ""
    email: str = ""
    numbers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """One submission that is someone's.

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
    """Something handed in of which no one knows whose it is; `reason` says why, and the remedy."""

    source: str
    reason: str


@dataclass(frozen=True)
class Similarity:
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
    similarities: tuple[Similarity, ...] = ()

    @property
    def file(self) -> Path:
        return self.folder / LIST

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

    def with_similarities(self, found: tuple[Similarity, ...]) -> Results:
        return replace(self, similarities=found)

    def save(self) -> None:
        """Write class.json, whole or not at all."""
        data: dict[str, Any] = {"schema": SCHEMA, **asdict(self)}
        del data["folder"]
        private.write_text(self.file, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def prepare(folder: Path) -> None:
    """Make a results folder, or take others' rights from one that is there; OSError."""
    private.results_folder(folder, [LIST], INNER)


def load(folder: Path) -> Results:
    """The results in `folder`; KitError where there are none that this kit can read.

    Others' rights are taken from a folder that an earlier version made.
    """
    file = folder / LIST
    try:
        data = json.loads(private.read(file, MAX_BYTES).decode("utf-8"))
        if data.get("schema") != SCHEMA:
            raise KitError(
                f"These results have schema {data.get('schema')!r}, this kit reads {SCHEMA}.",
                where=str(file),
                remedy="Grade into another folder (--out).",
            )
        found = Results(
            folder=folder,
            lab=data["lab"],
            entries=tuple(_entry(entry) for entry in data["entries"]),
            unmatched=tuple(Unmatched(**one) for one in data["unmatched"]),
            missing=tuple(Person(**person) for person in data["missing"]),
            similarities=tuple(
                Similarity(**{**one, "students": tuple(one["students"])})
                # Results of before call them likenesses.
                for one in data.get("similarities", data.get("likenesses", ()))
            ),
        )
        if not _LAB.fullmatch(found.lab) or found.lab in (".", ".."):
            raise ValueError("its lab has no lab's name")
        for person in (*found.missing, *(entry.person for entry in found.entries)):
            if not _is_name(person.id):
                raise ValueError(f"no file can be named after the student {person.id!r}"[:200])
    except FileNotFoundError:
        raise KitError(
            "There are no results of a class here.",
            where=str(folder),
            remedy="Grade first (nox -s grade -- SUBMISSIONS), or name the results folder.",
        ) from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise KitError(
            f"This list of a class's results cannot be read ({error}).",
            where=str(file),
            remedy="Grade again into the same folder: records are kept, the list is recreated.",
        ) from None
    _refuse_links(found)
    prepare(folder)
    return found


def _is_name(student: Any) -> bool:
    """Whether a student's ID is one name, on every system: files are called so."""
    try:
        parts = names.parts(student)
        names.check(parts)
    except KitError:
        return False
    return parts == (student,)


def _refuse_links(found: Results) -> None:
    """KitError where a link stands in the folder: what it leads to is no result of ours."""
    places = [found.folder / name for name in INNER]
    places += [found.submission(entry.person.id) for entry in found.entries]
    for place in places:
        if place.is_symlink():
            raise KitError(
                "This is a link: the kit reads and writes results only in a real folder.",
                where=str(place),
                remedy="Replace it by the folder that it leads to, or delete it.",
            )


def _entry(data: dict[str, Any]) -> Entry:
    return Entry(**{**data, "person": Person(**data["person"]), "remarks": tuple(data["remarks"])})
