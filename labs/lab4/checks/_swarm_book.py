"""The submitted runbook: read, vetted, and what is not run of it."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader import runbook
from grader.checks import fail
from grader.runbook import Command, Problem
from grader.vetting import dockercli
from grader.vetting.dockercli import NotAllowed, Vetted

FILE = "swarm/runbook.txt"
NODES = ("manager1", "worker1", "worker2")


@dataclass(frozen=True)
class Allowed:
    """A command that is run."""

    command: Command
    vetted: Vetted

    def argv(self, values: dict[str, str]) -> list[str]:
        """What is run on the node. The grader does the waiting, so it adds `--detach`."""
        words = self.command.filled(values)
        at = self.vetted.detach_at
        return words if at is None else [*words[:at], "--detach", *words[at:]]


@dataclass(frozen=True)
class Part:
    """A step: its commands that are run, and the problems with others."""

    name: str
    line: int
    commands: tuple[Allowed, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Book:
    """The steps in their order; `problems` are those of all steps by line."""

    parts: tuple[Part, ...]
    problems: tuple[Problem, ...]

    def named(self, name: str) -> list[Part]:
        wanted = runbook.normal(name)
        return [part for part in self.parts if runbook.normal(part.name) == wanted]

    def miss(self, name: str, known: Collection[str]) -> None:
        """End the check: there is no such step. `known` are the names the exercise has."""
        names = [part.name for part in self.parts if part.name]
        graded = {runbook.normal(k) for k in known}
        others = [n for n in names if runbook.normal(n) not in graded]
        near = difflib.get_close_matches(name, others, n=1, cutoff=0.6)
        hint = f"Write # step: {name}"
        if near:
            hint += f" (your step “{near[0]}” may be meant)"
        fail(
            f"The runbook has no step “{name}”.",
            expected=f"# step: {name}",
            actual="steps: " + (", ".join(names) or "none"),
            hint=hint + ", and below it the commands.",
        )


def read(submission: Path, images: Collection[str]) -> Book:
    """Read and vet it; ends the check where there is none. `images`: all names the lab has."""
    path = submission / FILE
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError:
        fail(f"There is no file {FILE}.", hint="Delete the folder swarm/ to get the starter back.")
    except UnicodeDecodeError:
        fail(f"{FILE} is not a text in UTF-8.", hint="Save it as plain text, in UTF-8.")
    book = runbook.parse(text, NODES)
    parts: list[Part] = []
    every = list(book.problems)
    ends = [*(step.line for step in book.steps[1:]), 10**9]
    for step, end in zip(book.steps, ends, strict=False):  # There may be no step at all.
        found = [_vetted(command, images) for command in step.commands]
        refused = [entry for entry in found if isinstance(entry, Problem)]
        every += refused
        unread = [p for p in book.problems if step.line <= p.line < end]
        allowed = tuple(entry for entry in found if isinstance(entry, Allowed))
        problems = tuple(sorted([*refused, *unread], key=lambda p: p.line))
        parts.append(Part(step.name, step.line, allowed, problems))
    return Book(tuple(parts), tuple(sorted(every, key=lambda p: p.line)))


def _vetted(command: Command, images: Collection[str]) -> Allowed | Problem:
    try:
        return Allowed(command, dockercli.vet([str(word) for word in command.words], images))
    except NotAllowed as refused:
        return Problem(command.line, refused.reason, refused.hint)


def in_words(problems: Sequence[Problem]) -> str:
    """A line each: `line 12: why`."""
    return "\n".join((f"line {p.line}: " if p.line else "") + p.reason for p in problems)
