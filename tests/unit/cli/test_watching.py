"""What was saved in a workspace, and what is said after it was graded again."""

from __future__ import annotations

import io
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from grader.cli.watching import Saved, Watch, is_temporary
from grader.lab.model import Exercise
from grader.record import Record
from grader.reports import changes
from tests.unit import sample_record as sample

EVERY = 0.05


def exercise(name: str, *folders: str) -> Exercise:
    return Exercise(name, name, 1, list(folders or [name]), [], 1, 60)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    for folder in ("counter", "blog", "swarm"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file.txt").write_text("1", encoding="utf-8")
    return tmp_path


def after(change: threading.Timer, watch: Watch) -> Saved:
    change.start()
    return watch.wait()


def test_saves_in_a_row_are_told_once_with_their_exercises(workspace: Path) -> None:
    watch = Watch(
        workspace, [exercise("compose", "counter", "blog"), exercise("swarm")], every=EVERY
    )

    def save() -> None:
        for number in range(8):
            (workspace / "counter" / "file.txt").write_text("2" * number, encoding="utf-8")
            (workspace / "blog" / f"new{number}.yaml").write_text("x", encoding="utf-8")
            time.sleep(EVERY / 3)

    saved = after(threading.Timer(0.2, save), watch)
    assert saved.exercises == {"compose"}
    assert "counter/file.txt" in saved.files
    assert {f"blog/new{n}.yaml" for n in range(8)} <= set(saved.files)
    assert not saved.outside


def test_a_removed_file_is_a_change(workspace: Path) -> None:
    watch = Watch(workspace, [exercise("swarm"), exercise("blog")], every=EVERY)
    saved = after(threading.Timer(0.1, (workspace / "swarm" / "file.txt").unlink), watch)
    assert saved == Saved({"swarm"}, ["swarm/file.txt"], False)


def test_what_is_saved_while_it_is_graded_is_told_afterwards(workspace: Path) -> None:
    watch = Watch(workspace, [exercise("swarm")], every=EVERY)
    (workspace / "swarm" / "file.txt").write_text("changed", encoding="utf-8")
    assert watch.wait().files == ["swarm/file.txt"]


def test_something_else_may_be_watched_too(workspace: Path) -> None:
    states = ["running"]
    watch = Watch(workspace, [exercise("swarm")], lambda: list(states), every=EVERY)
    saved = after(threading.Timer(0.1, states.append, ["exited"]), watch)
    assert saved == Saved(set(), [], True)


@pytest.mark.parametrize(
    "name",
    [
        ".compose.yaml.swp", ".compose.yaml.swx", "4913", "compose.yaml~", ".#compose.yaml",
        "#compose.yaml#", ".goutputstream-AB12", "compose.yaml___jb_tmp___", "~$report.docx",
        ".DS_Store", "__pycache__",
    ],
)  # fmt: skip
def test_what_editors_write_for_themselves_is_no_save(workspace: Path, name: str) -> None:
    assert is_temporary(name)
    watch = Watch(workspace, [exercise("swarm")], every=EVERY)
    (workspace / "swarm" / name).write_text("x", encoding="utf-8")
    saved = after(
        threading.Timer(0.15, (workspace / "swarm" / "real.txt").write_text, ["x"]), watch
    )
    assert saved.files == ["swarm/real.txt"]


@pytest.mark.parametrize("name", ["compose.yaml", "Dockerfile", ".env", "runbook.txt", "app.py"])
def test_what_students_write_is_one(name: str) -> None:
    assert not is_temporary(name)


def said(before: Record | None, now: Record) -> str:
    out = io.StringIO()
    changes.render(before, now, Path("page.html"), Console(file=out, width=100))
    return out.getvalue()


def test_better_and_worse_are_said_with_the_reason_and_the_points() -> None:
    before = sample.typical()
    first = before.exercises[0]
    failed = next(c for c in first.checks if c.outcome == "failed")
    passed = next(c for c in first.checks if c.outcome == "passed")
    turned = {
        failed.id: replace(failed, outcome="passed", points=failed.max_points, cause=None),
        passed.id: replace(passed, outcome="failed", points=0.0, cause=failed.cause),
    }
    exercise_now = replace(first, checks=tuple(turned.get(c.id, c) for c in first.checks))
    now = replace(before, exercises=(exercise_now, *before.exercises[1:]))
    text = " ".join(said(before, now).split())
    assert f"passed now, was failed: {failed.title}" in text
    assert f"failed now, was passed: {passed.title}" in text
    assert failed.cause is not None
    assert failed.cause.reason in text
    assert "→" in text or "as before" in text
    assert "page.html" in text


def test_no_change_is_said_and_the_next_thing_to_do_stays() -> None:
    text = said(sample.typical(), sample.typical())
    assert "No check has another result than before." in text
    assert "as before" in text
    assert "Next:" in text


def test_hidden_checks_stay_hidden() -> None:
    before = sample.typical()
    first = before.exercises[0]
    secret = replace(first.checks[0], visibility="hidden", outcome="failed", title="SECRET")
    now = replace(
        before,
        exercises=(replace(first, checks=(secret, *first.checks[1:])), *before.exercises[1:]),
    )
    assert "SECRET" not in said(before, now)
