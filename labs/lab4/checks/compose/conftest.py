"""Exercise compose: the counter (web and redis), the blog (wordpress and db), and a runbook.

What counts is what the applications do. One at a time runs on the node, and most checks go one
step further with it. The checks themselves are in check_counter.py and
check_blog.py; app.py has what both applications share. The runbook is played
on an application of the kit's own (see life.py).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grader.checks import CheckFailed, needs_first
from grader.handout import rendering, workspace
from grader.modules.runbook import vetted as books
from grader.vetting import composecli

from .app import App
from .blog import Blog
from .counter import Counter
from .scenario import FILE, HOST, Scenario


@pytest.fixture(scope="session")
def placed() -> list[App]:
    """The applications that were put on the node."""
    return []


@pytest.fixture(scope="session")
def counter(node: Any, submission: Path, lab: Any, placed: list[App]) -> Counter:
    placed.append(counter := Counter(node, submission, lab))
    return counter


@pytest.fixture(scope="session")
def blog(node: Any, submission: Path, lab: Any, placed: list[App]) -> Blog:
    for app in placed:
        app.clear()
    placed.append(blog := Blog(node, submission, lab))
    return blog


@pytest.fixture(scope="session")
def life_book(submission: Path) -> books.Book[composecli.Vetted]:
    return books.read(submission, FILE, [HOST], composecli.vet)


@pytest.fixture(scope="session")
def scenario(
    node: Any,
    student: str,
    lab: Any,
    placed: list[App],
    step_checks: list[Any],
    stage: Callable[[str], Any],
    request: pytest.FixtureRequest,
) -> Scenario:
    try:
        book = request.getfixturevalue("life_book")
    except CheckFailed:
        needs_first("life_runbook")
    for app in placed:
        app.clear()
    values = workspace.values(lab, student)
    files = rendering.render(lab.templates / "compose", values)
    return Scenario(node, book, files, values, step_checks, stage)
