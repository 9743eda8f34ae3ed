"""`grade`, as a tutor runs it: real sandboxes, and everything that can happen to a batch."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grader import record
from grader.checks import eventually
from grader.engine import embedded, leftovers, packages
from grader.engine.find import Engine
from grader.record import ExerciseResult
from tests.engine import kit
from tests.engine.small_class import Class, files

pytestmark = pytest.mark.engine

THREE = {"s0000001": "well", "s0000002": "well", "s0000003": "well"}
PARTS = {(student, exercise) for student in THREE for exercise in ("one", "three")}
MOMENTS = (0.3, 1.5, 3, 5, 8, 12)
"""Seconds after the batch says how much it runs side by side."""


def written(students: dict[str, str] = THREE) -> set[str]:
    """All files of a results folder whose class is graded."""
    return {
        "class.json",
        "grades.csv",
        "class/index.html",
        *(f"records/{student}.json" for student in students),
        *(f"feedback/{student}.html" for student in students),
    }


@pytest.fixture
def left(engine: Engine) -> Callable[[], set[str]]:
    """What sandboxes of this data directory are or were there, in engine and system."""
    place = embedded.place()

    def look() -> set[str]:
        client = engine.client()
        mine = {"label": f"drydock.home={place.key}"}
        found = {
            *(c["Names"][0] for c in client.api.containers(all=True, filters=mine)),
            *(n["Name"] for n in client.api.networks(filters=mine)),
            *(v["Name"] for v in client.api.volumes(filters=mine)["Volumes"] or []),
            *leftovers.loops(place.home / "disks"),
            *(str(path) for path in (place.home / "runs").glob("*.json")),
            *(str(path) for path in (place.home / "disks").glob("*")),
            *(str(path) for path in place.nodes.glob("*")),
        }
        client.close()
        mounts = Path("/proc/mounts").read_text(encoding="utf-8") if engine.local else ""
        return found | {line for line in mounts.splitlines() if str(place.home / "disks") in line}

    return look


def in_whole_folder(one: Class) -> set[str]:
    """Names in the results folder, as they are asserted on: the class page has more files."""
    return {name for name in files(one.out) if not name.startswith("class/")} | {
        "class/index.html" for _ in one.out.glob("class/index.html")
    }


def kept(before: dict[Any, ExerciseResult], after: dict[Any, ExerciseResult]) -> bool:
    """What was recorded once is what is recorded now: it was not graded again."""
    return all(after[part] == result for part, result in before.items())


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory, image_set: Any) -> tuple[Class, Any]:
    """A class that is graded from one command, nothing in the way."""
    one = Class(tmp_path_factory.mktemp("class"), THREE)
    return one, one.grade()


def test_a_class_is_graded_from_one_command(
    graded: tuple[Class, Any], left: Callable[[], set[str]]
) -> None:
    one, done = graded
    assert done.returncode == 0, done.stderr
    assert one.graded().keys() == PARTS
    assert all(result.score == 2 for result in one.graded().values())
    assert in_whole_folder(one) == written()
    assert not left()


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


def test_what_is_graded_is_not_graded_again(graded: tuple[Class, Any]) -> None:
    one, _ = graded
    before = one.graded()
    again = one.grade()
    assert again.returncode == 0
    assert "3 graded already, their files are the same." in again.stderr
    assert one.graded() == before


def test_changed_files_are_graded_anew_and_nobody_elses(graded: tuple[Class, Any]) -> None:
    one, _ = graded
    before = one.graded()
    one.say("s0000002", "quite well")
    assert one.grade().returncode == 0
    after = one.graded()
    assert {part for part in before if after[part] != before[part]} == {("s0000002", "one")}


def test_ctrl_c_ends_at_once_and_the_same_command_goes_on(
    tmp_path: Path, image_set: Any, left: Callable[[], set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRYDOCK_TEST_SECONDS", "4")
    one = Class(tmp_path, THREE)
    before: dict[Any, ExerciseResult] = {}
    for seconds in (1, 6):
        running = kit.Running(*one.where)
        running.until("side by side")
        time.sleep(seconds)
        assert running.interrupt() == 130, running.said
        assert "The same command goes on" in running.said
        assert "Traceback" not in running.said
        assert not left()
        assert kept(before, one.graded())
        assert not (one.out / ".work").exists()
        before = one.graded()
    done = one.grade()
    assert done.returncode == 0, done.stderr
    assert one.graded().keys() == PARTS
    assert kept(before, one.graded())


def test_killed_at_any_moment_it_goes_on_and_grades_each_exactly_once(
    tmp_path: Path, image_set: Any, left: Callable[[], set[str]]
) -> None:
    one = Class(tmp_path, THREE)
    before: dict[Any, ExerciseResult] = {}
    for number, seconds in enumerate(MOMENTS):
        running = kit.Running(*one.where)
        try:
            running.until("side by side")
        except AssertionError:
            break  # everything is graded
        time.sleep(seconds)
        if number % 2:
            running.kill_alone()
        else:
            running.kill()
        assert kept(before, one.graded())
        before = one.graded()
    done = one.grade()
    assert done.returncode == 0, done.stderr
    assert one.graded().keys() == PARTS
    assert kept(before, one.graded())
    assert in_whole_folder(one) == written()
    assert not left()
    assert eventually(lambda: not of_checks(one.out), within=30), "checks end with their batch"


def of_checks(out: Path) -> list[str]:
    """Processes of checks that were started for this results folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = process.read_bytes().decode("utf-8", errors="replace")
            if "grader.check_run" in words and str(out) in words:
                found.append(words)
    return found


