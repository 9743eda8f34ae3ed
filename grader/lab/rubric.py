"""The questions that a person marks, and what earns points in each: a lab's rubric.yaml.

A lab without that file has no such questions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from grader.errors import KitError
from grader.lab.model import Lab
from grader.lab.reader import Key, Reader

FILE = "rubric.yaml"


@dataclass(frozen=True)
class Criterion:
    """What earns so many points."""

    points: float
    text: str


@dataclass(frozen=True)
class Question:
    """One question; `id` is the grade_id of its answer cell, `points` the most it gives."""

    id: str
    title: str
    text: str
    points: float
    criteria: tuple[Criterion, ...]
    note: str = ""


def load(lab: Lab) -> tuple[Question, ...]:
    """The lab's questions in their order; KitError with file, line and key if the file is wrong."""
    file = lab.folder / FILE
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise KitError(f"The rubric cannot be read: {error}.", where=str(file)) from None
    reader = Reader(file, text)
    if not isinstance(reader.data, list) or not reader.data:
        reader.wrong((), "This must be a list of questions.")
    found: list[Question] = []
    for index, item in enumerate(reader.data):
        question = _question(reader, item, (index,))
        if question.id in {known.id for known in found}:
            reader.wrong((index, "id"), f"There are two questions {question.id!r}.")
        found.append(question)
    return tuple(found)


def _question(reader: Reader, item: Any, key: Key) -> Question:
    entry = reader.mapping(item, key, {"id", "title", "text", "points", "gives"}, {"note"})
    name = reader.text(entry["id"], (*key, "id"))
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        reader.wrong(
            (*key, "id"), f"{name!r} is not a valid grade_id.", "Use letters, digits, - and _."
        )
    if not isinstance(entry["gives"], list) or not entry["gives"]:
        reader.wrong((*key, "gives"), "This must be a list of what earns points.")
    criteria = tuple(
        _criterion(reader, given, (*key, "gives", place))
        for place, given in enumerate(entry["gives"])
    )
    points = _points(reader, entry["points"], (*key, "points"))
    together = sum(criterion.points for criterion in criteria)
    if together != points:
        reader.wrong(
            (*key, "points"), f"The question gives {points:g} points, its parts {together:g}."
        )
    return Question(
        id=name,
        title=reader.text(entry["title"], (*key, "title")),
        text=reader.text(entry["text"], (*key, "text")),
        points=points,
        criteria=criteria,
        note=reader.text(entry["note"], (*key, "note")) if "note" in entry else "",
    )


def _criterion(reader: Reader, item: Any, key: Key) -> Criterion:
    entry = reader.mapping(item, key, {"points", "for"})
    return Criterion(
        _points(reader, entry["points"], (*key, "points")),
        reader.text(entry["for"], (*key, "for")),
    )


def _points(reader: Reader, value: Any, key: Key) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1000:
        reader.wrong(key, f"This must be a number of points above 0, it is {value!r}.")
    return float(value)
