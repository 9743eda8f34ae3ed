"""`grade`, as a tutor runs it, on real sandboxes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine import kit
from tests.engine.small_class import PARTS, THREE, Class

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory, image_set: Any) -> tuple[Class, Any]:
    """A class that is graded from one command, nothing in the way."""
    one = Class(tmp_path_factory.mktemp("class"), THREE)
    return one, one.grade()


@pytest.mark.smoke
def test_a_class_is_graded_from_one_command(
    graded: tuple[Class, Any], left: Callable[[], set[str]]
) -> None:
    one, done = graded
    assert done.returncode == 0, done.stderr
    assert one.graded().keys() == PARTS
    assert all(result.score == 2 for result in one.graded().values())
    assert one.files == one.written
    assert not left()


@pytest.mark.smoke
def test_it_says_what_happens_and_what_is_next(graded: tuple[Class, Any]) -> None:
    one, done = graded
    assert "side by side: the limit is" in done.stderr
    for student in THREE:
        assert f"{student}: 4 of 4 points, in " in done.stderr
    assert "3 graded in " in done.stdout
    assert str(one.out / "class/index.html") in done.stdout
    assert str(one.out / "grades.csv") in done.stdout
    assert "Next" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.smoke
def test_what_is_graded_is_not_graded_again(graded: tuple[Class, Any]) -> None:
    one, _ = graded
    before = one.graded()
    again = one.grade()
    assert again.returncode == 0
    assert "3 graded already, with the same files." in again.stderr
    assert one.graded() == before


def test_changed_files_are_graded_anew_and_nobody_elses(graded: tuple[Class, Any]) -> None:
    one, _ = graded
    before = one.graded()
    one.say("s0000002", "quite well")
    assert one.grade().returncode == 0
    after = one.graded()
    assert {part for part in before if after[part] != before[part]} == {("s0000002", "one")}


def test_a_second_batch_in_the_same_folder_hears_of_the_first_and_another_folder_is_free(
    tmp_path: Path, image_set: Any, left: Callable[[], set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRYDOCK_TEST_SECONDS", "4")
    one = Class(tmp_path / "one", THREE)
    other = Class(tmp_path / "other", {"s0000009": "well"})
    running = kit.Running(*one.where)
    running.until("side by side")
    second = one.grade()
    assert second.returncode == 2
    assert f"process {running.process.pid}, since" in second.stderr
    beside = other.grade("--jobs", "1")
    assert beside.returncode == 0, beside.stderr
    out, _ = running.process.communicate(timeout=600)
    assert running.process.returncode == 0, out
    assert one.graded().keys() == PARTS
    assert not left()


def test_a_results_folder_that_cannot_be_written_to_is_a_clear_error(
    tmp_path: Path, tiny_disk: Path
) -> None:
    one = Class(tmp_path / "class", THREE, out=tiny_disk / "results")
    before = one.files
    subprocess.run(["mount", "-o", "remount,ro", tiny_disk], check=True)
    done = one.grade()
    assert done.returncode == 2
    assert "Results cannot be written here" in done.stderr
    assert "--out" in done.stderr
    assert "Traceback" not in done.stderr
    assert one.files == before


def test_another_version_replaces_nothing_until_it_is_asked_to(
    tmp_path: Path, image_set: Any
) -> None:
    one = Class(tmp_path, THREE)
    assert one.grade().returncode == 0
    before = one.graded()
    checks = one.lab.folder / "checks/one/check_one.py"
    text = checks.read_text(encoding="utf-8")
    checks.write_text(text.replace("@check(points=1)", "@check(points=3)"), encoding="utf-8")

    plain = one.grade()
    assert plain.returncode == 0
    assert "Results of 3 submissions come from an earlier version" in plain.stderr
    assert one.graded() == before

    shown = one.grade("--regrade")
    assert shown.returncode == 0, shown.stderr
    assert "1 → 3" in shown.stdout
    assert "s0000001: +2 points in total" in shown.stdout
    assert one.graded() == before
    rows = (one.out / "regrade.csv").read_text(encoding="utf-8").splitlines()
    assert rows[1].startswith("s0000001,one.runs,1,3,passed,passed")
    assert len(rows) == 4

    replaced = one.grade("--regrade", "--replace")
    assert replaced.returncode == 0, replaced.stderr
    assert "3 records replaced" in replaced.stdout
    after = one.graded()
    assert {after[part].score for part in PARTS if part[1] == "one"} == {4}
    assert all(after[part] == before[part] for part in PARTS if part[1] == "three")
    (old,) = (one.out / "replaced").iterdir()
    assert {file.name for file in old.iterdir()} == {f"{student}.json" for student in THREE}
    assert one.grade().returncode == 0
    assert one.graded() == after
