"""Builds a submission of the exercise layers, changes it, and builds it again.

The given files are the kit's own, with a key that no one could know before.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from grader.checks import fail
from grader.modules import building
from grader.modules.image import Build, Image
from grader.nodes.node import Completed

CONTEXT = "/drydock/layers"
"""The student's folder on the node, where the image is built."""

SOURCE, MOTTO, KEY, DIARY = "main.c", "texts/motto.txt", "deploy.key", "notes/diary.md"
GIVEN = (SOURCE, MOTTO, KEY, DIARY)

RUN_WITHIN = 30


@dataclass(frozen=True)
class Said:
    """What the program printed: `result`, `compiled`, `user` and `motto`, as far as they are there.

    `number` is what it was asked.
    """

    number: int
    done: Completed
    values: Mapping[str, str]


@dataclass(frozen=True)
class Rebuilt:
    """A build after a change of one file, and what the program says then (None: no image).

    `mark` is the change.
    """

    build: Build
    said: Said | None
    mark: str


@dataclass
class Bench:
    """Where the folder is built again and again, each time from the given files but for one."""

    node: Any
    lab: Any
    seconds: float
    timeout_factor: float
    stage: Callable[[str], Any]
    given: Mapping[str, bytes]

    def build(self, tag: str, changed: Mapping[str, bytes]) -> Build:
        self.node.put({**self.given, **changed}, CONTEXT)
        with self.stage(f"build {tag}"):
            return building.build(
                self.node, CONTEXT, f"submission/layers:{tag}", self.lab, self.seconds
            )

    def ask(self, image: Image) -> Said:
        """Run the program, with a number chosen now."""
        number = secrets.randbelow(9000) + 1000
        done = image.run([str(number)], seconds=RUN_WITHIN * self.timeout_factor)
        found = re.findall(r"^(result|compiled|user|motto): (.*)$", done.out, re.MULTILINE)
        return Said(number, done, {name: said.rstrip() for name, said in found})

    def again(self, tag: str, changed: Mapping[str, bytes], mark: str) -> Rebuilt:
        build = self.build(tag, changed)
        return Rebuilt(build, self.ask(build.image) if build.image else None, mark)


def must_say(said: Said, what: str, wanted: str, reason: str, hint: str) -> None:
    """The program printed this value."""
    if said.values.get(what) == wanted:
        return
    fail(
        reason,
        expected=f"{what}: {wanted}",
        actual=f"{what}: {said.values[what]}"
        if what in said.values
        else (said.done.tail(5) or "no output"),
        hint=hint,
        log=said.done.tail(40),
    )
