"""Builds and runs a submission of the exercise image, each step once, for its checks."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from grader.modules import building
from grader.modules.image import Build, Image, Running
from grader.modules.web.php_page import Page
from grader.modules.web.web_container import must_start
from grader.vetting.dockerfile import Vetted

from .run import CONTEXT, OTHER_TAG, RELEASE, TAG
from .says import EXPLAINER


@pytest.fixture(scope="session")
def vetted(submission: Path, allowed_images: Sequence[str]) -> Vetted:
    return building.vetted(submission / "image", allowed_images)


@pytest.fixture(scope="session")
def build_seconds(lab: Any, target: Any) -> float:
    return building.seconds_of(lab, target)


@pytest.fixture(scope="session")
def page(variant: dict[str, Any], student: str, node: Any, target: Any) -> Page:
    site, factor = str(variant["site_name"]), int(variant["page_factor"])
    return Page(site, student, factor, node, target.timeout_factor, target.read_only)


@pytest.fixture(scope="session")
def build(
    node: Any,
    submission: Path,
    lab: Any,
    vetted: Vetted,
    build_seconds: float,
    stage: Callable[[str], Any],
) -> Build:
    node.put(submission / "image", CONTEXT)
    node.put({"Dockerfile": vetted.text.encode()}, CONTEXT)
    with stage("build"):
        return building.build(node, CONTEXT, TAG, lab, build_seconds)


@pytest.fixture(scope="session")
def image(build: Build) -> Image:
    assert build.image is not None
    return build.image


@pytest.fixture(scope="session")
def other_release() -> str:
    """Chosen now, so that no Dockerfile can have it."""
    return f"{10 + secrets.randbelow(80)}.{100 + secrets.randbelow(900)}"


@pytest.fixture(scope="session")
def other_build(
    node: Any,
    submission: Path,
    lab: Any,
    allowed_images: Sequence[str],
    image: Image,
    other_release: str,
    build_seconds: float,
    stage: Callable[[str], Any],
) -> Build:
    """The same folder, built with another RELEASE."""
    arguments = {RELEASE: other_release}
    building.vetted(submission / "image", allowed_images, arguments)
    with stage("build with --build-arg"):
        return building.build(node, CONTEXT, OTHER_TAG, lab, build_seconds, arguments)


@pytest.fixture(scope="session")
def container(node: Any, image: Image, variant: dict[str, Any]) -> Iterator[Running]:
    running = must_start(node, image, int(variant["page_port"]), EXPLAINER)
    yield running
    running.remove()
