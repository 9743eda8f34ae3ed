"""What all tests share."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from hypothesis import settings

from grader.cli import student
from tests import home, lanes

LANE = os.environ.get("PYTEST_XDIST_WORKER")

# A shell's background jobs start with Ctrl-C ignored, and what they start inherits that; the
# tests press Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no failure: tests assert what is so, never how long it took.
settings.register_profile("drydock", deadline=None)
settings.load_profile("drydock")

if LANE:
    lanes.enter(LANE)
else:
    home.enter()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    return lanes.count()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> lanes.Lanes:
    return lanes.Lanes(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if LANE:
        lanes.in_order(items)


class AtOnce:
    """Tells what failed when it fails, too: an hour's run may be cut off before its summary."""

    LINES = 15

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        terminal = self.config.pluginmanager.getplugin("terminalreporter")
        if report.failed and terminal is not None:
            terminal.line("")
            terminal.write_line(f"{report.nodeid} failed:")
            for line in report.longreprtext.splitlines()[-self.LINES :]:
                terminal.write_line(f"    {line}")


def pytest_configure(config: pytest.Config) -> None:
    if not LANE:
        config.pluginmanager.register(AtOnce(config))
        if config.getoption("numprocesses", None):
            lanes.claim()


def pytest_unconfigure(config: pytest.Config) -> None:
    # Not by the lanes themselves: after Ctrl-C they have no time for it.
    if not LANE and config.getoption("numprocesses", None):
        lanes.clear()


@pytest.fixture(scope="session", autouse=True)
def no_student_saved() -> None:
    """No test finds the student whom another run of the tests has saved."""
    student.file().unlink(missing_ok=True)
