"""Checks the engine, disk and memory, and repairs what the kit can repair."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from grader.classroom.batch import machine
from grader.classroom.batch.breaker import Trouble
from grader.classroom.batch.capacity import GIB, MIB
from grader.errors import KitError

if TYPE_CHECKING:
    from grader.engine.client import Engine

LEAST_DISK = 1 * GIB
LEAST_RESULTS = 50 * MIB
"""Results are small, and may be on another disk."""

LEAST_MEMORY = 300 * MIB
EASE = 1.25
"""A pause ends only when this much more than the minimum is free, so that it does not flicker."""

ANSWER_SECONDS = 20


def room(out: Path, *, paused: bool = False) -> Trouble | None:
    """Return what has run out: the results' disk, the sandboxes' disk, or memory."""
    from grader import paths

    ease = EASE if paused else 1.0
    for place, least in ((out, LEAST_RESULTS), (paths.data_dir(), LEAST_DISK)):
        if not place.exists():
            continue
        free = shutil.disk_usage(place).free
        if free < least * ease:
            return Trouble(
                "disk",
                f"Only {free / MIB:.0f} MiB are free on the disk of {place}.",
                f"Free at least {least * EASE / MIB:.0f} MiB there.",
            )
    free = machine.free_memory()
    if free < LEAST_MEMORY * ease:
        return Trouble(
            "memory",
            f"Only {free / MIB:.0f} MiB of memory are free.",
            "Close other programs, or stop (Ctrl-C) and continue with a smaller --jobs.",
        )
    return None


def engine(engine: Engine | None) -> Trouble | None:
    """Return what is wrong with the engine, judged by whether it answers."""
    from grader.engine import engine_state

    if engine is None:
        return None
    if engine_state.answers(engine.url, ANSWER_SECONDS) if engine.tls is None else _answers(engine):
        return None
    if engine.origin == "embedded":
        remedy = "The kit starts it again."
    else:
        remedy = "Start Docker again; grading continues when it answers."
    return Trouble("engine", f"The Docker engine at {engine.url} does not answer.", remedy)


def _answers(engine: Engine) -> bool:
    from grader.engine import client

    return client.probe(engine.url, engine.origin, engine.tls, ANSWER_SECONDS) is not None


def trial(engine: Engine, image_set: str) -> Trouble | None:
    """Make a sandbox and remove it; return what is wrong if that fails."""
    from grader.engine.sandbox import Sandbox

    try:
        Sandbox.create(engine, nodes=1, submission="trial", image_set=image_set).remove()
    except KitError as error:
        return Trouble(
            "engine",
            f"A sandbox cannot be made: {error.what}",
            error.remedy or "Check the engine: python -m grader doctor",
        )
    return None
