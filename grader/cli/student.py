"""The student ID: from the command line, the environment, the saved ID, or a question."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from grader import paths
from grader.errors import KitError
from grader.lab.model import Lab

VARIABLE = "DRYDOCK_STUDENT"

How = Literal["option", "environment", "remembered", "asked", "demo"]


@dataclass(frozen=True)
class Choice:
    """A student ID, how it was found, and a sentence about that ("" where it was said just now)."""

    id: str
    how: How
    note: str


def choose(lab: Lab, option: str | None = None, *, at_home: bool = True) -> Choice:
    """The student of this run: `option`, DRYDOCK_STUDENT, the remembered one, an answer, the demo.

    Asks only on a terminal, once, and remembers the answer; or the first option, where the files
    are `at_home` in the student's own workspace (else it may be a tutor who names someone).
    KitError with an example if an ID has not the lab's form; KeyboardInterrupt passes through.
    """
    if option:
        chosen = lab.check_student(option.strip())
        first = at_home and chosen != lab.demo_student and _remembered(lab) is None
        return Choice(chosen, "option", _remember(chosen) if first else "")
    named = os.environ.get(VARIABLE, "").strip()
    if named:
        try:
            lab.check_student(named)
        except KitError as error:
            raise KitError(error.what, where=VARIABLE, remedy=error.remedy) from None
        return Choice(named, "environment", f"Student {named} (from {VARIABLE}).")
    known = _remembered(lab)
    if known is not None:
        note = f"Student {known} (saved; --student chooses another)."
        return Choice(known, "remembered", note)
    if sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty():
        answer = _ask(lab)
        return Choice(answer, "asked", _remember(answer))
    note = (
        f"No student ID was given: using the demo student {lab.demo_student}"
        f" (--student {lab.example_student} or {VARIABLE} sets the student)."
    )
    return Choice(lab.demo_student, "demo", note)


def file() -> Path:
    """Where the answer is remembered."""
    return paths.data_dir() / "student.json"


def _remembered(lab: Lab) -> str | None:
    """The remembered ID; None if there is none, or it is none of this lab's."""
    try:
        known = json.loads(file().read_text(encoding="utf-8"))["student"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return known if isinstance(known, str) and lab.is_student(known) else None


def _ask(lab: Lab) -> str:
    while True:
        print(f"Your student ID ({lab.example_student}): ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            print(file=sys.stderr)
            raise KitError(
                "No student ID was given.", remedy=f"Use --student {lab.example_student}."
            )
        answer = line.strip()
        if lab.is_student(answer):
            return answer
        if answer:
            print(
                f"{answer!r} is not a student ID: it must look like {lab.example_student}.",
                file=sys.stderr,
            )


def _remember(student: str) -> str:
    """Keep the ID for the next time; the sentence that says so, or why it was not possible."""
    from grader.files.private import write_text

    try:
        write_text(file(), json.dumps({"student": student}) + "\n")
    except OSError as error:
        return f"Your student ID cannot be saved ({file()}: {error.strerror})."
    return f"Student ID saved: {student} ({file()})."
