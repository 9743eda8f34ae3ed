"""Exercise hello: an image whose page says the student's own word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from grader.checks import check, fail
from grader.engine.images import catalogue
from grader.modules import http
from grader.modules.image import Build, Running, WillNotStart, build_image
from grader.vetting.dockerfile import Vetted, vet
from grader.waiting import wait_until

CONTEXT = "/drydock/hello"


def vetted(submission: Path, lab: Any) -> Vetted:
    """The Dockerfile, read before anything of it runs; ends the check if it may not be built."""
    file = submission / "hello" / "Dockerfile"
    if not file.is_file():
        fail("There is no hello/Dockerfile.", hint="Delete the folder hello/ to get it back.")
    allowed = catalogue.load().all_names(lab.exercise("hello").images)
    found = vet(file.read_text(encoding="utf-8", errors="replace"), allowed)
    for problem in found.problems:
        fail(
            problem.reason,
            expected="a Dockerfile that builds on an image of this lab",
            actual=f"line {problem.line}",
            hint=problem.hint,
        )
    return found


@pytest.fixture(scope="module")
def build(node: Any, submission: Path, lab: Any) -> Build:
    text = vetted(submission, lab).text
    node.put(submission / "hello", CONTEXT)
    node.put({"Dockerfile": text.encode()}, CONTEXT)
    seconds = float(lab.limits["build_seconds"])
    return build_image(node, CONTEXT, "submission/hello", seconds=seconds)


@check(points=0.5, needs_engine=False)
def check_dockerfile(submission: Path, lab: Any) -> None:
    """hello/Dockerfile can be read, and builds on an image of this lab."""
    vetted(submission, lab)


@check(points=0.5, needs=["dockerfile"])
def check_builds(build: Build) -> None:
    """hello/Dockerfile builds."""
    if not build.ok:
        fail("The build failed.", expected="an image", log=build.done.tail(40))


@check(
    points=4,
    needs=["builds"],
    hint="COPY index.html to /usr/share/nginx/html/, from where nginx serves pages.",
)
def check_says_the_word(node: Any, build: Build, variant: dict[str, Any]) -> None:
    """A container of the image says your word at port 80."""
    assert build.image is not None
    word = str(variant["word"])
    try:
        running = Running.start(node, build.image, port=80)
    except WillNotStart as error:
        fail("The container does not start.", actual=error.reason)
    try:
        answer = wait_until(
            lambda: http.get(node.address, running.published) if running.published else None,
            within=20,
        )
        said = answer.text if answer and answer.ok else ""
        if word not in said:
            fail(
                "The page does not say your word.",
                expected=f"a page with {word}",
                actual=said[:200] or (f"status {answer.status}" if answer else "no answer"),
                log=running.log(),
            )
    finally:
        running.remove()
