"""The machines that the tests on virtual machines share, and what was measured on the way."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.waiting import wait_until
from tests.vms.room import Room

# Only inside the namespaces that `python -m tests.vms` makes; `nox -s tests` leaves them out.
if "DRYDOCK_VMS" not in os.environ:
    collect_ignore_glob = ["test_*.py"]

FIGURES = pytest.StashKey[dict[str, float]]()
EMULATED = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--everything", action="store_true", help="also what takes very long")
    parser.addoption("--figures", type=Path, metavar="FILE", help="write what was measured (JSON)")


@pytest.fixture(scope="session")
def everything(request: pytest.FixtureRequest, room: Room) -> bool:
    """Whether time is no matter: asked for, or the machines' processors are real."""
    return bool(request.config.getoption("--everything")) or not room.emulated


@pytest.fixture(scope="session")
def room(request: pytest.FixtureRequest) -> Iterator[Room]:
    """The three machines, up; they are destroyed at the end."""
    room = Room(Path(os.environ["DRYDOCK_VMS"]), request.config.stash[FIGURES])
    room.add_box()
    try:
        with room.timed("vagrant up, three machines"):
            room.kit("swarm", "up", "--provider", "vagrant")
        request.config.stash[EMULATED] = room.emulated
        yield room
    finally:
        room.destroy()


@pytest.fixture(scope="session")
def web(room: Room) -> str:
    """A service of three tasks, published in the mesh at 8080; it stays."""
    if room.swarm.service("web") is None:
        room.on("manager1", "docker", "network", "create", "--driver", "overlay", "inner")
        room.on(
            "manager1", "docker", "service", "create", "--detach", "--no-resolve-image", "--name",
            "web", "--replicas", "3", "--network", "inner", "--publish", "8080:80",
            "drydock/demo:1.0",
        )  # fmt: skip
    assert wait_until(lambda: room.swarm.converged("web"), within=300, every=2)
    return "web"


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    figures = config.stash[FIGURES]
    if figures:
        terminalreporter.section(f"measured on {os.cpu_count()} cores, {platform.machine()}")
        for what, seconds in figures.items():
            terminalreporter.write_line(f"{what:<60} {seconds:8.2f} s")
    file = config.getoption("--figures")
    if file is not None:
        told = {"emulated": config.stash.get(EMULATED, False), "seconds": figures}
        file.write_text(json.dumps(told, indent=1), "utf-8")
