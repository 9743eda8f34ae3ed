"""The authors' vocabulary: decorator, fail."""

from __future__ import annotations

import pytest

from grader.checks import CannotShow, CheckFailed, cannot_show, check, fail


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
