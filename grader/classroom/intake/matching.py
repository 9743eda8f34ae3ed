"""Matches a submission with a person of the roster, or, without a roster, by its IDs.

The names of the LMS or of a folder count more than the contents, because the contents may include
another student's files. In this order: the LMS's number; then an ID, an e-mail address or login, or
the full name in the name of the folder or file; then the manifest of `nox -s submit`; and last an
ID in the student's own file names. Nothing is guessed: if two people match, the submission stays
unmatched.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from grader.classroom.intake.raw_submission import RawSubmission
from grader.classroom.intake.roster import as_id
from grader.classroom.results import Person
from grader.lab.model import Lab
from grader.submission.archives.names import shown
from grader.submission.manifest import Manifest


@dataclass(frozen=True)
class Match:
    """`person` is None if no one matches; then `reason` says why and what to do."""

    person: Person | None
    reason: str = ""
    remarks: tuple[str, ...] = ()


class Matcher:
    """Finds people of a roster (None: everyone whose ID has the lab's form)."""

    def __init__(self, lab: Lab, people: Iterable[Person] | None) -> None:
        self.lab = lab
        self.people = None if people is None else {p.id: p for p in people}
        self._pattern = re.compile(
            rf"(?<![A-Za-z0-9])(?:{lab.student_pattern})(?![A-Za-z0-9])", re.ASCII | re.IGNORECASE
        )
        self._by: dict[tuple[str, str], set[str]] = {}
        for person in (self.people or {}).values():
            self._note(person)

    def match(self, handed: RawSubmission, manifest: Manifest | None) -> Match:
        """Find out who submitted it. `manifest` is the one inside, which counts last."""
        outside = self._outside(handed)
        inside = as_id(manifest.student, self.lab) if manifest else None
        if outside.person is None and not outside.reason:
            outside = self._inside(handed, inside)
        if outside.person is None:
            return outside
        remarks = list(outside.remarks)
        if inside is not None and inside != outside.person.id:
            remarks.append(
                f"The archive in it was packed for {inside}, but {outside.person.id} handed it in."
            )
        return Match(outside.person, remarks=tuple(remarks))

    def _outside(self, handed: RawSubmission) -> Match:
        """By the names that the LMS, or the person who collected the files, wrote."""
        for kind, value in handed.numbers:
            known = self._by.get((kind, value), set())
            if len(known) == 1:
                return self._found(next(iter(known)), handed)
        if handed.layout in ("moodle", "canvas"):
            found = self._by_name(handed.name, handed)
            if found.person or found.reason or "-" not in handed.name:
                return found
            # Moodle puts a group's name and a hyphen before the person's.
            return self._by_name(handed.name.partition("-")[2], handed)
        found = self._by_id(handed.label)
        if found.person or found.reason:
            return found
        return self._by_words(handed.label, handed)

    def _inside(self, handed: RawSubmission, inside: str | None) -> Match:
        """By the manifest, or an ID in the student's own file names."""
        if inside is not None:
            return self._person(inside, handed, "Its manifest names")
        found = self._by_id(handed.label, handed)
        if found.person or found.reason:
            return found
        said = ", ".join(f"{kind} number {value}" for kind, value in handed.numbers)
        said = " ".join(filter(None, [shown(handed.name), f"({said})" if said else ""]))
        if self.people is None:
            return Match(
                None,
                f"The student is unknown{f': {said} is no student ID' if said else ''}. Give a"
                " roster (--roster), or name the folder or archive like"
                f" {self.lab.example_student}.",
            )
        return Match(
            None,
            f"No one on the roster matches{f' {said}' if said else ' its name'}. Add the person or"
            f" the number to the roster, or name the folder or archive like"
            f" {self.lab.example_student}.",
        )

    def _by_id(self, label: str, handed: RawSubmission | None = None) -> Match:
        ids = {as_id(found.group(), self.lab) for found in self._pattern.finditer(label)} - {None}
        if len(ids) > 1:
            named = " and ".join(sorted(str(i) for i in ids))
            return Match(None, f"Its name has two students' IDs, {named}. Keep one of them.")
        if not ids:
            return Match(None)
        return self._person(str(ids.pop()), handed, "Its name says")

    def _person(self, student: str, handed: RawSubmission | None, said: str) -> Match:
        if self.people is not None and student not in self.people:
            return Match(
                None,
                f"{said} {student}, who is not on the roster. Add the person to the roster, or"
                " correct the name.",
            )
        return self._found(student, handed)

    def _found(self, student: str, handed: RawSubmission | None) -> Match:
        if self.people is not None:
            person = self.people[student]
            # What the LMS's names say and the roster does not: exports need it.
            learnt = {**dict(handed.numbers if handed else ()), **person.numbers}
            return Match(replace(person, numbers=learnt))
        if handed is None:
            return Match(Person(student))
        return Match(Person(student, handed.name, numbers=dict(handed.numbers)))

    def _by_words(self, label: str, handed: RawSubmission) -> Match:
        """By an e-mail address, a login or the full name, if it is the whole label."""
        stem = (
            re.sub(r"(\.tar)?\.[A-Za-z0-9]{1,4}$", "", label)
            if handed.layout == "archive"
            else label
        )
        for text in (label, stem):
            for kind in ("email", "login", "sis"):
                known = self._by.get((kind, text.casefold()), set())
                if len(known) == 1:
                    return self._found(next(iter(known)), handed)
        return self._by_name(stem, handed)

    def _by_name(self, name: str, handed: RawSubmission) -> Match:
        if handed.layout == "canvas":
            # Surname and first name in one word.
            keys = {("joined", key) for key in _spellings(name.replace("_", ""))}
        else:
            keys = {("name", _sorted(key)) for key in _spellings(name)}
        known = set().union(*(self._by.get(key, set()) for key in keys)) if name else set()
        if len(known) == 1:
            return self._found(next(iter(known)), handed)
        if len(known) > 1:
            named = " and ".join(sorted(known))
            return Match(
                None,
                f"The name {shown(name)} fits {named}. Put the LMS's numbers into the roster, or"
                f" name the folder or archive like {self.lab.example_student}.",
            )
        return Match(None)

    def _note(self, person: Person) -> None:
        def note(kind: str, value: str) -> None:
            if value:
                self._by.setdefault((kind, value), set()).add(person.id)

        for kind, value in person.numbers.items():
            note(kind, value.casefold())
        note("email", person.email.casefold())
        for spelling in _spellings(person.name):
            note("name", _sorted(spelling))
            words = spelling.split()
            for at in range(len(words)):
                # "Ada King Lovelace" is "lovelaceadaking" in Canvas; where the surname
                # begins is not known, so any cut counts.
                note("joined", "".join(words[at:] + words[:at]))


def _spellings(name: str) -> Iterator[str]:
    """A name as simple lower-case words, with umlauts in each of the usual spellings."""
    name = unicodedata.normalize("NFC", name).casefold()
    written_out = name.translate(_WRITTEN_OUT)
    for form in dict.fromkeys((name, written_out)):
        bare = "".join(
            c
            for c in unicodedata.normalize("NFKD", form.translate(_PLAIN))
            if not unicodedata.combining(c)
        )
        words = re.findall(r"[^\W_]+", re.sub(r"['’`]", "", bare))
        if words:
            yield " ".join(words)


_WRITTEN_OUT = str.maketrans(dict(zip("äöüøå", ("ae", "oe", "ue", "oe", "aa"), strict=True)))
_PLAIN = str.maketrans(
    dict(zip("øłđðþæœı", ("o", "l", "d", "d", "th", "ae", "oe", "i"), strict=True))
)


def _sorted(spelling: str) -> str:
    """Equal for first and last name in either order."""
    return " ".join(sorted(spelling.split()))
