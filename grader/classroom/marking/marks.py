"""The tutor's marks: points and comments for the questions that a person marks.

They are in marks.csv in the results folder: a row per student and question, with the columns
`student`, `question`, `max`, `points`, `comment` in any order; other columns are the tutor's own. A
spreadsheet may have saved the file. Empty points mean: not marked yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from grader.classroom import csvfile, pseudonym
from grader.classroom.csvfile import Table
from grader.classroom.results import Results
from grader.classroom.spreadsheet import plain
from grader.errors import KitError
from grader.lab.rubric import Question
from grader.text import words

COLUMNS = ("student", "question", "max", "points", "comment")
ALL = "all"
"""In place of a question: the points of all questions together (nbgrader's CSV has only these)."""

SHOWN = 10
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?", re.ASCII)


@dataclass(frozen=True)
class Mark:
    """A person's points for one question (or for `ALL`)."""

    points: float
    comment: str = ""


@dataclass(frozen=True)
class Marks:
    """Marks by student and question. `listed` are the pairs that have a row, marked or not."""

    given: dict[str, dict[str, Mark]] = field(default_factory=dict)
    listed: frozenset[tuple[str, str]] = frozenset()

    def of(self, student: str) -> dict[str, Mark]:
        return self.given.get(student, {})

    def points(self, student: str, questions: Sequence[Question]) -> float | None:
        """The points for all questions together; None while one of them is not marked."""
        found = self.of(student)
        if ALL in found:
            return found[ALL].points
        if any(question.id not in found for question in questions):
            return None
        return sum(found[question.id].points for question in questions)


def maximum(questions: Sequence[Question]) -> float:
    return sum(question.points for question in questions)


def people(results: Results) -> list[str]:
    """The IDs of everyone who submitted or could have, in order."""
    return sorted(
        {entry.person.id for entry in results.entries} | {one.id for one in results.missing}
    )


def shown(results: Results, *, anonymous: bool) -> dict[str, str]:
    """The name under which each student is marked, by ID: the ID itself, or a code."""
    if anonymous:
        return pseudonym.codes(results)
    return {student: student for student in people(results)}


def read(results: Results, questions: Sequence[Question]) -> Marks:
    """Read the marks in marks.csv; no marks if there is no such file.

    Raises KitError with line and column of everything that is wrong; then nothing is read.
    """
    if not results.marks_file.exists():
        return Marks()
    table = csvfile.read(results.marks_file)
    return _Reading(table, results, questions).marks()


class _Reading:
    """The rows of one file, and what is wrong with them."""

    def __init__(self, table: Table, results: Results, questions: Sequence[Question]) -> None:
        self.table = table
        self.wrong: list[str] = []
        self.names = pseudonym.known(results) | {student: student for student in people(results)}
        self.most = {question.id: question.points for question in questions}
        self.most[ALL] = maximum(questions)
        self.columns = {name.strip().lower(): n for n, name in enumerate(table.header)}

    def marks(self) -> Marks:
        missing = [name for name in ("student", "question", "points") if name not in self.columns]
        if missing:
            raise KitError(
                f"There is no column {' and no column '.join(missing)}.",
                where=f"{self.table.file}, line {self.table.lines[0]}",
                remedy=f"The first line must be: {','.join(COLUMNS)}",
            )
        given: dict[str, dict[str, Mark]] = {}
        seen: dict[tuple[str, str], int] = {}
        for line, row in self._rows():
            student = self._student(line, row)
            question = self._question(line, row)
            if student is None or question is None:
                continue
            before = seen.setdefault((student, question), line)
            if before != line:
                self._say(line, "question", f"{student} and {question} are also in line {before}")
                continue
            points = self._points(line, row, question)
            if points is not None:
                given.setdefault(student, {})[question] = Mark(points, self._comment(row))
        for student, found in given.items():
            if ALL in found and len(found) > 1:
                self.wrong.append(f"{student} has points for {ALL!r} and for single questions.")
        self._complain()
        return Marks(given, frozenset(seen))

    def _rows(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        for line, row in zip(self.table.lines[1:], self.table.rows[1:], strict=True):
            if any(cell.strip() for cell in row):
                yield line, row

    def _cell(self, row: tuple[str, ...], column: str) -> str:
        place = self.columns.get(column, len(row))
        return plain(row[place].strip()) if place < len(row) else ""

    def _student(self, line: int, row: tuple[str, ...]) -> str | None:
        name = self._cell(row, "student")
        if name not in self.names:
            self._say(line, "student", f"no student of this class is called {name!r}")
        return self.names.get(name)

    def _question(self, line: int, row: tuple[str, ...]) -> str | None:
        name = self._cell(row, "question")
        if name not in self.most:
            known = ", ".join(question for question in self.most if question != ALL)
            self._say(line, "question", f"there is no question {name!r}; there are {known}")
            return None
        return name

    def _points(self, line: int, row: tuple[str, ...], question: str) -> float | None:
        """The points, None if the cell is empty or wrong."""
        most = self.most[question]
        said = self._cell(row, "max")
        if said and self._number(said) != most:
            self._say(line, "max", f"{question} gives {most:g} points at most, not {said}")
        text = self._cell(row, "points")
        if not text:
            return None
        points = self._number(text)
        if points is None:
            self._say(line, "points", f"{text!r} is not a number of points")
        elif points > most:
            self._say(line, "points", f"{text} is more than the {most:g} points of {question}")
        return points

    def _number(self, text: str) -> float | None:
        return float(text.replace(",", ".")) if _NUMBER.fullmatch(text) else None

    def _comment(self, row: tuple[str, ...]) -> str:
        return self._cell(row, "comment")

    def _say(self, line: int, column: str, what: str) -> None:
        self.wrong.append(f"line {line}, column {column}: {what}.")

    def _complain(self) -> None:
        if not self.wrong:
            return
        count = len(self.wrong)
        shown = "\n  ".join(self.wrong[:SHOWN])
        more = f"\n  … and {count - SHOWN} more." if count > SHOWN else ""
        raise KitError(
            f"{words.count(count, 'cell is', 'cells are')} wrong.\n  {shown}{more}",
            where=str(self.table.file),
            remedy="Fix them, save, and run the same command again; no marks were taken.",
        )
