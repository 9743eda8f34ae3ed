"""lab.yaml: read, checked, and refused with file, line and key where it is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from grader import paths
from grader.errors import KitError
from grader.lab import late as lateness
from grader.lab.late import Late
from grader.lab.model import Exercise, Lab, Parameter
from grader.lab.reader import Key, Reader

NEEDED_LIMITS = ("build_seconds", "start_seconds", "exercise_seconds", "output_kb")


class LabReader(Reader):
    """Turns lab.yaml into a Lab."""

    def lab(self, folder: Path) -> Lab:
        top = self.mapping(
            self.data,
            (),
            {"id", "title", "course", "students", "exercises", "limits", "variant"},
            {"words", "distinct", "late"},
        )
        if top["id"] != folder.name:
            self.wrong(
                ("id",), f"The id is {top['id']!r}, the folder {folder.name!r}.", "Use one name."
            )
        students = self.students(top["students"])
        limits = self.limits(top["limits"])
        parameters = self.parameters(top["variant"], top.get("words") or {})
        return Lab(
            id=self.text(top["id"], ("id",)),
            course=self.text(top["course"], ("course",)),
            title=self.text(top["title"], ("title",)),
            student_pattern=students["pattern"],
            example_student=students["example"],
            demo_student=students["demo"],
            exercises=self.exercises(top["exercises"], limits["exercise_seconds"]),
            limits=limits,
            parameters=parameters,
            distinct=self.distinct(top.get("distinct") or [], parameters),
            folder=folder,
            templates=folder.parent.parent / "templates" / folder.name,
            late=self.late(top["late"]) if "late" in top else None,
        )

    def late(self, value: Any) -> Late:
        key = "late"
        entry = self.mapping(value, (key,), {"deadline", "grace", "percent"}, {"most"})
        return Late(
            deadline=self.moment(entry["deadline"], (key, "deadline")),
            grace=self.number(entry["grace"], (key, "grace"), 0),
            percent=self.percent(entry["percent"], (key, "percent")),
            most=self.percent(entry.get("most", 100), (key, "most")),
        )

    def moment(self, value: Any, key: Key) -> datetime:
        """A time with an offset from UTC."""
        remedy = 'Write it in quotes, with its offset: "2026-11-27T23:59:00+01:00".'
        # Without quotes YAML makes a time of it and may drop the offset.
        if not isinstance(value, str):
            self.wrong(key, f"This must be a text, it is {value!r}.", remedy)
        found = lateness.read(value)
        if found is None:
            self.wrong(key, f"{value!r} is not a time with an offset from UTC.", remedy)
        return found

    def percent(self, value: Any, key: Key) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
            self.wrong(key, f"This must be a number from 0 to 100, it is {value!r}.")
        return float(value)

    def students(self, value: Any) -> dict[str, str]:
        key = "students"
        students = self.mapping(value, (key,), {"pattern", "example", "demo"})
        for name, text in students.items():
            self.text(text, (key, name))
        try:
            pattern = re.compile(students["pattern"], re.ASCII)
        except re.error as error:
            self.wrong((key, "pattern"), f"This is not a regular expression: {error}.")
        for name in ("example", "demo"):
            if not pattern.fullmatch(students[name]):
                self.wrong((key, name), f"{students[name]!r} does not match the pattern.")
        return students

    def limits(self, value: Any) -> dict[str, int]:
        if not isinstance(value, dict):
            self.wrong(("limits",), f"This must be a mapping with {', '.join(NEEDED_LIMITS)}.")
        for name in NEEDED_LIMITS:
            if name not in value:
                self.wrong(("limits",), f"The key {name!r} is missing.")
        return {str(k): self.number(v, ("limits", str(k))) for k, v in value.items()}

    def exercises(self, value: Any, seconds: int) -> list[Exercise]:
        if not isinstance(value, list) or not value:
            self.wrong(("exercises",), "This must be a list of exercises.")
        result: list[Exercise] = []
        for index, item in enumerate(value):
            key = ("exercises", index)
            entry = self.mapping(
                item,
                key,
                {"id", "title", "points", "folders", "images"},
                {"nodes", "seconds", "machines", "local"},
            )
            exercise = Exercise(
                id=self.name(entry["id"], (*key, "id")),
                title=self.text(entry["title"], (*key, "title")),
                points=self.number(entry["points"], (*key, "points")),
                folders=[
                    self.name(f, (*key, "folders", i))
                    for i, f in enumerate(self.texts(entry["folders"], (*key, "folders")))
                ],
                images=self.texts(entry["images"], (*key, "images")),
                nodes=self.number(entry.get("nodes", 1), (*key, "nodes")),
                seconds=self.number(entry.get("seconds", seconds), (*key, "seconds")),
                machines=self.truth(entry.get("machines", False), (*key, "machines")),
                local=self.truth(entry.get("local", False), (*key, "local")),
            )
            if exercise.id in {e.id for e in result}:
                self.wrong((*key, "id"), f"There are two exercises {exercise.id!r}.")
            result.append(exercise)
        return result

    def parameters(self, value: Any, words: Any) -> list[Parameter]:
        if not isinstance(value, dict) or not value:
            self.wrong(("variant",), "This must be a mapping of value names to what they may be.")
        if not isinstance(words, dict):
            self.wrong(("words",), "This must be a mapping of list names to lists of words.")
        lists = {
            str(name): self.texts(items, ("words", str(name))) for name, items in words.items()
        }
        result: list[Parameter] = []
        for name, spec in value.items():
            key = ("variant", str(name))
            if self.name(name, key) in ("student", "lab", "nodes"):
                self.wrong(
                    key, f"{name!r} is a name that every workspace uses already.", "Choose another."
                )
            result.append(self.parameter(str(name), spec, key, lists))
        return result

    def parameter(
        self, name: str, spec: Any, key: Key, lists: Mapping[str, list[str]]
    ) -> Parameter:
        kinds = ("from", "choice", "words", "expression")
        kind = next((k for k in spec if k in kinds), None) if isinstance(spec, dict) else None
        if kind is None:
            self.wrong(key, "This has no kind of value.", f"Use one of: {', '.join(kinds)}.")
        if kind == "from":
            return Parameter(name, (self.range(spec, key),))
        if kind == "choice":
            choices = self.mapping(spec, key, {"choice"})["choice"]
            if isinstance(choices, list) and choices and all(type(c) is int for c in choices):
                return Parameter(name, (tuple(choices),))
            return Parameter(name, (tuple(self.texts(choices, (*key, "choice"))),))
        if kind == "words":
            entry = self.mapping(spec, key, {"words"}, {"join"})
            join = entry.get("join", "-")
            if not isinstance(join, str):
                self.wrong((*key, "join"), f"This must be a text, it is {join!r}.")
            used = self.texts(entry["words"], (*key, "words"))
            for unknown in (u for u in used if u not in lists):
                self.wrong(
                    (*key, "words"),
                    f"There is no word list {unknown!r}.",
                    "The lists are under `words`.",
                )
            return Parameter(name, tuple(tuple(lists[u]) for u in used), join)
        expression = self.mapping(spec, key, {"expression"})["expression"]
        return Parameter(name, expression=self.text(expression, (*key, "expression")))

    def range(self, spec: Any, key: Key) -> range:
        entry = self.mapping(spec, key, {"from", "to"}, {"step"})
        first = self.number(entry["from"], (*key, "from"), 0)
        last = self.number(entry["to"], (*key, "to"), 0)
        step = self.number(entry.get("step", 1), (*key, "step"))
        if last < first:
            self.wrong(key, f"The range from {first} to {last} is empty.")
        return range(first, last + 1, step)

    def distinct(self, value: Any, parameters: list[Parameter]) -> list[tuple[str, ...]]:
        if not isinstance(value, list):
            self.wrong(("distinct",), "This must be a list of lists of value names.")
        drawn = {p.name: p for p in parameters if p.expression is None}
        groups: list[tuple[str, ...]] = []
        for index, item in enumerate(value):
            group = self.texts(item, ("distinct", index))
            for name in group:
                if name not in drawn:
                    self.wrong(
                        ("distinct", index),
                        f"{name!r} is not a value that is drawn.",
                        "Only values with from, choice or words can be kept apart.",
                    )
            groups.append(tuple(group))
        for name, parameter in drawn.items():
            rivals = {other for group in groups if name in group for other in group} - {name}
            if parameter.size <= len(rivals):
                self.wrong(
                    ("variant", name),
                    f"{parameter.size} possible values are too few to differ from "
                    f"{', '.join(sorted(rivals))}.",
                )
        return groups


USUAL = "lab4"


def load(name_or_path: str | Path) -> Lab:
    """Read a lab by its name (`lab4`) or folder; KitError with file, line and key if wrong."""
    folder = Path(name_or_path)
    # A name is the kit's own lab, whatever lies in the folder that someone happens to work in.
    if str(name_or_path) in names() or not (folder / "lab.yaml").is_file():
        folder = paths.LABS / name_or_path
    file = folder / "lab.yaml"
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise KitError(f"There is no lab {str(name_or_path)!r}.", remedy=_known_labs()) from None
    except (OSError, UnicodeDecodeError) as error:
        raise KitError(f"The lab cannot be read: {error}.", where=str(file)) from None
    return LabReader(file, text).lab(folder.resolve())


def names() -> list[str]:
    """The labs of this kit."""
    return sorted(p.parent.name for p in paths.LABS.glob("*/lab.yaml"))


def usual() -> str:
    """The lab that is meant where none is named: lab4, or in a kit without it the first one."""
    there = names()
    return USUAL if USUAL in there or not there else there[0]


def _known_labs() -> str:
    return f"Labs of this kit: {', '.join(names()) or 'none'}."