def kill_engine() -> None:
    state = embedded.read_state(embedded.place())
    assert state is not None
    os.kill(state.pid, signal.SIGKILL)


def test_an_engine_that_dies_pauses_the_batch_and_costs_nobody_points(
    tmp_path: Path,
    engine: Engine,
    image_set: Any,
    left: Callable[[], set[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if engine.origin != "embedded" or not packages.is_root():
        pytest.skip("only the kit's own engine may be killed")
    monkeypatch.setenv("DRYDOCK_TEST_SECONDS", "5")
    one = Class(tmp_path, THREE)
    running = kit.Running(*one.where)
    running.until("side by side")
    assert eventually(left, within=60), "a sandbox is there"
    time.sleep(3)
    kill_engine()
    running.until("Paused: The Docker engine at")
    running.until("It is mended")
    out, _ = running.process.communicate(timeout=600)
    assert running.process.returncode == 0, running.said + out
    assert "Traceback" not in running.said + out
    assert one.graded().keys() == PARTS
    assert all(result.score == 2 for result in one.graded().values())
    assert in_whole_folder(one) == written()
    assert not left()


def test_one_that_hangs_and_one_that_crashes_cost_themselves_alone(
    tmp_path: Path, image_set: Any, left: Callable[[], set[str]]
) -> None:
    students = {"s0000001": "hang", "s0000002": "crash", "s0000003": "well", "s0000004": "well"}
    one = Class(tmp_path, students, seconds=25)
    done = one.grade()
    assert done.returncode == 3, done.stderr
    whole = {student for student, exercise in one.graded() if exercise == "one"}
    assert whole == {"s0000003", "s0000004"}
    assert "s0000001: set aside, will be graded once more alone" in done.stderr
    assert "took longer than 25 s" in done.stdout
    assert "ended with code 9" in done.stdout
    for student in ("s0000001", "s0000002"):
        found = record.load(one.results.record_file(student))
        assert found is not None
        assert not found.gradable
        assert not any(check.outcome == "failed" for check in found.checks)
    assert in_whole_folder(one) == written(students)
    assert not left()


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


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    if not packages.is_root():
        pytest.skip("mounting needs root")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", place])
    if mounted.returncode != 0:
        pytest.skip("nothing can be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(file: Path) -> None:
    """Until there is no space left."""
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as opened:
        while True:
            opened.write(bytes(1 << 16))


def test_a_full_disk_pauses_the_batch_until_there_is_room(
    tmp_path: Path,
    tiny_disk: Path,
    image_set: Any,
    left: Callable[[], set[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DRYDOCK_TEST_SECONDS", "3")
    one = Class(tmp_path / "class", THREE, out=tiny_disk / "results")
    running = kit.Running(*one.where)
    running.until("side by side")
    ballast = tiny_disk / "ballast"
    fill(ballast)
    running.until("Paused: Only 0 MiB are free on the disk of")
    time.sleep(8)
    ballast.unlink()
    running.until("It is mended")
    out, _ = running.process.communicate(timeout=600)
    assert running.process.returncode == 0, running.said + out
    assert one.graded().keys() == PARTS
    assert in_whole_folder(one) == written()
    assert not left()


def test_a_results_folder_that_cannot_be_written_to_is_a_clear_error(
    tmp_path: Path, tiny_disk: Path
) -> None:
    one = Class(tmp_path / "class", THREE, out=tiny_disk / "results")
    before = files(one.out)
    subprocess.run(["mount", "-o", "remount,ro", tiny_disk], check=True)
    done = one.grade()
    assert done.returncode == 2
    assert "Results cannot be written here" in done.stderr
    assert "--out" in done.stderr
    assert "Traceback" not in done.stderr
    assert files(one.out) == before


def test_another_version_replaces_nothing_until_it_is_asked_to(
    tmp_path: Path, image_set: Any
) -> None:
    one = Class(tmp_path, THREE)
    assert one.grade().returncode == 0
    before = one.graded()
    checks = one.lab.folder / "checks/one.py"
    text = checks.read_text(encoding="utf-8")
    checks.write_text(text.replace("@check(points=1)", "@check(points=3)"), encoding="utf-8")

    plain = one.grade()
    assert plain.returncode == 0
    assert "Results of 3 submissions are an earlier version's" in plain.stderr
    assert one.graded() == before

    shown = one.grade("--regrade")
    assert shown.returncode == 0, shown.stderr
    assert "1 → 3" in shown.stdout
    assert "s0000001: +2 points in all" in shown.stdout
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
