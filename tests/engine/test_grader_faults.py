"""A fault of the grader, in each stage: never a zero, never another one's loss, and it is told."""

from __future__ import annotations

import contextlib
import csv
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from grader.engine.client import Engine
from grader.paths import KIT
from tests.engine import small_class
from tests.engine.broken import STAGES, TOLD

pytestmark = pytest.mark.engine

WELL = "s7310000"
HIT = {stage: f"s731000{number}" for number, stage in enumerate(STAGES, start=1)}
"""Whom a fault hits in which stage. No other test has these IDs, also on a shared engine."""
PAGES = ("page", "class page")
"""Stages after which everything is graded: only a page is missing."""


@pytest.fixture
def made(tmp_path: Path) -> small_class.Class:
    """A class of one student whom nothing hits, and one for each stage."""
    return small_class.Class(tmp_path, dict.fromkeys([WELL, *HIT.values()], "well"))


@pytest.fixture
def handed_in(made: small_class.Class, tmp_path: Path) -> Path:
    folder = tmp_path / "handed in"
    for student in made.students:
        file = folder / student / "one" / "file.txt"
        file.parent.mkdir(parents=True)
        file.write_text("well\n", encoding="utf-8")
    return folder


def run(made: small_class.Class, handed_in: Path, *module: str) -> Any:
    first, *rest = made.where
    words = [*module, first, str(handed_in), *map(str, rest), "--exercise", "one"]
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=KIT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=600,
    )


def left(engine: Engine, students: Sequence[str]) -> list[str]:
    """What the engine has of them."""
    found: list[str] = []
    with contextlib.closing(engine.client()) as client:
        for student in students:
            mine = {"label": f"drydock.submission={student}"}
            found += [str(c["Names"]) for c in client.api.containers(all=True, filters=mine)]
            found += [str(n["Name"]) for n in client.api.networks(filters=mine)]
            found += [str(v["Name"]) for v in client.api.volumes(filters=mine)["Volumes"] or []]
    return found


def points(made: small_class.Class) -> dict[str, str]:
    with (made.out / "grades.csv").open(encoding="utf-8-sig") as file:
        return {row["student"]: row["one"] for row in csv.DictReader(file)}


def test_faults_in_every_stage_are_told_and_cost_no_points(
    engine: Engine, image_set: object, made: small_class.Class, handed_in: Path
) -> None:
    faults = ",".join(f"{stage}={student}" for stage, student in HIT.items())

    done = run(made, handed_in, "tests.engine.broken", faults)

    told = done.stdout + done.stderr
    assert done.returncode == 3, told
    assert "Traceback" not in told
    assert not left(engine, made.students)
    graded = {student for student, _ in made.graded()}
    assert graded == {WELL, *(HIT[stage] for stage in PAGES)}, told
    for stage, student in HIT.items():
        lines = [line for line in told.splitlines() if TOLD in line]
        named = student if stage != "class page" else "class page"
        assert any(named in line for line in lines), (stage, told)
    assert points(made) == {student: "2" if student in graded else "" for student in made.students}
    assert not (made.out / "class" / "index.html").exists()

    again = run(made, handed_in, "grader")

    assert again.returncode == 0, again.stdout + again.stderr
    assert points(made) == dict.fromkeys(made.students, "2")
    assert {file.stem for file in (made.out / "feedback").glob("*.html")} == set(made.students)
    assert (made.out / "class" / "index.html").is_file()
