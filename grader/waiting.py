"""Waiting for a condition with a time limit."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    what: Callable[[], T],
    *,
    within: float,
    stable_for: float = 0.0,
    every: float = 0.1,
) -> T | None:
    """Ask `what` until its answer is true, and stays so for `stable_for` seconds.

    Returns that answer; after `within` seconds (to become true, all in seconds) the last
    answer if it is false, None if it was true but did not last. Exceptions of `what` are
    not swallowed: a question that may fail says so in its answer.
    """
    deadline = time.monotonic() + within
    true_since: float | None = None
    while True:
        answer = what()
        now = time.monotonic()
        if not answer:
            true_since = None
            if now >= deadline:
                return answer
        else:
            true_since = now if true_since is None else true_since
            if now - true_since >= stable_for:
                return answer
            if now >= deadline + stable_for:
                return None
        time.sleep(every)
