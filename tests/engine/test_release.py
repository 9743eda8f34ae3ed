"""The student release on a clean machine's path: unpacked, and the README's two lines said."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

from grader import record
from grader.lab import labfile
from grader.release import student_zip

pytestmark = pytest.mark.engine

STUDENT = "s2468101"


@pytest.mark.parametrize(
    ("name", "exercise", "points"),
    [pytest.param("lab4", "compose", 2, marks=pytest.mark.smoke), ("lab3", "image", 0)],
)
def test_a_student_unpacks_it_and_says_the_two_lines(
    image_set: Any, tmp_path: Path, name: str, exercise: str, points: float
) -> None:
    lab = labfile.load(name)
    place = tmp_path / "Übungen, Woche 5"
    with zipfile.ZipFile(student_zip.make(lab, tmp_path / f"{name}.zip").file) as packed:
        packed.extractall(place)
    kit = place / f"drydock-{name}"
    venv.create(tmp_path / "clean", with_pip=True)
    python = tmp_path / "clean" / ("Scripts" if os.name == "nt" else "bin") / "python"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}

    def say(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(python), "-m", *words],
            cwd=kit,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=900,
            check=False,
        )

    installed = say("pip", "install", "--quiet", "nox")
    assert installed.returncode == 0, installed.stderr
    listed = say("nox", "-l")
    assert f"* {name} ->" in listed.stdout, listed.stdout + listed.stderr
    assert "demo" not in listed.stdout
    graded = say("nox", "-s", name, "--", "--student", STUDENT, "--exercise", exercise)
    assert graded.returncode == 0, graded.stdout + graded.stderr
    assert "Traceback" not in graded.stdout + graded.stderr
    assert "First things to do" in graded.stdout
    results = kit / "results" / name / STUDENT
    found = record.load(results / "record.json")
    assert found is not None
    assert found.gradable
    assert found.score == points < found.max_score, "they are starters"
    assert (results / "feedback.html").is_file()
    assert (kit / "workspaces" / name / STUDENT / "worksheet.ipynb").is_file()
    packed_up = say("nox", "-s", "submit", "--", "--student", STUDENT)
    assert packed_up.returncode == 0, packed_up.stdout + packed_up.stderr
    assert (results / f"{name}-{STUDENT}.zip").is_file()
    assert sys.prefix not in graded.stdout + graded.stderr, "nothing of this kit's own was used"
