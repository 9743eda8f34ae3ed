"""How the class page names people: by their names, or by anonymous numbers."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from grader.classroom.results import Person, Results
from grader.lab.model import Lab

_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]+@[\w-]+(?:\.[\w-]+)*")
_PART = re.compile(r"[^\W_]+")
_SHORTEST_PART = 3
LEFT_OUT = "…"


@dataclass(frozen=True)
class Shown:
    """A person on the page; `href` leads to the feedback page where there is one."""

    label: str
    name: str = ""
    href: str | None = None
    place: int = 0
    """Their position in the order of the class."""


class People:
    """Everyone in a class. `secret` (bytes) makes them anonymous and decides their order."""

    def __init__(self, results: Results, lab: Lab, secret: bytes | None = None) -> None:
        self.lab = lab
        self.anonymous = secret is not None
        everybody = {p.id: p for p in (*results.missing, *(e.person for e in results.entries))}
        self._known = everybody
        self._graded = {
            e.person.id for e in results.entries if results.record_file(e.person.id).is_file()
        }
        order = sorted(everybody, key=lambda student: (_rank(student, secret), student))
        self._places = {student: place for place, student in enumerate(order, start=1)}
        self._private = _parts(everybody.values()) if self.anonymous else frozenset()

    def shown(self, student: str) -> Shown:
        place = self._places.get(student, 0)
        if student == self.lab.demo_student and not place:
            return Shown("the demo student")
        if self.anonymous:
            return Shown(f"Student {place}" if place else "someone else", place=place)
        href = f"../feedback/{quote(student, safe='')}.html" if student in self._graded else None
        person = self._known.get(student)
        return Shown(student, person.name if person else "", href, place)

    def scrubbed(self, text: str) -> str:
        """A sentence from a record; on an anonymous page without names, IDs and addresses."""
        if not self.anonymous:
            return text
        text = _EMAIL.sub(LEFT_OUT, text)
        for student in self._known:
            if not self.lab.is_student(student):
                text = text.replace(student, LEFT_OUT)
        text = re.sub(self.lab.student_pattern, LEFT_OUT, text, flags=re.ASCII | re.IGNORECASE)
        return _PART.sub(lambda m: LEFT_OUT if m[0].casefold() in self._private else m[0], text)


def _rank(student: str, secret: bytes | None) -> str:
    if secret is None:
        return student
    return hmac.new(secret, student.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _parts(people: Iterable[Person]) -> frozenset[str]:
    """Every part of a name, an address or a number that is long enough to identify someone."""
    words: set[str] = set()
    for person in people:
        for text in (person.id, person.name, person.email, *person.numbers.values()):
            words.update(part.casefold() for part in _PART.findall(text))
    return frozenset(word for word in words if len(word) >= _SHORTEST_PART)
