"""An exercise's time in pieces, and what was used in each."""

from __future__ import annotations

import pytest

from tests.bench import stages, usage
from tests.bench.stages import BETWEEN, END, START, Span, Timeline


@pytest.fixture
def followed() -> Timeline:
    """Sandbox until 2; a check from 4 to 10 with a build from 5 to 8; another from 11 to 12."""
    now = [0.0]
    timeline = Timeline(clock=lambda: now[0])
    follow = timeline.progress()
    exercise = None

    def at(when: float) -> None:
        now[0] = when

    at(2)
    follow.stage(exercise, "sandbox", 1.5)  # type: ignore[arg-type]
    at(4)
    follow.doing(exercise, "It is built.")  # type: ignore[arg-type]
    at(8)
    follow.stage(exercise, "build", 3.0)  # type: ignore[arg-type]
    at(10)
    follow.check(exercise, {"id": "webserver.builds"})  # type: ignore[arg-type]
    at(11)
    follow.doing(exercise, "It answers.")  # type: ignore[arg-type]
    at(12)
    follow.check(exercise, {"id": "webserver.answers"})  # type: ignore[arg-type]
    return timeline


def test_pieces_do_not_overlap_and_are_all_of_the_time(followed: Timeline) -> None:
    assert followed.pieces(15) == [
        Span(START, 0, 0.5),
        Span("sandbox", 0.5, 2),
        Span(START, 2, 4),
        Span("check builds", 4, 5),
        Span("build", 5, 8),
        Span("check builds", 8, 10),
        Span(BETWEEN, 10, 11),
        Span("check answers", 11, 12),
        Span(END, 12, 15),
    ]


def test_pieces_of_one_name_are_one_row(followed: Timeline) -> None:
    nothing = dict.fromkeys(usage.SUMS, 0.0)
    # The kit uses half of a CPU all the time; 3 MB are fetched while the image is built.
    samples = [
        (0.0, nothing),
        (5.0, {**nothing, "kit": 2.5}),
        (8.0, {**nothing, "kit": 4.0, "fetched": 3e6}),
        (15.0, {**nothing, "kit": 7.5, "fetched": 3e6, "waiting": 7.0}),
    ]
    found = stages.table(followed.pieces(15), samples)
    assert list(found) == [
        *(START, "sandbox", "check builds", "build", BETWEEN, "check answers", END)
    ]
    assert found["check builds"]["wall s"] == 3
    assert found["check builds"]["CPU kit"] == pytest.approx(1.5)
    assert found["check builds"]["waiting s"] == pytest.approx(2)
    assert found["build"]["fetched MB"] == pytest.approx(3)
    assert sum(row["wall s"] for row in found.values()) == 15
    assert sum(row["CPU kit"] for row in found.values()) == pytest.approx(7.5)


def test_an_exercise_without_checks_has_a_beginning_only() -> None:
    timeline = Timeline(clock=lambda: 1.0)
    timeline.progress()
    assert timeline.pieces(3) == [Span(START, 1, 3)]


def test_the_largest_are_those_that_take_longest() -> None:
    rows = {f"stage {number}": {"wall s": float(number)} for number in range(12)}
    assert stages.largest(rows) == [f"stage {number}" for number in range(11, 1, -1)]
