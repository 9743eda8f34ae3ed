"""Every exercise's solution reaches full marks, whatever values a student has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from grader import examples
from grader import lab as labs
from grader.exercise_run import Sandboxes
from grader.variant import variant

pytestmark = pytest.mark.engine

LAB = labs.load("lab4")


def with_database(engine: str) -> str:
    """A student whose blog has this database engine."""
    ids = (f"s{number:07}" for number in range(100))
    return next(s for s in ids if variant(LAB, s)["db_engine"] == engine)


@pytest.mark.parametrize(
    ("exercise", "student"),
    [
        ("webserver", LAB.demo_student),
        ("compose", with_database("mysql")),
        ("compose", with_database("mariadb")),
    ],
)
def test_a_solution_has_full_marks(
    exercise: str, student: str, engine: Any, image_set: Any, tmp_path: Path
) -> None:
    (solution,) = examples.find(LAB, [f"{exercise}/solution"])
    compared = examples.run(LAB, solution, Sandboxes(engine, image_set), tmp_path, student=student)
    assert compared.differences == ()
    assert compared.result.score == LAB.exercise(exercise).points
    assert compared.result.max_score == LAB.exercise(exercise).points
