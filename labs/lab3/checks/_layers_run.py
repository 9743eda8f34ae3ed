"""What is done with a submission of the exercise layers: it is built, changed, and built again.

The given files are the kit's own, with a key that nobody could know before.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from _building import build as build_folder
from _building import seconds_of
from _building import vetted as vetted_dockerfile

from grader.checks import CheckFailed, fail, needs_first
from grader.handout import rendering, workspace
from grader.modules.image import Build, Image
from grader.nodes.node import Completed
from grader.vetting.dockerfile import Vetted
from grader.waiting import wait_until

CONTEXT = "/drydock/layers"
"""The student's folder on the node, where the image is built."""

SOURCE, MOTTO, KEY, DIARY = "main.c", "texts/motto.txt", "deploy.key", "notes/diary.md"
GIVEN = (SOURCE, MOTTO, KEY, DIARY)

RUN_WITHIN = 30


@dataclass(frozen=True)
class Said:
    """What the program printed: `result`, `compiled`, `user` and `motto`, as far as they are there.

    `number` is what it was asked.
    """

    number: int
    done: Completed
    values: Mapping[str, str]


@dataclass(frozen=True)
class Rebuilt:
    """A build after a change of one file, and what the program says then (None: no image).

    `mark` is the change.
    """

    build: Build
    said: Said | None
    mark: str


@pytest.fixture(scope="session")
def build_seconds(lab: Any, target: Any) -> float:
    return seconds_of(lab, target)


@pytest.fixture(scope="session")
def vetted(submission: Path, lab: Any) -> Vetted:
    return vetted_dockerfile(submission, "layers", lab)


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


@dataclass
class Bench:
    """Where the folder is built again and again, each time from the given files but for one."""

    node: Any
    lab: Any
    seconds: float
    timeout_factor: float
    stage: Callable[[str], Any]
    given: Mapping[str, bytes]

    def build(self, tag: str, changed: Mapping[str, bytes]) -> Build:
        self.node.put({**self.given, **changed}, CONTEXT)
        with self.stage(f"build {tag}"):
            return build_folder(
                self.node, CONTEXT, f"submission/layers:{tag}", self.lab, self.seconds
            )

    def ask(self, image: Image) -> Said:
        """Run the program, with a number chosen now."""
        number = secrets.randbelow(9000) + 1000
        done = image.run([str(number)], seconds=RUN_WITHIN * self.timeout_factor)
        found = re.findall(r"^(result|compiled|user|motto): (.*)$", done.out, re.MULTILINE)
        return Said(number, done, {name: said.rstrip() for name, said in found})

    def again(self, tag: str, changed: Mapping[str, bytes], mark: str) -> Rebuilt:
        build = self.build(tag, changed)
        return Rebuilt(build, self.ask(build.image) if build.image else None, mark)


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


def must_say(said: Said, what: str, wanted: str, reason: str, hint: str) -> None:
    """The program printed this value."""
    if said.values.get(what) == wanted:
        return
    fail(
        reason,
        expected=f"{what}: {wanted}",
        actual=f"{what}: {said.values[what]}"
        if what in said.values
        else (said.done.tail(5) or "no output"),
        hint=hint,
        log=said.done.tail(40),
    )
