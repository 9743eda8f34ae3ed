"""Waiting: for an answer that is true, and stays so."""

from __future__ import annotations

import time

import pytest

from grader.waiting import wait_until


def test_it_returns_the_first_true_answer() -> None:
    answers = iter([0, 0, 7])
    assert wait_until(lambda: next(answers), within=5, every=0.001) == 7


def test_it_gives_up_with_the_last_false_answer() -> None:
    assert wait_until(lambda: 0, within=0.02, every=0.001) == 0


def test_it_wants_an_answer_that_lasts() -> None:
    flips = iter([True, False] * 100_000)
    assert not wait_until(lambda: next(flips), within=0.05, stable_for=0.02, every=0.001)


def test_it_waits_until_it_has_lasted() -> None:
    started = time.monotonic()
    assert wait_until(lambda: True, within=1, stable_for=0.05, every=0.001)
    assert time.monotonic() - started >= 0.05


def test_it_does_not_swallow_errors() -> None:
    def broken() -> bool:
        raise RuntimeError("the question is wrong")

    with pytest.raises(RuntimeError, match="the question is wrong"):
        wait_until(broken, within=1)
