"""Exercise registry: a runbook that runs a registry, and brings images there and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from grader.checks import CheckFailed, check, fail, needs_first
from grader.engine.images import catalogue
from grader.modules.runbook import vetted
from grader.modules.runbook.vetted import Book, readable
from grader.vetting import imagecli
from grader.vetting.imagecli import Vetted

from .play import DIGEST, FILE, HOST, Play
from .steps import JUDGES


@pytest.fixture(scope="session")
def book(submission: Path, lab: Any, variant: Mapping[str, Any]) -> Book[Vetted]:
    images = catalogue.load().all_names(lab.exercise("registry").images)
    rules = imagecli.Rules(images, int(variant["registry_port"]))
    return vetted.read(submission, FILE, [HOST], lambda words: imagecli.vet(words, rules), [DIGEST])


@pytest.fixture(scope="session")
def play(
    node: Any,
    variant: Mapping[str, Any],
    target: Any,
    stage: Callable[[str], Any],
    request: pytest.FixtureRequest,
) -> Play:
    try:
        book = request.getfixturevalue("book")
    except CheckFailed:
        needs_first("runbook")
    return Play(node, book, variant, target.timeout_factor, JUDGES, stage)


@check(points=1, needs_engine=False)
def check_runbook(book: Book[Vetted]) -> None:
    """registry/runbook.txt can be read, and all its commands are commands of this exercise."""
    readable(book, f"docker commands, each behind {HOST}$")
    if not any(part.commands for part in book.parts):
        fail(
            "The runbook has no command yet.",
            expected="below each step, what you would type",
            hint=f"Begin with `{HOST}$ docker run …` below # step: run the registry",
        )


@check(points=3)
def check_runs(play: Play) -> None:
    """Run the registry: it answers at your port, and keeps what is pushed in your volume."""
    play.see("runs")


@check(points=2)
def check_tagged(play: Play) -> None:
    """Tag: drydock/demo:1.0 has a name of your registry, too."""
    play.see("tagged")


@check(points=3)
def check_pushed(play: Play) -> None:
    """Push: your registry has the image under your first tag."""
    play.see("pushed")


@check(points=3)
def check_next_version(play: Play) -> None:
    """Push the next version: your registry has it under your second tag and as latest, and the
    first one as it was."""
    play.see("next_version")


@check(points=2)
def check_removed(play: Play) -> None:
    """Remove: your engine has no image of the registry any more, and the registry has all."""
    play.see("removed")


@check(points=2)
def check_pulled(play: Play) -> None:
    """Pull by tag: the image of your first tag is back, from the registry."""
    play.see("pulled")


@check(points=2)
def check_by_digest(play: Play) -> None:
    """Pull by digest: what latest leads to is pulled by the hash of its content."""
    play.see("by_digest")


@check(points=2)
def check_replaced(play: Play) -> None:
    """Replace the registry: another container of it runs, and has all that was pushed before."""
    play.see("replaced")
