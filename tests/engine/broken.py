"""A kit with faults: python -m tests.engine.broken STAGE=ID[,STAGE=ID…] ARG…

The rest of the command line is the kit's own. What raises is a part of the kit itself, in the
process that grades, where it has to do with that student: faults that no submission can make.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from typing import Any

STAGES = {
    "unpack": ("grader.classroom.intake.unpacking", "lay"),
    "plan": ("grader.grading.submission", "plan"),
    "copy": ("grader.grading.exercise", "ExerciseRun._in_target"),
    "sandbox": ("grader.engine.sandbox", "_start_all"),
    "process": ("grader.grading.exercise", "ExerciseRun._follow"),
    "record": ("grader.record", "save"),
    "page": ("grader.reports.feedback", "render"),
    "class page": ("grader.classroom.reports.classpage", "render"),
}
"""Where each stage is at home."""

TOLD = "a fault of the grader"


def broken(function: Callable[..., Any], student: str) -> Callable[..., Any]:
    """The function, which raises instead where it has to do with the student."""

    @functools.wraps(function)
    def raising(*args: Any, **options: Any) -> Any:
        if student in repr([args, options]):
            raise RuntimeError(TOLD)
        return function(*args, **options)

    return raising


def main(faults: str, *words: str) -> int:
    for fault in faults.split(","):
        stage, _, student = fault.partition("=")
        module, name = STAGES[stage]
        holder: Any = importlib.import_module(module)
        *path, last = name.split(".")
        for part in path:
            holder = getattr(holder, part)
        setattr(holder, last, broken(getattr(holder, last), student))
    from grader.cli import main as kit

    return kit(list(words))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
