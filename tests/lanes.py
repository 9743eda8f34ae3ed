"""Tests side by side: two processes, each with a data directory, and so an engine, of its own.

Only where the kit brings its engine up itself: someone's own engine is shared by everything,
and tests that count what is on it, or stop it, would meet each other there.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock, Timeout
from xdist.scheduler import LoadFileScheduling

from grader.engine import embedded, find, images, node_image, packages, sealed
from grader.engine.images import sets
from grader.paths import data_dir

if TYPE_CHECKING:
    from grader.engine.client import Engine
    from grader.engine.images import ImageSet

QUICK = "not engine or smoke"
"""What `nox -s tests` runs, as pytest's -m says it."""
MEMORY = 10 * 1024**3
"""Bytes of memory from which on two lanes are run."""
FIRST = "gw0"
"""The lane that has the tests' own data directory: its image set stays for later."""
ENGINE = "tests/engine/"
EARLY = ("test_bases", "test_grade_interrupted")
"""Files that a lane takes first: one that makes the image set, and the one that takes longest."""
LONG = (
    "test_worksheet",
    "test_class_of_thirty",
    "test_solutions",
    "test_second_lab",
    "test_check_command",
)
"""Files that must not be left for the end, when the other lane has nothing to do any more."""


def count() -> int:
    """How many lanes this machine has; 0 is none but pytest's own process."""
    if os.environ.get("DRYDOCK_TEST_ENGINE") or not packages.is_root():
        return 0
    if (os.cpu_count() or 1) < 2 or memory() < MEMORY:
        return 0
    engine = find.find()
    return 2 if engine is None or engine.origin == "embedded" else 0


def memory() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def home(lane: str) -> Path:
    """The lane's data directory: that of the tests (see tests/home.py), or beside it."""
    own = data_dir().absolute()
    return own if lane == FIRST else own.with_name(f"{own.name}-{lane}")


def enter(lane: str) -> None:
    """Let this process, and what it starts, have the lane's data directory."""
    os.environ["DRYDOCK_HOME"] = str(home(lane))


def claim() -> None:
    """Keep the lanes to this run until it ends: at its end it removes their engines."""
    file = Path(f"{home(FIRST)}.lock")
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        pytest.exit(
            "Another run of the tests is under way. Wait for its end, or set DRYDOCK_HOME.", 4
        )
    atexit.register(lock.release)  # And so it is kept until then.


def clear() -> None:
    """Stop the lanes' engines, and remove the data of all but the first, whose images stay."""
    embedded.shut_down()
    for found in home(FIRST).parent.glob(home("gw*").name):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DRYDOCK_HOME", str(found))
            embedded.shut_down()
        shutil.rmtree(found, ignore_errors=True)


def image_set(engine: Engine) -> ImageSet:
    """The image set on this lane's engine: made on the first lane's, whose file others take."""
    own = data_dir()
    first = own.with_name(own.name.removesuffix(f"-{os.environ['PYTEST_XDIST_WORKER']}"))
    if own == first or images.find(engine) is not None:
        return images.ensure(engine)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DRYDOCK_HOME", str(first))
        other = find.ensure()
        made = images.ensure(other)
        source = sealed.file(made.volume)
    if made.kind != "file":
        return images.ensure(engine)
    copy = sealed.file(made.volume)
    copy.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "--sparse=always", "--reflink=auto", source, copy], check=True)
    with (
        contextlib.closing(other.client(timeout=600)) as there,
        contextlib.closing(engine.client(timeout=600)) as here,
    ):
        node: Any = there.api.get_image(node_image.tag())
        here.images.load(node)
        sets.adopt(here, made)
    return made


class Lanes(LoadFileScheduling):  # type: ignore[misc]
    """File by file; among the tests of `nox -s tests` those with an engine are one file, so that
    one lane alone makes the image set."""

    def _split_scope(self, nodeid: str) -> str:
        if self.config.getoption("markexpr") == QUICK and nodeid.startswith("tests/engine/"):
            return "tests/engine"
        return str(super()._split_scope(nodeid))


def in_order(items: list[pytest.Item]) -> None:
    """Put long files before short ones; while a lane makes the image set, the other runs what
    needs none."""

    def place(item: pytest.Item) -> tuple[int, int]:
        name = item.path.stem
        if name == EARLY[0]:
            return 0, 0
        if "engine" not in item.path.parts:
            return 1, 0
        if name == EARLY[1]:
            return 2, 0
        return (3, LONG.index(name)) if name in LONG else (4, 0)

    items.sort(key=place)
