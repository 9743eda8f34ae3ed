"""The class page: the class's results, what it fails, who was not graded, and similarities.

It is for the tutor: it names hidden checks. It is one file that opens from disk and loads nothing
else. With `anonymous` nothing on it, including its source, shows who anyone is, or what hidden
checks are about.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from grader import __version__
from grader.classroom.pseudonym import secret_of
from grader.classroom.reports import classchecks, classfacts, histogram
from grader.classroom.reports.classfacts import Row
from grader.classroom.reports.people import People, Shown
from grader.classroom.results import Results, Similarity
from grader.errors import KitError
from grader.files.private import write_text
from grader.lab.model import Lab
from grader.reports import feedback, summary
from grader.reports.text import sentence
from grader.text.words import count

if TYPE_CHECKING:
    from jinja2 import Environment

SLOWEST = 5


@dataclass(frozen=True)
class Line:
    """A row of the table of students. `cells` are points by exercise (None if there are none),
    `ranks` the row's place when sorted by each column, `like` whether a similarity includes it."""

    who: Shown
    status: str
    word: str
    score: str | None
    cells: tuple[str | None, ...]
    seconds: float
    remarks: int
    like: bool
    ranks: tuple[int, ...] = ()


@dataclass(frozen=True)
class ShownSimilarity:
    """A similarity for the page; `first` uses the values of `others[0]`."""

    kind: str
    first: Shown
    others: tuple[Shown, ...]
    detail: str


def write(results: Results, lab: Lab, *, anonymous: bool = False) -> Path:
    """Write the page of a class completely or not at all; return its path.

    An anonymous page replaces the other one. Raises KitError if the folder cannot be written to.
    """
    page = render(results, lab, secret_of(results) if anonymous else None)
    file = results.folder / "class" / "index.html"
    try:
        write_text(file, page)
    except OSError as error:
        raise KitError(
            f"The class page cannot be written: {error.strerror or error}.",
            where=str(file),
            remedy="Fix the permissions of the results folder, then: python -m grader report "
            "RESULTS",
        ) from None
    return file


def render(results: Results, lab: Lab, secret: bytes | None = None) -> str:
    """The page as text; `secret` makes it anonymous and decides the order of the numbers."""
    people = People(results, lab, secret)
    everybody = sorted(classfacts.rows(results), key=lambda row: people.shown(row.student).place)
    if people.anonymous:
        # Such a page is shown around: what hidden checks are about stays hidden.
        everybody = [
            replace(row, record=row.record and summary.for_student(row.record)) for row in everybody
        ]
    exercises = classchecks.exercises(everybody)
    stages, times = classchecks.times(everybody)
    records = [row.record for row in everybody if row.record]
    return (
        _environment()
        .get_template("class.html.j2")
        .render(
            lab=lab,
            kit=__version__,
            people=people,
            anonymous=people.anonymous,
            counts=classfacts.counts(everybody),
            handed_in=len(results.entries),
            spread=classfacts.spread(everybody),
            exercises=exercises,
            checks=classchecks.checks(everybody, lab, people),
            stages=stages,
            times=times,
            slowest=_slowest(everybody),
            troubles=classfacts.troubles(everybody),
            likes=[_like(one, lab, people) for one in results.similarities],
            lines=_lines(everybody, [e.id for e in exercises], results.similarities, people),
            remarks=[row for row in everybody if row.entry and row.entry.remarks],
            unmatched=results.unmatched,
            missing=[row for row in everybody if row.entry is None],
            started=min((r.started for r in records), default=None),
            finished=max((r.finished for r in records), default=None),
        )
    )


def _slowest(everybody: Sequence[Row]) -> list[Row]:
    timed = [row for row in everybody if row.seconds > 0]
    return sorted(timed, key=lambda row: -row.seconds)[:SLOWEST]


def _like(one: Similarity, lab: Lab, people: People) -> ShownSimilarity:
    first, *others = (people.shown(student) for student in one.students)
    detail = one.detail
    if people.anonymous:
        # Names of values are the lab's own; those of files are the students'.
        kinds = {parameter.name for parameter in lab.parameters}
        detail = ", ".join(w for w in re.findall(r"\w+", detail) if w in kinds)
        if one.kind == "file":
            folders = {folder for e in lab.exercises for folder in e.folders}
            found = dict.fromkeys(re.findall(r"(?:^|, )(\w+)/", one.detail))
            detail = ", ".join(f"{name}/…" for name in found if name in folders) or "…"
    return ShownSimilarity(one.kind, first, tuple(others), detail)


def _lines(
    everybody: Sequence[Row], exercises: Sequence[str], likes: Sequence[Similarity], people: People
) -> list[Line]:
    """The table of students, with each row's place in every order."""
    shared = {student for one in likes for student in one.students}
    lines: list[Line] = []
    keys: list[list[tuple[float, int]]] = []
    for place, row in enumerate(everybody):
        results = [row.record.exercise(e) if row.record else None for e in exercises]
        lines.append(
            Line(
                who=people.shown(row.student),
                status=row.status,
                word=classfacts.STATUS[row.status],
                score=summary.points(row.record.score) if row.record else None,
                cells=tuple(summary.points(r.score) if r else None for r in results),
                seconds=row.seconds,
                remarks=len(row.entry.remarks) if row.entry else 0,
                like=row.student in shared,
            )
        )
        numbers = [row.record.score if row.record else -1.0]
        numbers += [result.score if result else -1.0 for result in results]
        keys.append([(float(place), place), *((n, place) for n in [*numbers, row.seconds])])
    ranks: list[list[int]] = [[0] * len(keys[0]) for _ in keys] if keys else []
    for column in range(len(keys[0]) if keys else 0):
        for rank, at in enumerate(sorted(range(len(keys)), key=lambda n: keys[n][column])):
            ranks[at][column] = rank
    return [replace(line, ranks=tuple(rank)) for line, rank in zip(lines, ranks, strict=True)]


def _name(text: str) -> str:
    """A name or a source as one line of limited length."""
    return sentence(text, width=60)


@cache
def _environment() -> Environment:
    environment = feedback.environment().overlay()
    environment.filters = {**environment.filters, "name": _name}
    environment.globals = {
        **environment.globals,
        "reasons_of": classchecks.reasons,
        "count": count,
        "histogram": histogram.draw,
    }
    return environment
