"""`check --watch` with real sandboxes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from grader import record
from grader.grading import examples
from grader.lab import labfile
from tests.engine import kit

pytestmark = pytest.mark.engine

LAB = labfile.load("lab4")
STUDENT = LAB.demo_student


def test_a_save_is_graded_and_what_it_changed_is_said(image_set: Any, tmp_path: Path) -> None:
    solution, workspace, out = tmp_path / "solution", tmp_path / "workspace", tmp_path / "out"
    examples.render(LAB, examples.find(LAB, ["compose/solution"])[0], STUDENT, solution)
    where: list[str | Path] = ["--student", STUDENT, "--workspace", workspace, "--out", out]
    watched = kit.Running("check", "lab4", "--exercise", "compose", "--watch", *where)
    watched.until("Watching your files:")
    before = record.load(out / "record.json")
    assert before is not None

    # A save that breaks the file, as happens while one types.
    compose = workspace / "counter" / "compose.yaml"
    compose.write_text("services:\n  web: [\n", encoding="utf-8")
    watched.until("saved: counter/compose.yaml")
    watched.until("failed now, was passed: counter/ has a compose file that can be read")
    watched.until("Watching your files:")

    for name in ("Dockerfile", "compose.yaml"):
        shutil.copyfile(solution / "counter" / name, workspace / "counter" / name)
    watched.until("saved: counter/Dockerfile, counter/compose.yaml")
    watched.until("Watching your files:")
    after = record.load(out / "record.json")
    assert after is not None
    assert after.score > before.score + 7
    assert watched.interrupt() == 1, "the blog is not done yet"
    assert "Traceback" not in watched.said
