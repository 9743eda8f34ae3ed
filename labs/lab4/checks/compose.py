"""Exercise compose: the counter (web and redis), then the blog (wordpress and db).

What counts is what the applications do. One at a time runs on the node, and most checks go one
step further with it. The checks themselves are in _compose_counter_checks.py and
_compose_blog_checks.py; _compose_app.py has what both applications share.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from _compose_app import App
from _compose_counter import Counter
from _compose_counter_checks import *  # noqa: F403 - checks run in the order of these lines

# isort: split
from _compose_blog import Blog
from _compose_blog_checks import *  # noqa: F403


@pytest.fixture(scope="module")
def placed() -> list[App]:
    """The applications that were put on the node."""
    return []


@pytest.fixture(scope="module")
def counter(node: Any, submission: Path, lab: Any, placed: list[App]) -> Counter:
    placed.append(counter := Counter(node, submission, lab))
    return counter


@pytest.fixture(scope="module")
def blog(node: Any, submission: Path, lab: Any, placed: list[App]) -> Blog:
    for app in placed:
        app.clear()
    placed.append(blog := Blog(node, submission, lab))
    return blog
