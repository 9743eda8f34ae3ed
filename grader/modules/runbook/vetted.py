"""A submitted runbook: read, vetted, and the commands of it that are not run."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from grader.checks import fail
from grader.modules.runbook import parse
from grader.modules.runbook.parse import Command
from grader.vetting.refusal import Refusal

V = TypeVar("V")
"""What vetting returns for a command that may run."""


@dataclass(frozen=True)
class Allowed(Generic[V]):
    """A command that is run."""

    command: Command
    vetted: V


@dataclass(frozen=True)
class Part(Generic[V]):
    """A step: its commands that run, and the problems with the others."""

    name: str
    line: int
    commands: tuple[Allowed[V], ...]
    problems: tuple[Refusal, ...]


@dataclass(frozen=True)
class Book(Generic[V]):
    """The steps in order; `problems` are those of all steps, by line."""

    parts: tuple[Part[V], ...]
    problems: tuple[Refusal, ...]

    def named(self, name: str) -> list[Part[V]]:
        wanted = parse.normal(name)
        return [part for part in self.parts if parse.normal(part.name) == wanted]

    def miss(self, name: str, known: Collection[str]) -> None:
        """End the check because the step is missing. `known` are the exercise's step names."""
        names = [part.name for part in self.parts if part.name]
        graded = {parse.normal(k) for k in known}
        others = [n for n in names if parse.normal(n) not in graded]
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


def read(
    submission: Path,
    file: str,
    nodes: Collection[str],
    vet: Callable[[list[str]], V],
    names: Collection[str] = parse.VARIABLES,
) -> Book[V]:
    """Read and vet a runbook; ends the check if there is none. `nodes` are those on which
    commands may run, `names` the names with values. `vet` checks the words of a command and
    raises Refusal."""
    path = submission / file
    folder = file.partition("/")[0]
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError:
        fail(
            f"There is no file {file}.",
            hint=f"Delete the folder {folder}/ to get the starter back.",
        )
    except UnicodeDecodeError:
        fail(f"{file} is not UTF-8 text.", hint="Save it as plain text, in UTF-8.")
    book = parse.parse(text, nodes, names)
    parts: list[Part[V]] = []
    every = list(book.problems)
    ends = [*(step.line for step in book.steps[1:]), 10**9]
    for step, end in zip(book.steps, ends, strict=False):  # There may be no step at all.
        found = [_vetted(command, vet) for command in step.commands]
        refused = [entry for entry in found if isinstance(entry, Refusal)]
        every += refused
        unread = [p for p in book.problems if step.line <= p.line < end]
        allowed = tuple(entry for entry in found if isinstance(entry, Allowed))
        problems = tuple(sorted([*refused, *unread], key=lambda p: p.line))
        parts.append(Part(step.name, step.line, allowed, problems))
    return Book(tuple(parts), tuple(sorted(every, key=lambda p: p.line)))


def _vetted(command: Command, vet: Callable[[list[str]], V]) -> Allowed[V] | Refusal:
    try:
        return Allowed(command, vet([str(word) for word in command.words]))
    except Refusal as refused:
        return Refusal(refused.reason, refused.hint, command.line)


def in_words(problems: Sequence[Refusal]) -> str:
    """One line for each problem: `line 12: why`."""
    return "\n".join((f"line {p.line}: " if p.line else "") + p.reason for p in problems)


def readable(book: Book[V], expected: str) -> None:
    """End the check if a command does not run."""
    if not book.problems:
        return
    first = book.problems[0]
    fail(
        f"Line {first.line} cannot be run: {first.reason}" if first.line else first.reason,
        expected=expected,
        actual=in_words(book.problems),
        hint=first.hint,
    )
