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


def test_a_new_lab_is_handed_out_graded_and_proven_as_the_page_says(
    tmp_path: Path, image_set: Any
) -> None:
    kit = tmp_path / "kit"
    for part in ("grader", "labs", "templates", "vagrant"):
        shutil.copytree(paths.KIT / part, kit / part)
    for file in ("LICENSE", ".gitattributes", ".gitignore", "Vagrantfile", "pyproject.toml"):
        shutil.copy(paths.KIT / file, kit / file)
    shutil.copytree(paths.KIT / "docs", kit / "docs")
    commands = re.findall(r"^    python -m grader (.+)$", PAGE.read_text(encoding="utf-8"), re.M)
    assert [line.split()[0] for line in commands] == [
        "new-lab",
        "handout",
        "check",
        "examples",
        "release",
    ]
    said = {}
    for line in commands:
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
        said[line.split()[0]] = done.stdout + done.stderr
    (record,) = (kit / "results" / "lab5").glob("**/record.json")
    graded = json.loads(record.read_text(encoding="utf-8"))
    assert (graded["score"], graded["max_score"]) == (5, 5)
    assert "3 of 3 examples as expected" in said["examples"]
    assert list((kit / "dist").glob("drydock-lab5-*.zip"))
