"""Runs and builds a submission of the exercise webserver, each step once, for its checks.

The image is built in the background while the machine is provisioned: both wait for packages
more than they compute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from grader.checks import CheckFailed, cannot_show, fail
from grader.modules import building
from grader.modules.image import Build, Image, Running, build_image
from grader.modules.machine import Machine
from grader.modules.own_machine import OwnMachine
from grader.modules.packages import blame_the_network
from grader.modules.tree import changes, difference
from grader.modules.web.php_page import Page
from grader.modules.web.web_container import must_start
from grader.nodes.cleanup import FILES
from grader.nodes.node import Completed
from grader.vetting.dockerfile import Vetted

from .run import BARE, CONTEXT, NOT_RUN, TAG, Second, folder_on, run_script
from .says import EXPLAINER


@pytest.fixture(scope="session")
def folder(submission: Path) -> Path:
    return submission / "webserver"


@pytest.fixture(scope="session")
def page(variant: dict[str, Any], student: str, node: Any, target: Any) -> Page:
    site, factor = str(variant["site_name"]), int(variant["page_factor"])
    return Page(site, student, factor, node, target.timeout_factor, target.read_only)


@pytest.fixture(scope="session")
def build_seconds(lab: Any, target: Any) -> float:
    """How long the script and the build may take each."""
    return float(lab.limits["build_seconds"] * target.timeout_factor)


@pytest.fixture(scope="session")
def copied(node: Any, target: Any, folder: Path) -> Iterator[str]:
    """The folder on the node; the Dockerfile as it was vetted. Nothing on a read-only target."""
    if target.read_only:
        yield ""
        return
    if folder.is_dir():
        node.put(folder, CONTEXT)
    yield CONTEXT
    if target.persistent:
        node.run(["rm", "-rf", "--", CONTEXT], timeout=60)
        node.run(["rmdir", "--ignore-fail-on-non-empty", "--", FILES], timeout=60)
        node.run(["docker", "image", "rm", "--force", TAG], timeout=120)


@pytest.fixture(scope="session")
def vetted(folder: Path, allowed_images: Sequence[str]) -> Vetted:
    return building.vetted(folder, allowed_images)


@pytest.fixture(scope="session")
def image_build(
    node: Any, lab: Any, build_seconds: float, copied: str, request: pytest.FixtureRequest
) -> Iterator[Future[Build] | None]:
    """The build of the image, which goes on while the machine is looked at. None: not vetted."""
    try:
        vetted: Vetted | None = request.getfixturevalue("vetted") if copied else None
    except CheckFailed:
        vetted = None
    if vetted is None:
        yield None
        return
    node.put({"Dockerfile": vetted.text.encode()}, copied)
    keep = lab.limits["output_kb"] * 1000
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(build_image, node, copied, TAG, seconds=build_seconds, keep=keep)


@pytest.fixture(scope="session")
def machine(
    node: Any, target: Any, variant: dict[str, Any], copied: str, image_build: Any
) -> Iterator[Machine]:
    """A bare machine in a container, or the node itself where it is a machine of the student's."""
    if target.persistent:
        machine: Machine = OwnMachine(node, only_looked_at=target.read_only)
    else:
        machine = Machine.start(node, BARE, ports=[int(variant["web_port"])])
    if copied:
        machine.put(copied, folder_on(machine))
    yield machine
    machine.remove()


@pytest.fixture(scope="session")
def first_run(
    machine: Machine, target: Any, lab: Any, build_seconds: float, stage: Callable[[str], Any]
) -> Completed:
    """The first run of the script. NOT_RUN on a read-only target: there it was the student's to
    run."""
    if target.read_only:
        return NOT_RUN
    with stage("provision"):
        done = run_script(machine, lab, build_seconds)
    blame_the_network(machine.node, done)
    if not machine.runs:
        fail(
            "The machine stopped while provision.sh ran.",
            hint="The script must not end the machine's other processes (kill, poweroff, reboot).",
            log=done.tail(40),
        )
    return done


@pytest.fixture(scope="session")
def second_run(
    machine: Machine,
    first_run: Completed,
    lab: Any,
    build_seconds: float,
    stage: Callable[[str], Any],
) -> Second:
    but = folder_on(machine)
    with stage("second run"):
        files, packages = machine.configuration(but=but), machine.packages()
        done = run_script(machine, lab, build_seconds)
        files_now, packages_now = machine.configuration(but=but), machine.packages()
    differ = packages.items() ^ packages_now.items()
    changed = [f"the package {name} has changed" for name in sorted({p for p, _ in differ})]
    return Second(done, changes(files, files_now) + changed, difference(files, files_now))


@pytest.fixture(scope="session")
def build(
    node: Any, target: Any, image_build: Future[Build] | None, stage: Callable[[str], Any]
) -> Build:
    if target.read_only:
        cannot_show(
            "The grader builds nothing on your own machines. `--fresh` builds the image there."
        )
    assert image_build is not None, "a Dockerfile that was not vetted is not built"
    with stage("build"):
        build = image_build.result()
    blame_the_network(node, build.done)
    return build


@pytest.fixture(scope="session")
def image(build: Build) -> Image:
    assert build.image is not None
    return build.image


@pytest.fixture(scope="session")
def container(node: Any, image: Image) -> Iterator[Running]:
    running = must_start(node, image, 80, EXPLAINER)
    yield running
    running.remove()
