"""Every exercise's solution reaches full marks, whatever values a student has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from grader.lab import labfile
from grader.lab.variant import variant
from tests.engine import kit

pytestmark = pytest.mark.engine

LAB = labfile.load("lab4")


def with_value(name: str, value: str) -> str:
    """A student whose variant has this value."""
    ids = (f"s{number:07}" for number in range(100))
    return next(s for s in ids if variant(LAB, s)[name] == value)


@pytest.mark.parametrize(
    ("exercise", "student"),
    [
        ("webserver", LAB.demo_student),
        ("scientific", LAB.demo_student),
        ("compose", with_value("db_engine", "mysql")),
        ("compose", with_value("db_engine", "mariadb")),
        ("swarm", LAB.demo_student),
        ("rollout", with_value("app_order", "start-first")),
        ("rollout", with_value("app_order", "stop-first")),
    ],
)
def test_a_solution_has_full_marks(
    exercise: str, student: str, engine: Any, image_set: Any, tmp_path: Path
) -> None:
    kit.must_reach_all_points(LAB, exercise, student, engine, image_set, tmp_path)
