"""Builds a submission of the exercise layers, changes it, and builds it again.

The given files are the kit's own, with a key that no one could know before.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from grader.checks import CheckFailed, needs_first
from grader.handout import rendering, workspace
from grader.modules import building
from grader.modules.image import Build, Image
from grader.vetting.dockerfile import Vetted
from grader.waiting import wait_until

from .run import CONTEXT, DIARY, GIVEN, KEY, MOTTO, SOURCE, Bench, Rebuilt, Said


@pytest.fixture(scope="session")
def build_seconds(lab: Any, target: Any) -> float:
    return building.seconds_of(lab, target)


@pytest.fixture(scope="session")
def vetted(submission: Path, allowed_images: Sequence[str]) -> Vetted:
    return building.vetted(submission / "layers", allowed_images)


@pytest.fixture(scope="session")
def key() -> str:
    return f"key-{secrets.token_hex(12)}"


@pytest.fixture(scope="session")
def mark() -> str:
    """A word that stands in the notes."""
    return f"dear-diary-{secrets.token_hex(12)}"


@pytest.fixture(scope="session")
def given(lab: Any, student: str, key: str, mark: str) -> dict[str, bytes]:
    """The files that are handed out beside the Dockerfile, as the kit builds with them."""
    files = rendering.render(lab.templates / "layers", workspace.values(lab, student))
    own = {KEY: f"{key}\n".encode(), DIARY: f"{mark}\n".encode()}
    return {name: own.get(name, files[name]) for name in GIVEN}


@pytest.fixture(scope="session")
def bench(
    node: Any,
    lab: Any,
    given: Mapping[str, bytes],
    build_seconds: float,
    target: Any,
    stage: Callable[[str], Any],
) -> Bench:
    return Bench(node, lab, build_seconds, target.timeout_factor, stage, given)


@pytest.fixture(scope="session")
def build(bench: Bench, submission: Path, vetted: Vetted) -> Build:
    bench.node.put(submission / "layers", CONTEXT)
    bench.node.put({"Dockerfile": vetted.text.encode()}, CONTEXT)
    return bench.build("first", {})


@pytest.fixture(scope="session")
def image(request: pytest.FixtureRequest) -> Image:
    """The image; without one, the check waits for the one that says why."""
    try:
        build: Build = request.getfixturevalue("build")
    except CheckFailed:
        needs_first("works")
    if build.image is None:
        needs_first("works")
    return build.image


@pytest.fixture(scope="session")
def said(bench: Bench, image: Image) -> Said:
    said = bench.ask(image)
    # The time of compilation has whole seconds: what is compiled from now on has another one.
    now = time.monotonic()
    wait_until(lambda: time.monotonic() > now + 1.1, within=3)
    return said


@pytest.fixture(scope="session")
def other_motto(bench: Bench, said: Said) -> Rebuilt:
    motto = f"Motto {secrets.token_hex(6)}"
    return bench.again("motto", {MOTTO: f"{motto}\n".encode()}, motto)


@pytest.fixture(scope="session")
def other_source(
    bench: Bench, said: Said, given: Mapping[str, bytes], variant: Mapping[str, Any]
) -> Rebuilt:
    """main.c with another factor, which is the mark."""
    factor = str(secrets.randbelow(800) + 100)
    line = f"#define FACTOR {variant['program_factor']}\n".encode()
    text = given[SOURCE].replace(line, f"#define FACTOR {factor}\n".encode())
    assert text != given[SOURCE]
    return bench.again("source", {SOURCE: text}, factor)


@pytest.fixture(scope="session")
def other_notes(bench: Bench, said: Said) -> Build:
    new = {DIARY: secrets.token_hex(9).encode(), "notes/day-2.md": secrets.token_hex(9).encode()}
    return bench.build("notes", new)
