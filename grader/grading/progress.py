"""How far an exercise is, told while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from grader.lab.model import Exercise
from grader.record import ExerciseResult


@dataclass
class Progress:
    """What a caller may follow; every function is called from the thread that grades."""

    started: Callable[[Exercise], None] = lambda _exercise: None
    collected: Callable[[Exercise, int], None] = lambda _exercise, _checks: None
    check: Callable[[Exercise, dict[str, Any]], None] = lambda _exercise, _result: None
    doing: Callable[[Exercise, str], None] = lambda _exercise, _what: None
    finished: Callable[[ExerciseResult], None] = lambda _result: None
    waiting: Callable[[Exercise, str], None] = lambda _exercise, _what: None
    stage: Callable[[Exercise, str, float], None] = lambda _exercise, _name, _seconds: None
    """Called when a stage ends, with the seconds that it took: `sandbox`, and those of checks."""


def now() -> str:
    """The time as ISO 8601 with the machine's offset from UTC, to the second."""
    return datetime.now().astimezone().isoformat(timespec="seconds")
