"""Exercise hello: an image whose page says the student's own word."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from grader.checks import check, fail
from grader.modules import building, http
from grader.modules.explain import Explainer
from grader.modules.image import Build, Running, WillNotStart
from grader.modules.outcomes import must_have_built
from grader.vetting.dockerfile import Vetted
from grader.waiting import wait_until

CONTEXT = "/drydock/hello"
"""The student's folder on the node."""

EXPLAINER = Explainer("hello")


@pytest.fixture(scope="session")
def vetted(submission: Path, allowed_images: Sequence[str]) -> Vetted:
    """The Dockerfile, read before anything of it runs; the check that asks for it fails if not."""
    return building.vetted(submission / "hello", allowed_images)


@pytest.fixture(scope="session")
def build(node: Any, submission: Path, lab: Any, target: Any, vetted: Vetted) -> Build:
    """The build, which is not graded where no one can fetch packages."""
    node.put(submission / "hello", CONTEXT)
    node.put({"Dockerfile": vetted.text.encode()}, CONTEXT)
    return building.build(node, CONTEXT, "submission/hello", lab, building.seconds_of(lab, target))


@check(points=0.5, needs_engine=False)
def check_dockerfile(vetted: Vetted) -> None:
    """hello/Dockerfile can be read, and builds on an image of this lab."""


@check(points=0.5, needs=["dockerfile"])
def check_builds(build: Build, lab: Any, target: Any) -> None:
    """hello/Dockerfile builds."""
    must_have_built(build.done, building.seconds_of(lab, target), EXPLAINER)


@check(
    points=4,
    needs=["builds"],
    hint="COPY index.html to /usr/share/nginx/html/, from where nginx serves pages.",
)
def check_says_the_word(node: Any, build: Build, variant: dict[str, Any]) -> None:
    """A container of the image shows your word at port 80."""
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
        shown = answer.text if answer and answer.ok else ""
        if word not in shown:
            fail(
                "The page does not show your word.",
                expected=f"a page with {word}",
                actual=shown[:200] or (f"status {answer.status}" if answer else "no answer"),
                log=running.log(),
            )
    finally:
        running.remove()
