"""Exercise swarm: its runbook, read and played; or the student's own swarm, looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from grader.vetting.dockercli import Vetted

from . import book as books
from . import look
from .scenario import Round, Scenario


@pytest.fixture(scope="session")
def book(submission: Path, allowed_images: Sequence[str]) -> books.Book[Vetted]:
    return books.read(submission, allowed_images)


@pytest.fixture(scope="session")
def scenario(
    target: Any,
    variant: dict[str, Any],
    step_checks: list[Any],
    stage: Any,
    request: pytest.FixtureRequest,
) -> Iterator[Round]:
    """The runbook, played; on a read-only target a look at what is there, whatever the runbook
    says."""
    playing: Round
    if target.read_only:
        playing = look.Look(target, variant, step_checks, stage)
    else:
        playing = Scenario(target, request.getfixturevalue("book"), variant, step_checks, stage)
    yield playing
    playing.close()
