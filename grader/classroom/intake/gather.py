"""Turns SUBMISSIONS into a results folder: unpacked, matched, listed in class.json.

    >>> from grader.files.safe_folder import write
    >>> from grader.lab.labfile import load
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     source = Path(folder, "class")
    ...     write(source, "s1234567/counter/compose.yaml", b"services: {}")
    ...     write(source, "notes.txt", b"from no student")
    ...     found = gather(source, load("lab4"), Path(folder, "results"))
    >>> len(found.entries), len(found.unmatched), len(found.missing)
    (1, 1, 0)

SUBMISSIONS is only read. Intake can be killed at any moment and run again: a rename moves each
submission to its place, and an unchanged submission stays where it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from grader.classroom import results
from grader.classroom.intake import fingerprint, labels, layouts, unpacking
from grader.classroom.intake import roster as rosters
from grader.classroom.intake.matching import Matcher
from grader.classroom.intake.raw_submission import RawSubmission
from grader.classroom.results import Entry, Person, Results, Unmatched
from grader.errors import KitError
from grader.files import private
from grader.lab.model import Lab
from grader.submission.archives import members, unpack
from grader.submission.archives.names import NotUnpacked
from grader.submission.files import Submission
from grader.submission.manifest import Manifest

Progress = Callable[[int, int, str], None]
"""Called with how many are unpacked, of how many (0: not known yet), and what is next."""

_TEMPORARY = ".intake-"


@dataclass
class _One:
    """One thing handed in, on its way."""

    handed: RawSubmission
    root: Path | None = None
    manifest: Manifest | None = None
    newest: datetime | None = None
    remarks: list[str] = field(default_factory=list)
    refused: str | None = None
    fault: bool = False
    """It is refused because the grader broke, not because of what it is."""

    @property
    def age(self) -> tuple[bool, int, str, datetime, str]:
        """Larger for what was handed in later, as far as anything says so."""
        copies = [labels.copy_of(label.file)[1] for label in self._labels()]
        return (
            self.refused is None,
            max(copies, default=0),
            _comparable(self.handed.submitted),
            self.newest or datetime.min,
            self.handed.source,
        )

    def _labels(self) -> Iterator[labels.Label]:
        for path in self.handed.paths:
            label = labels.read(path.name)
            if label is not None:
                yield label


def _comparable(time: str | None) -> str:
    return "" if time is None else f"{datetime.fromisoformat(time).timestamp():020.3f}"


def gather(
    source: Path,
    lab: Lab,
    out: Path,
    roster: Path | None = None,
    progress: Progress = lambda _done, _all, _what: None,
) -> Results:
    """Unpack and match what is in `source`, and write the results folder's list.

    Without a roster, the people are the students with an ID in the submissions, and no one is
    missing. Raises KitError if `source`, the roster or `out` cannot be used; then nothing changes.
    """
    layouts.check(source)
    known = None if roster is None else rosters.read(roster, lab)
    before = _previous(out, lab)
    with _own(out) as scratch:
        progress(0, 0, source.name)
        signature = fingerprint.signature(source, lab, roster, out)
        if before is not None and fingerprint.before(out) == signature and _as_listed(before):
            return before
        # From here to the end the folder may be between two states.
        fingerprint.forget(out)
        leave = [out, *([roster] if roster else [])]
        found, unmatched = layouts.find(source, lab, scratch / "class", leave)
        matcher = Matcher(lab, known.people if known else None)
        theirs: dict[str, list[tuple[Person, _One]]] = {}
        faults = False
        for number, handed in enumerate(found):
            progress(number, len(found), handed.source)
            one = _lay(handed, lab, scratch / str(number))
            faults |= one.fault
            match = matcher.match(handed, one.manifest)
            if match.person is None:
                why = f" (It is also refused: {one.refused})" if one.refused else ""
                unmatched.append(Unmatched(handed.source, match.reason + why))
                continue
            one.remarks += match.remarks
            theirs.setdefault(match.person.id, []).append((match.person, one))
        progress(len(found), len(found), "")
        times = known.submitted if known else {}
        entries = []
        for student, ones in sorted(theirs.items()):
            person, one = max(ones, key=lambda pair: pair[1].age)
            older = [other for _, other in ones if other is not one]
            entries.append(_place(person, one, older, out, scratch, times.get(student)))
        missing = [p for p in known.people if p.id not in theirs] if known else []
        listed = Results(
            folder=out,
            lab=lab.id,
            entries=tuple(entries),
            unmatched=tuple(unmatched),
            missing=tuple(sorted(missing, key=lambda p: p.id)),
            similarities=before.similarities if before else (),
        )
        # Written in our own folder first: a run that is killed leaves nothing elsewhere.
        replace(listed, folder=scratch).save()
        (scratch / listed.file.name).replace(listed.file)
        if not faults:
            fingerprint.remember(out, signature, scratch)
    return listed


def _as_listed(listed: Results) -> bool:
    """Whether each submission is in its place as it was unpacked."""
    return all(
        entry.refused is not None
        or (
            listed.submission(entry.person.id).is_dir()
            and digest_of(listed.submission(entry.person.id)) == entry.digest
        )
        for entry in listed.entries
    )


def _previous(out: Path, lab: Lab) -> Results | None:
    if not (out / "class.json").exists():
        return None
    try:
        before = results.load(out)
    except KitError:
        if _schema(out / "class.json") not in (None, results.SCHEMA):
            raise
        return None  # broken: recreated, submissions and records are kept
    if before.lab != lab.id:
        raise KitError(
            f"This folder has the results of {before.lab}, not of {lab.id}.",
            where=str(out),
            remedy="Choose another folder with --out.",
        )
    return before


def _schema(file: Path) -> Any:
    try:
        return json.loads(private.read(file, results.MAX_BYTES).decode("utf-8"))["schema"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


@contextlib.contextmanager
def _own(out: Path) -> Iterator[Path]:
    """A folder in `out` to work in, which is gone afterwards; one process at a time has one."""
    try:
        results.prepare(out)
        private.folder(out / "submissions")
        lock = FileLock(out / ".intake.lock", mode=private.FILE)
        lock.acquire(timeout=0)
    except Timeout:
        raise KitError(
            "Another run is unpacking into this folder now.",
            where=str(out),
            remedy="Wait until it is done, or choose another folder with --out.",
        ) from None
    except OSError as error:
        raise _no_folder(out, error) from None
    try:
        # No one else is here: what a killed run left is no one's.
        for left in out.glob(f"{_TEMPORARY}*"):
            shutil.rmtree(left, ignore_errors=True)
        scratch = Path(tempfile.mkdtemp(dir=out, prefix=_TEMPORARY))
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise _no_folder(out, error) from None
    finally:
        lock.release()


def _no_folder(out: Path, error: OSError) -> KitError:
    return KitError(
        f"The results folder cannot be used: {error.strerror or error}.",
        where=str(error.filename or out),
        remedy="Fix that, or choose another folder with --out; then run the same command again.",
    )


def _lay(handed: RawSubmission, lab: Lab, scratch: Path) -> _One:
    one = _One(handed)
    try:
        laid = unpacking.lay(handed, lab, scratch)
    except NotUnpacked as error:
        shutil.rmtree(scratch, ignore_errors=True)
        one.refused = str(error)
        one.remarks += handed.remarks
    except (KitError, OSError):
        raise
    except Exception as error:
        # A fault of the grader: it is this submission's alone, and is tried again.
        shutil.rmtree(scratch, ignore_errors=True)
        one.refused = f"The grader could not unpack it: {type(error).__name__}: {error}"
        one.fault = True
    else:
        one.root, one.manifest, one.newest = laid.root, laid.manifest, laid.newest
        one.remarks += laid.remarks
    return one


def _place(
    person: Person, one: _One, older: list[_One], out: Path, scratch: Path, submitted: str | None
) -> Entry:
    """Put a submission where it belongs, unless the same is there already."""
    remarks = list(dict.fromkeys(one.remarks))
    for other in sorted(older, key=lambda o: o.age, reverse=True):
        why = (
            "it cannot be unpacked" if other.refused else "another is newer, or comes later by name"
        )
        remarks.append(f"{other.handed.source} was set aside: {why}.")
    dest = out / "submissions" / person.id
    digest = ""
    if one.root is None:
        _aside(dest, scratch)
    else:
        digest = digest_of(one.root)
        if not dest.is_dir() or dest.is_symlink() or digest_of(dest) != digest:
            _aside(dest, scratch)
            one.root.rename(dest)
    return Entry(
        person,
        one.handed.source,
        submitted or one.handed.submitted,
        digest,
        tuple(remarks),
        one.refused,
    )


def _aside(dest: Path, scratch: Path) -> None:
    """Take what is at `dest` away in one step."""
    if dest.exists() or dest.is_symlink():
        dest.rename(Path(tempfile.mkdtemp(dir=scratch)) / "old")


def digest_of(folder: Path) -> str:
    """SHA-256 over names, contents and executable bits of all that lies in a submission."""
    files = {}
    for member in members.of_folder(folder, lambda _name: False):
        if member.kind == "file":
            with member.open() as content:
                known = hashlib.sha256()
                while chunk := content.read(unpack.CHUNK):
                    known.update(chunk)
            files[member.name] = known.hexdigest() + ("x" if member.executable else "-")
        elif member.kind != "folder":
            files[member.name] = member.kind
    return Submission(folder, files).digest
