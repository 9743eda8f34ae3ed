"""The authors' vocabulary: decorator, fail, eventually."""

from __future__ import annotations

import time

import pytest

from grader.checks import CannotShow, CheckFailed, cannot_show, check, eventually, fail


def test_a_check_without_a_sentence_is_refused() -> None:
    with pytest.raises(ValueError, match="no docstring"):

        @check(points=1)
        def check_silent() -> None: ...


def test_negative_points_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        check(points=-1)


def test_fail_carries_reason_expected_actual_and_hint() -> None:
    with pytest.raises(CheckFailed) as caught:
        fail("Two containers run.", expected=3, actual=2, hint="Scale up.", log="…")
    error = caught.value
    assert (error.reason, error.expected, error.actual) == ("Two containers run.", 3, 2)
    assert (error.hint, error.log) == ("Scale up.", "…")


def test_cannot_show_is_not_a_failure() -> None:
    with pytest.raises(CannotShow):
        cannot_show("This kernel has no ip_vs.")
    assert not issubclass(CannotShow, AssertionError)


def test_eventually_returns_the_first_true_answer() -> None:
    answers = iter([0, 0, 7])
    assert eventually(lambda: next(answers), within=5, every=0.001) == 7


def test_eventually_gives_up_with_the_last_false_answer() -> None:
    assert eventually(lambda: 0, within=0.02, every=0.001) == 0


def test_eventually_wants_an_answer_that_lasts() -> None:
    flips = iter([True, False] * 100_000)
    assert not eventually(lambda: next(flips), within=0.05, stable_for=0.02, every=0.001)


def test_eventually_waits_until_it_has_lasted() -> None:
    started = time.monotonic()
    assert eventually(lambda: True, within=1, stable_for=0.05, every=0.001)
    assert time.monotonic() - started >= 0.05


def test_eventually_does_not_swallow_errors() -> None:
    def broken() -> bool:
        raise RuntimeError("the question is wrong")

    with pytest.raises(RuntimeError, match="the question is wrong"):
        eventually(broken, within=1)
