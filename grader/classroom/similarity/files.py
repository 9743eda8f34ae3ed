"""Finds files that several students share and that they hardly wrote independently.

Equal files alone are not enough. Everyone has the starters, and many students write short files or
the lab's solution in the same way. So one of two things is also required:

- *values*: the file contains values of one of them that the other does not have. Each should have
  written their own.
- *lines*: it has several lines that no one else in the class has, and that are not in a starter or
  a solution, even after everyone's own values are replaced.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from grader.classroom.similarity.placeholders import Placeholders
from grader.classroom.similarity.texts import TextFile, text_file
from grader.classroom.similarity.values import Values
from grader.grading import examples
from grader.handout import workspace
from grader.handout.rendering import render
from grader.lab.model import Lab
from grader.lab.variant import variant

FEWEST_CHARACTERS = 120
FEWEST_LINES = 5
FEWEST_IN_LINES = 160
"""Characters that these unique lines must have together."""
SHORTEST_LINE = 8
MOST_LINES = 20_000


@dataclass(frozen=True)
class Shared:
    """A file that all of `students` have, with its name in the first student's submission."""

    students: tuple[str, ...]
    name: str


@dataclass
class Files:
    """Collects every submission's files; `shared` then compares them all at once, not in pairs."""

    lab: Lab
    values: Values
    _owners: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    """By content: who has it, and under which name."""
    _lines: dict[str, set[str]] = field(default_factory=dict)
    """By student: the lines, own values replaced."""
    _counts: Counter[str] = field(default_factory=Counter)

    def add(self, student: str, files: Sequence[TextFile]) -> None:
        named = self._named(student)
        lines: set[str] = set()
        for file in files:
            normal = file.normal
            if len(normal) >= FEWEST_CHARACTERS:
                self._owners[normal].setdefault(student, file.name)
            lines.update(named(normal).split("\n"))
        self._lines[student] = set(sorted(lines)[:MOST_LINES])
        self._counts.update(self._lines[student])

    def shared(self) -> Iterator[Shared]:
        candidates = [(text, owners) for text, owners in self._owners.items() if len(owners) > 1]
        if not candidates:
            return
        # What many have says least and is looked at in no time; a handout is rendered last.
        starters, known = _Starters(self.lab), _known_lines(self.lab)
        for content, owners in candidates:
            students = tuple(sorted(owners))
            told = self._values(students, content) or self._lines_of_their_own(
                students, content, known
            )
            if told and not any(
                starters.has(student, content) for student in (self.lab.demo_student, *students)
            ):
                yield Shared(students, owners[students[0]])

    def _named(self, student: str) -> Placeholders:
        return Placeholders({**self.values.of.get(student, {}), "student": student})

    def _values(self, students: tuple[str, ...], content: str) -> bool:
        known = [student for student in students if student in self.values.of]
        if len(known) < 2:
            return False
        return bool(self.values.shared(known, self.values.grams(content), len(self.values.of)))

    def _lines_of_their_own(self, students: tuple[str, ...], content: str, known: set[str]) -> bool:
        # What so many have was probably given to the class.
        if len(students) > max(5, len(self._lines) // 7):
            return False
        peculiar: set[str] | None = None
        for student in students:
            lines = self._named(student)(content).split("\n")
            here = {
                raw
                for raw, line in zip(content.split("\n"), lines, strict=True)
                if len(line) >= SHORTEST_LINE
                and line not in known
                and self._counts[line] == sum(line in self._lines[s] for s in students)
            }
            peculiar = here if peculiar is None else peculiar & here
        return (
            peculiar is not None
            and len(peculiar) >= FEWEST_LINES
            and sum(map(len, peculiar)) >= FEWEST_IN_LINES
        )


class _Starters:
    """The files that the lab gives to a student, rendered on demand."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._of: dict[str, set[str]] = {}

    def has(self, student: str, content: str) -> bool:
        if student not in self._of:
            known = self.lab.is_student(student)
            self._of[student] = _normal(workspace.contents(self.lab, student)) if known else set()
        return content in self._of[student]


def _known_lines(lab: Lab) -> set[str]:
    """The lines of starters and of the lab's own examples, values replaced.

    They are rendered for two students, because a lab's templates may differ between students.
    """
    lines: set[str] = set()
    folders = [lab.templates, *(example.folder for example in examples.find(lab))]
    for student in dict.fromkeys((lab.demo_student, lab.example_student)):
        values = workspace.values(lab, student)
        named = Placeholders({**variant(lab, student), "student": student})
        for folder in folders:
            for text in _normal(render(folder, values)):
                lines.update(named(text).split("\n"))
    return lines


def _normal(files: dict[str, bytes]) -> set[str]:
    """The text files as they are compared."""
    texts = (text_file(name, content) for name, content in files.items())
    return {text.normal for text in texts if text is not None}
