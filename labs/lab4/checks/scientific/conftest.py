"""Builds and runs a submission of the exercise scientific, each step once, for all its checks."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from grader.errors import EngineFault
from grader.modules import building
from grader.modules.image import Build, Image, Running
from grader.modules.outcomes import must_have_worked
from grader.modules.packages import blame_the_network
from grader.nodes.node import Completed
from grader.vetting.dockerfile import Vetted
from grader.waiting import wait_until

from .data import data_set
from .run import (
    AGAIN,
    ANALYSIS_SECONDS,
    ASK,
    CONTEXT,
    DATA,
    GIVEN,
    JUPYTER_PORT,
    RESULTS,
    TAG,
    Analysis,
    Inside,
    Rebuilt,
    answer_of,
    build_on,
    left,
    no_python,
    start,
    user,
)
from .says import EXPLAINER


@pytest.fixture(scope="session")
def folder(submission: Path) -> Path:
    return submission / "scientific"


@pytest.fixture(scope="session")
def build_seconds(lab: Any, target: Any) -> float:
    return float(lab.limits["build_seconds"] * target.timeout_factor)


@pytest.fixture(scope="session")
def vetted(folder: Path, allowed_images: Sequence[str]) -> Vetted:
    """The Dockerfile, whose images are all the lab's; the check that asks for it fails if not."""
    return building.vetted(folder, allowed_images)


@pytest.fixture(scope="session")
def given(lab: Any) -> bytes:
    return bytes((lab.templates / "scientific" / GIVEN).read_bytes())


@pytest.fixture(scope="session")
def build(
    node: Any,
    lab: Any,
    folder: Path,
    vetted: Vetted,
    given: bytes,
    build_seconds: float,
    stage: Callable[[str], Any],
) -> Build:
    """The build of the folder, with the kit's own analysis.py in it."""
    node.put(folder, CONTEXT)
    node.put({"Dockerfile": vetted.text.encode(), GIVEN: given}, CONTEXT)
    with stage("build"):
        build = build_on(node, lab, TAG, build_seconds)
    blame_the_network(node, build.done)
    return build


@pytest.fixture(scope="session")
def image(build: Build) -> Image:
    assert build.image is not None
    return build.image


@pytest.fixture(scope="session")
def rebuilt(
    node: Any,
    lab: Any,
    image: Image,
    given: bytes,
    build_seconds: float,
    stage: Callable[[str], Any],
) -> Rebuilt:
    mark = f"changed-{secrets.token_hex(8)}"
    node.put({GIVEN: given + f"# {mark}\n".encode()}, CONTEXT)
    try:
        with stage("build again"):
            build = build_on(node, lab, AGAIN, build_seconds)
    finally:
        node.put({GIVEN: given}, CONTEXT)
    blame_the_network(node, build.done)
    return Rebuilt(build, mark)


@pytest.fixture(scope="session")
def inside(node: Any, image: Image, target: Any) -> Inside:
    """Asked as `docker run IMAGE python3 …`; past an ENTRYPOINT that runs no such thing."""
    said = ""
    for before, after in (([], ["python3"]), (["--entrypoint", "python3"], [])):
        options = ["--network", "none", *before]
        container = start(node, options, [*after, "-c", ASK])
        if isinstance(container, Completed):
            said = container.out
            continue
        try:
            answer = wait_until(partial(answer_of, container), within=30 * target.timeout_factor)
            if answer and answer != "ended":
                modules, python, debian = answer
                return Inside(modules, python, debian, user(node, container))
            said = container.log()
        finally:
            container.remove()
    return no_python(said)


@pytest.fixture(scope="session")
def analysis(
    node: Any, image: Image, variant: Mapping[str, Any], student: str, target: Any
) -> Analysis:
    """analysis.py run on data made from the student's values."""
    data = data_set("\0".join([student, *(f"{k}={v}" for k, v in sorted(variant.items()))]))
    node.put(data.files, DATA)
    # Whoever the image runs as may write here, and read there.
    node.run(["chmod", "-R", "a+rX", DATA], timeout=30)
    node.run(["rm", "-rf", RESULTS], timeout=30)
    made = node.run(["mkdir", "-p", "-m", "0777", RESULTS], timeout=30)
    if not made.ok:
        raise EngineFault(f"The node makes no folder: {made.out}")
    name = f"analysis-{secrets.token_hex(4)}"
    options = ["--rm", "--name", name, "--network", "none", "--label", "drydock.role=submission"]
    mounts = ["--volume", f"{DATA}:/data:ro", "--volume", f"{RESULTS}:/results"]
    done = node.run(
        ["docker", "run", *options, *mounts, TAG, "python3", GIVEN],
        timeout=ANALYSIS_SECONDS * target.timeout_factor,
    )
    if done.timed_out:
        node.run(["docker", "rm", "--force", name], timeout=60)
    return Analysis(
        done,
        data,
        left(node, f"{RESULTS}/results.json"),
        left(node, f"{RESULTS}/plot.png"),
    )


@pytest.fixture(scope="session")
def jupyter(node: Any, image: Image, variant: Mapping[str, Any]) -> Iterator[Running]:
    """The image, run as it is, with the student's token; its port 8888 is the student's port."""
    port, token = variant["jupyter_port"], variant["jupyter_token"]
    options = ["--publish", f"{port}:{JUPYTER_PORT}", "--env", f"JUPYTER_TOKEN={token}"]
    container = start(node, options, [])
    if isinstance(container, Completed):
        must_have_worked(
            container, "docker run", 60, "Run docker run yourself to see the error.", EXPLAINER
        )
        raise EngineFault("docker run did not tell which container it started.")
    yield container
    container.remove()
