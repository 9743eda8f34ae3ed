"""What is done with a submission of the exercise webserver, each once, for its checks to look at.

The image is built in the background while the machine is provisioned: both wait for packages
more than they compute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from _webserver_files import text_of
from _webserver_page import Page

from grader.checks import CheckFailed, fail
from grader.engine.images import catalogue
from grader.explain import explain
from grader.modules.image import Build, Image, Running, WillNotStart, build_image
from grader.modules.machine import Machine
from grader.modules.packages import blame_the_network
from grader.modules.tree import changes, difference
from grader.targets.node import Completed
from grader.vetting.dockerfile import Vetted, vet

BARE = "debian:bookworm"
CONTEXT = "/drydock/webserver"
"""The student's folder on the node, where the image is built."""
FOLDER = "/srv/webserver"
"""The student's folder on the machine, where the script runs."""
TAG = "submission/webserver"


@pytest.fixture(scope="session")
def folder(submission: Path) -> Path:
    return submission / "webserver"


@pytest.fixture(scope="session")
def page(variant: dict[str, Any], student: str, node: Any) -> Page:
    return Page(str(variant["site_name"]), student, int(variant["page_factor"]), node)


def vetted_dockerfile(folder: Path, lab: Any) -> Vetted:
    return vet(
        text_of(folder, "Dockerfile"), catalogue.load().all_names(lab.exercise("webserver").images)
    )


@pytest.fixture(scope="session")
def copied(node: Any, folder: Path) -> str:
    """The folder on the node; the Dockerfile as it was vetted."""
    if folder.is_dir():
        node.put(folder, CONTEXT)
    return CONTEXT


@pytest.fixture(scope="session")
def building(node: Any, lab: Any, folder: Path, copied: str) -> Iterator[Future[Build] | None]:
    """The build of the image, which goes on while the machine is looked at. None: not vetted."""
    try:
        vetted = vetted_dockerfile(folder, lab)
    except CheckFailed:
        vetted = None
    if vetted is None or vetted.problems:
        yield None
        return
    node.put({"Dockerfile": vetted.text.encode()}, copied)
    limit, keep = lab.limits["build_seconds"], lab.limits["output_kb"] * 1000
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(build_image, node, copied, TAG, seconds=limit, keep=keep)


@pytest.fixture(scope="session")
def machine(node: Any, variant: dict[str, Any], copied: str, building: Any) -> Iterator[Machine]:
    machine = Machine.start(node, BARE, ports=[int(variant["web_port"])])
    machine.put(copied, FOLDER)
    yield machine
    machine.remove()


@pytest.fixture(scope="session")
def first_run(machine: Machine, lab: Any, stage: Callable[[str], Any]) -> Completed:
    with stage("provision"):
        done = run_script(machine, lab)
    blame_the_network(machine.node, done)
    if not machine.now().running:
        fail(
            "The machine went down while provision.sh ran.",
            hint="The script must not end the machine's other processes (kill, poweroff, reboot).",
            log=done.tail(40),
        )
    return done


@dataclass(frozen=True)
class Second:
    """The second run of the script, and what it changed."""

    done: Completed
    changed: list[str]
    shown: str


@pytest.fixture(scope="session")
def second_run(
    machine: Machine, first_run: Completed, lab: Any, stage: Callable[[str], Any]
) -> Second:
    with stage("second run"):
        files, packages = machine.configuration(but=FOLDER), machine.packages()
        done = run_script(machine, lab)
        files_now, packages_now = machine.configuration(but=FOLDER), machine.packages()
    differ = packages.items() ^ packages_now.items()
    changed = [f"the package {name} has changed" for name in sorted({p for p, _ in differ})]
    return Second(done, changes(files, files_now) + changed, difference(files, files_now))


@pytest.fixture(scope="session")
def build(node: Any, building: Future[Build] | None, stage: Callable[[str], Any]) -> Build:
    assert building is not None, "a Dockerfile that was not vetted is not built"
    with stage("build"):
        build = building.result()
    blame_the_network(node, build.done)
    return build


@pytest.fixture(scope="session")
def image(build: Build) -> Image:
    assert build.image is not None
    return build.image


@pytest.fixture(scope="session")
def container(node: Any, image: Image) -> Iterator[Running]:
    try:
        running = Running.start(node, image, port=80)
    except WillNotStart as error:
        known = explain(error.reason)
        fail(
            known.reason if known else "A container of the image cannot be started.",
            expected="a container that runs",
            actual=error.reason,
            hint=known.hint if known else "docker run says the same: try it, and look at CMD.",
        )
    yield running
    running.remove()


def run_script(machine: Machine, lab: Any) -> Completed:
    limit, keep = lab.limits["build_seconds"], lab.limits["output_kb"] * 1000
    return machine.script("provision.sh", cwd=FOLDER, seconds=limit, keep=keep)


def must_have_worked(done: Completed, what: str, limit: float, otherwise: str) -> None:
    """Fail if the script or build did not end well, with the cause and the output's end."""
    if done.ok:
        return
    known = explain(done.out)
    if done.timed_out:
        fail(
            f"{what} had not ended after {limit:.0f} s and was stopped.",
            expected=f"an end within {limit:.0f} s",
            actual=f"its last words: {done.tail(1) or 'none'}",
            hint="Look for an endless loop, a command that waits for an answer, or a server started"
            " in the foreground (nginx -g 'daemon off;' never returns).",
            log=done.tail(60),
        )
    fail(
        known.reason if known else f"{what} ended with exit code {done.rc}.",
        expected="exit code 0",
        actual=f"exit code {done.rc}",
        hint=known.hint if known else otherwise,
        log=done.tail(60),
    )
