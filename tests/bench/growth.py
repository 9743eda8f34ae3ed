"""What grows with a class: 20, 100 and 400 small submissions, by one batch and by two workers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from grader.classroom.reports import classpage
from grader.console import say
from tests.bench.classes import MIB, grade_small, small_class
from tests.bench.setting import Setting
from tests.browser import chromium
from tests.engine.workers import Cluster
from tests.unit import sample_class

COUNTS = (20, 100, 400)
STUDENTS = 300
"""Of a made class, with a page as lab4 has it."""
WORKERS = 2

OPENED = """
const times = performance.getEntriesByType('navigation')[0];
const paint = performance.getEntriesByName('first-contentful-paint')[0];
return Math.max(times.loadEventEnd, paint ? paint.startTime : 0);
"""
"""Milliseconds from the request until the page is loaded and shown."""

SORTED = """
const done = arguments[arguments.length - 1], began = performance.now();
document.getElementById('sort-1').click();
requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
"""
"""Milliseconds from a click that sorts the table by points until it is drawn again."""

Opened = Callable[[Path], tuple[float, float]]


def growth(setting: Setting) -> None:
    """A row for each size of class, and one for the page of 300 students."""
    setting.get_ready()
    with _browser() as opened:
        for count in COUNTS:
            with tempfile.TemporaryDirectory(prefix="drydock-bench-") as folder:
                one = small_class(Path(folder, "alone"), count)
                say(f"growth: {count} submissions, by one batch")
                alone = grade_small(one)
                page = {}
                if opened:
                    shown, drawn = opened(one.out / "class" / "index.html")
                    page = {"page opens ms": shown, "sorted ms": drawn}
                say(f"growth: {count} submissions, by {WORKERS} workers")
                shared = small_class(Path(folder, "shared"), count)
                with _cluster() as address:
                    workers = grade_small(shared, "--cluster", address)
            setting.row(
                f"{count} small submissions",
                values={
                    "s each": alone.each,
                    "memory MiB": alone.ran.memory / MIB,
                    "open files": alone.ran.files,
                    "disk MiB": alone.disk / MIB,
                    "page KiB": alone.page / 1024,
                    **page,
                    "two workers, s each": workers.each,
                    "ratio to one": workers.each / alone.each,
                },
            )
        if opened:
            _large_page(setting, opened)


def _large_page(setting: Setting, opened: Opened) -> None:
    with tempfile.TemporaryDirectory(prefix="drydock-bench-") as folder:
        made = sample_class.make(Path(folder), STUDENTS)
        file = classpage.write(made, sample_class.LAB)
        size = file.stat().st_size / 1024
        shown, drawn = opened(file)
    setting.row(f"class page of {STUDENTS} students of lab4", f"{size:.0f} KiB")
    setting.row("… opens in Chromium", f"{shown:.0f} ms", "1000 ms")
    setting.row("… is sorted by a click", f"{drawn:.0f} ms")


@contextmanager
def _cluster() -> Iterator[str]:
    """The address of a scheduler with workers, each of which grades as many as it thinks fit."""
    cluster = Cluster("tcp")
    try:
        for _ in range(WORKERS):
            cluster.worker(jobs=None)
        yield cluster.address
    finally:
        cluster.end()


@contextmanager
def _browser() -> Iterator[Opened | None]:
    """A function that opens a page; None where there is no Chromium."""
    try:
        chromium.programs()
    except pytest.skip.Exception as missing:
        say(f"growth: no page is opened: {missing}")
        yield None
        return
    with (
        tempfile.TemporaryDirectory(prefix="drydock-bench-") as profile,
        chromium.opened(Path(profile)) as driver,
    ):
        yield lambda file: _open(driver, file)


def _open(driver: Any, file: Path) -> tuple[float, float]:
    """(Shown, sorted) in milliseconds. The browser has opened another page before."""
    driver.get("about:blank")
    driver.get(file.as_uri())
    shown = float(driver.execute_script(OPENED))
    return shown, float(driver.execute_async_script(SORTED))
