"""A lab: its exercises and points, who may take it, what differs from student to student."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.errors import KitError
from grader.lab.late import Late


@dataclass(frozen=True)
class Exercise:
    """A part of a lab with points of its own.

    `folders` are the workspace's folders it grades, `images` those that a submission may build
    on or run, `nodes` how many Docker nodes it needs, `seconds` the most that grading may take;
    `machines`: it can be graded on the student's own machines, too; `local`: what the student has
    started of it on their own engine can be looked at.
    """

    id: str
    title: str
    points: float
    folders: list[str]
    images: list[str]
    nodes: int
    seconds: int
    machines: bool = False
    local: bool = False

    def runs_on(self, target: str | None) -> bool:
        """Whether it can be graded on that kind of target; None: in a sandbox."""
        if target is None:
            return True
        return self.local if target == "local" else self.machines


@dataclass(frozen=True)
class Parameter:
    """One value of a variant: one of each of the `lists`, joined, or an `expression`.

    A single list gives its items as they are, numbers as numbers.
    """

    name: str
    lists: tuple[Sequence[int | str], ...] = ()
    join: str = ""
    expression: str | None = None

    @property
    def size(self) -> int:
        """How many possible values there are."""
        return math.prod(len(items) for items in self.lists)

    def value(self, index: int) -> int | str:
        """The possible value number `index`, counted from 0."""
        picked: list[int | str] = []
        for items in self.lists:
            index, position = divmod(index, len(items))
            picked.append(items[position])
        return picked[0] if len(picked) == 1 else self.join.join(map(str, picked))


@dataclass(frozen=True)
class Lab:
    """What lab.yaml says, checked. `folder` holds it, `templates` what a handout is made from.

    `late` is what late submissions lose, in exports only.
    """

    id: str
    course: str
    title: str
    student_pattern: str
    example_student: str
    demo_student: str
    exercises: list[Exercise]
    limits: dict[str, int]
    parameters: list[Parameter]
    distinct: list[tuple[str, ...]]
    folder: Path
    templates: Path
    late: Late | None = None

    @property
    def points(self) -> float:
        return sum(exercise.points for exercise in self.exercises)

    def exercise(self, exercise_id: str) -> Exercise:
        """The exercise of that name; KitError naming those there are."""
        for exercise in self.exercises:
            if exercise.id == exercise_id:
                return exercise
        raise KitError(
            f"{self.id} has no exercise {exercise_id!r}.",
            remedy=f"Its exercises are: {', '.join(e.id for e in self.exercises)}.",
        )

    def is_student(self, student: str) -> bool:
        return re.fullmatch(self.student_pattern, student, re.ASCII) is not None

    def check_student(self, student: str) -> str:
        """The ID itself if it has the lab's form; KitError with an example otherwise."""
        if not self.is_student(student):
            raise KitError(
                f"{student!r} is not a student ID.",
                remedy=f"It must look like {self.example_student}.",
            )
        return student
