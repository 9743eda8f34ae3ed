"""The tests' own data directory: engine, images and student ID of the user stay as they are."""

from __future__ import annotations

import os

from grader.paths import data_dir

SUFFIX = "-tests"


def enter() -> None:
    """Let this process, and what it starts, have the directory; it stays for the next run."""
    own = data_dir().absolute()
    if not own.name.endswith(SUFFIX):
        os.environ["DRYDOCK_HOME"] = str(own.with_name(own.name + SUFFIX))
