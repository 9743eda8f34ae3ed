"""docs/writing-a-lab.md, followed: its commands, in a copy of the kit."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from grader import paths

pytestmark = pytest.mark.engine

PAGE = paths.KIT / "docs" / "writing-a-lab.md"


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the kit."""
    kit = tmp_path_factory.mktemp("new-lab") / "kit"
    for part in ("grader", "labs", "templates", "vagrant", "docs"):
        shutil.copytree(paths.KIT / part, kit / part)
    for file in ("LICENSE", ".gitattributes", ".gitignore", "Vagrantfile", "pyproject.toml"):
        shutil.copy(paths.KIT / file, kit / file)
    return kit


def run(kit: Path, line: str) -> str:
    """What a command of the copy prints; it succeeds."""
    done = subprocess.run(
        [sys.executable, "-m", "grader", *shlex.split(line)],
        cwd=kit,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def scores(kit: Path, lab: str) -> tuple[float, float]:
    (record,) = (kit / "results" / lab).glob("**/record.json")
    graded = json.loads(record.read_text(encoding="utf-8"))
    return graded["score"], graded["max_score"]


def test_a_new_lab_is_handed_out_graded_and_proven_as_the_page_says(
    kit: Path, image_set: Any
) -> None:
    commands = re.findall(r"^    python -m grader (.+)$", PAGE.read_text(encoding="utf-8"), re.M)
    assert [line.split()[0] for line in commands] == [
        "new-lab",
        "handout",
        "check",
        "examples",
        "release",
    ]
    printed = {line.split()[0]: run(kit, line) for line in commands}
    assert scores(kit, "lab5") == (5, 5)
    assert "3 of 3 examples as expected" in printed["examples"]
    assert list((kit / "dist").glob("drydock-lab5-*.zip"))


def test_an_exercise_with_a_runbook_is_graded_and_proven(kit: Path, image_set: Any) -> None:
    run(kit, "new-lab lab6 --runbook")
    run(kit, "check lab6 --demo")
    assert scores(kit, "lab6") == (5, 5)
    assert "7 of 7 examples as expected" in run(kit, "examples lab6")
