"""`check --watch` as a user runs it, over a small lab whose checks need no engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.lab import variant as variants
from grader.lab.model import Lab
from tests.engine import kit
from tests.unit import toy_lab

STUDENT = "s1234567"


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    made = toy_lab.make(tmp_path)
    checks = made.folder / "checks" / "words" / "check_words.py"
    text = checks.read_text(encoding="utf-8")
    checks.write_text(text[: text.index("@check(points=1)\n")], encoding="utf-8")
    told = made.folder / "lab.yaml"
    text = told.read_text(encoding="utf-8").replace("images: [a]", "images: [a], local: true")
    told.write_text(text, encoding="utf-8")
    return made


def watch(lab: Lab, tmp_path: Path) -> kit.Running:
    where = ("--workspace", tmp_path / "mine", "--out", tmp_path / "out")
    who = ("--student", STUDENT)
    return kit.Running("check", lab.folder, "--target", "local", "--watch", *where, *who)


def test_from_one_point_missing_to_all(lab: Lab, tmp_path: Path) -> None:
    watched = watch(lab, tmp_path)
    watched.until("Watching")
    port = variants.variant(lab, STUDENT)["port"]
    file = tmp_path / "mine" / "words" / "words.txt"
    file.parent.mkdir(parents=True)
    file.write_text("hello", encoding="utf-8")
    watched.until("saved: words/words.txt")
    watched.until("passed now, was failed: There is a file words.txt.")
    watched.until("failed now, was not graded: It says hello and the port.")
    watched.until("2 → 3 of 4 points (1 more).")
    watched.until("Watching")
    file.write_text(f"hello {port}\n", encoding="utf-8")
    watched.until("3 → 4 of 4 points (1 more).")
    watched.until("Watching")
    assert watched.interrupt() == 0, "as of the last grading"
    assert "Stopped watching." in watched.said
    assert "Traceback" not in watched.said


def test_a_mistake_that_cannot_be_graded_is_said_and_watched_on(lab: Lab, tmp_path: Path) -> None:
    watched = watch(lab, tmp_path)
    watched.until("Watching")
    folder = tmp_path / "mine" / "numbers"
    folder.mkdir(parents=True)
    for number in range(2_001):
        (folder / f"{number}.txt").write_text("1", encoding="utf-8")
    watched.until("The folder is too large")
    watched.until("Watching")
    for number in range(2_001):
        (folder / f"{number}.txt").unlink()
    watched.until("saved: numbers/0.txt, numbers/1.txt, numbers/10.txt and 1998 more")
    watched.until("Watching")
    assert watched.interrupt() == 1
    assert "Traceback" not in watched.said
