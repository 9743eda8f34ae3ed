"""Exercise registry: its runbook, read and played."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from grader.checks import CheckFailed, needs_first
from grader.engine.images import catalogue
from grader.modules.runbook import vetted
from grader.modules.runbook.vetted import Book
from grader.vetting import imagecli
from grader.vetting.imagecli import Vetted

from .scenario import DIGEST, FILE, HOST, Scenario


@pytest.fixture(scope="session")
def book(submission: Path, lab: Any, variant: Mapping[str, Any]) -> Book[Vetted]:
    images = catalogue.load().all_names(lab.exercise("registry").images)
    rules = imagecli.Rules(images, int(variant["registry_port"]))
    return vetted.read(submission, FILE, [HOST], lambda words: imagecli.vet(words, rules), [DIGEST])


@pytest.fixture(scope="session")
def scenario(
    node: Any,
    variant: Mapping[str, Any],
    target: Any,
    step_checks: list[Any],
    stage: Callable[[str], Any],
    request: pytest.FixtureRequest,
) -> Scenario:
    try:
        book = request.getfixturevalue("book")
    except CheckFailed:
        needs_first("runbook")
    return Scenario(node, book, variant, target.timeout_factor, step_checks, stage)
