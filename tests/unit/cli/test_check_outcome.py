"""What `check` says beside its table."""

from __future__ import annotations

from dataclasses import replace

from grader.cli import check_outcome
from grader.lab import labfile
from tests.unit import sample_record as sample

LAB4 = labfile.load("lab4")


def test_exercises_that_were_never_graded_are_named() -> None:
    typical = sample.typical()
    one = replace(typical.exercises[0], id="webserver")
    said = check_outcome.not_graded_yet(LAB4, replace(typical, exercises=(one,)))
    assert said.startswith("Not graded yet: scientific (15 points), compose (25 points), ")
    assert "webserver" not in said


def test_nothing_is_said_when_all_were_graded() -> None:
    typical = sample.typical()
    every = tuple(replace(typical.exercises[0], id=one.id) for one in LAB4.exercises)
    assert check_outcome.not_graded_yet(LAB4, replace(typical, exercises=every)) == ""
