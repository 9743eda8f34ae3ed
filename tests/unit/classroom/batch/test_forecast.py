"""How long it will still take."""

from __future__ import annotations

import pytest

from grader.classroom.batch.forecast import Forecast, spoken


def test_nothing_is_said_before_anything_is_measured() -> None:
    assert Forecast([("s1", "web"), ("s1", "swarm")]).remaining(2) is None


def test_each_kind_of_exercise_counts_with_what_it_took() -> None:
    forecast = Forecast((student, e) for student in ("s1", "s2", "s3") for e in ("web", "swarm"))
    forecast.finished("s1", "web", 10)
    forecast.finished("s1", "swarm", 100)
    assert forecast.remaining(1) == 2 * 10 + 2 * 100
    assert forecast.remaining(2) == 110
    assert (forecast.done, forecast.total) == (2, 6)


def test_a_kind_that_nobody_finished_is_taken_for_an_ordinary_one() -> None:
    forecast = Forecast([("s1", "web"), ("s2", "web"), ("s2", "swarm")])
    forecast.finished("s1", "web", 20)
    assert forecast.remaining(1) == 40


def test_at_the_end_there_are_fewer_left_than_places() -> None:
    forecast = Forecast([("s1", "web"), ("s2", "web")])
    forecast.finished("s1", "web", 30)
    assert forecast.remaining(8) == 30
    forecast.finished("s2", "web", 30)
    assert forecast.remaining(8) == 0


def test_what_is_under_way_counts_with_what_is_left_of_it() -> None:
    forecast = Forecast((student, "web") for student in ("s1", "s2", "s3"))
    forecast.finished("s1", "web", 60)
    forecast.started("s2", "web", now=1000)
    assert forecast.remaining(1, now=1020) == 40 + 60
    assert forecast.remaining(1, now=1900) == 6 + 60, "it takes longer than others did"


def test_the_longest_one_has_to_come_to_its_end() -> None:
    forecast = Forecast([("s1", "web"), ("s1", "swarm"), ("s2", "web"), ("s2", "swarm")])
    forecast.finished("s1", "web", 10)
    forecast.finished("s1", "swarm", 100)
    assert forecast.remaining(8) == 100


def test_what_is_graded_again_counts_again() -> None:
    forecast = Forecast([("s1", "web")])
    forecast.finished("s1", "web", 30)
    forecast.added("s1", "web")
    assert (forecast.done, forecast.total, forecast.remaining(1)) == (1, 2, 30)
    forecast.dropped("s1")
    assert (forecast.done, forecast.total, forecast.remaining(1)) == (1, 1, 0)


@pytest.mark.parametrize(
    ("seconds", "said"), [(12.4, "12 s"), (300, "5 min"), (4800, "80 min"), (5460, "1 h 31 min")]
)
def test_times_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert spoken(seconds) == said
