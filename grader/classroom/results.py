"""A class's results folder: who submitted what, and where each record and page is.

    FOLDER/class.json            this module: the people, their submissions, unmatched files
    FOLDER/submissions/ID/       each student's submission, unpacked
    FOLDER/records/ID.json       grader.record
    FOLDER/feedback/ID.html      the student's page
    FOLDER/class/index.html      the class page
    FOLDER/.order-of-anonymous   a secret that numbers people on an anonymous class page
    FOLDER/grades.csv            everyone's points
    FOLDER/marks.csv             the tutor's marks (read, never overwritten)

Reports and exports receive a `Results` and read nothing else. Only the owner can read the folder
and its contents (`grader.files.private`).
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
    """A member of the class. `id` has the lab's form.

    `numbers` are the person's other names in an LMS, by kind: `moodle` (the participant's number),
    `canvas` (the user's ID), `login`, `sis` and whatever else a roster has.
    """

    id: str
    name: str = ""
    email: str = ""
    numbers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """One matched submission.

    `source` is where it came from, as a person would look for it (`class.zip: Lovelace_17_…`).
    `submitted` is the time of submission (ISO 8601 with offset; None if unknown). `digest` is
    SHA-256 over its files. `remarks` are sentences for the tutor (left out, renamed, older attempt
    set aside). `refused` says why it could not be unpacked; in that case it is not graded.
    """

    person: Person
    source: str
    submitted: str | None = None
    digest: str = ""
    remarks: tuple[str, ...] = ()
    refused: str | None = None


@dataclass(frozen=True)
class Unmatched:
    """Something submitted that could not be matched with a person; `reason` says why and what to
    do."""

    source: str
    reason: str


@dataclass(frozen=True)
class Similarity:
    """Students whose submissions share something that does not come from their variants.

    `kind` is `values` (the first student's files use the second one's values; `detail` names them)
    or `file` (all have the same file, which is not a starter; `detail` names it).
    """

    kind: str
    students: tuple[str, ...]
    detail: str


@dataclass(frozen=True)
class Results:
    """See the module. `missing` are people of the roster without a submission."""

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
        """The result of grading; None if the student's submission was not graded (yet)."""
        return record.load(self.record_file(student))

    def graded(self) -> Iterator[tuple[Entry, Record | None]]:
        """Every entry with its record, in the order of the IDs."""
        for entry in sorted(self.entries, key=lambda entry: entry.person.id):
            yield entry, self.record(entry.person.id)

    def with_similarities(self, found: tuple[Similarity, ...]) -> Results:
        return replace(self, similarities=found)

    def save(self) -> None:
        """Write class.json, completely or not at all."""
        data: dict[str, Any] = {"schema": SCHEMA, **asdict(self)}
        del data["folder"]
        private.write_text(self.file, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def prepare(folder: Path) -> None:
    """Make a results folder, or make an existing one private. Raises OSError."""
    private.results_folder(folder, [LIST], INNER)


def load(folder: Path) -> Results:
    """Load the results in `folder`. Raises KitError if there are none that this kit can read.

    A folder from an earlier version is made private.
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
    """Whether a student's ID is a valid file name on every system."""
    try:
        parts = names.parts(student)
        names.check(parts)
    except KitError:
        return False
    return parts == (student,)


def _refuse_links(found: Results) -> None:
    """Raise KitError if the folder contains a link: its target is not one of our results."""
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
