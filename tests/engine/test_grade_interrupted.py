"""What can happen to a batch: every submission is graded once, and nothing is left over."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from grader import record
from grader.engine import engine_paths, engine_state, packages
from grader.engine.client import Engine
from grader.record import ExerciseResult
from grader.waiting import wait_until
from tests.engine import kit
from tests.engine.small_class import PARTS, THREE, Class, kept

pytestmark = pytest.mark.engine

MOMENTS = (
    *(("", 0.3 + 0.5 * number) for number in range(10)),
    *(("points, in", 0.13 * number) for number in range(10)),
)
"""When to kill: seconds after the command was given, or after it has said the first words."""

MEMORY = Path("/proc/meminfo")


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
        assert "Run the same command to continue" in running.said
        assert "Traceback" not in running.said
        assert not left()
        assert kept(before, one.graded())
        assert not (one.out / ".work").exists()
        before = one.graded()
    done = one.grade()
    assert done.returncode == 0, done.stderr
    assert one.graded().keys() == PARTS
    assert kept(before, one.graded())


def test_a_second_ctrl_c_ends_it_as_well_and_the_next_run_clears_up(
    tmp_path: Path, image_set: Any, left: Callable[[], set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRYDOCK_TEST_SECONDS", "20")
    one = Class(tmp_path, THREE)
    running = kit.Running(*one.where)
    running.until("side by side")
    assert wait_until(left, within=60), "a sandbox is there"
    os.killpg(running.process.pid, signal.SIGINT)
    running.until("Stopping")
    began = time.monotonic()
    assert running.interrupt() == 130, running.said
    assert time.monotonic() - began < 60
    assert "Traceback" not in running.said
    monkeypatch.setenv("DRYDOCK_TEST_SECONDS", "0")
    done = one.grade()
    assert done.returncode == 0, done.stderr
    assert one.graded().keys() == PARTS
    assert not left()


def test_killed_at_any_of_twenty_moments_it_goes_on_and_grades_each_exactly_once(
    tmp_path: Path, image_set: Any, left: Callable[[], set[str]]
) -> None:
    one = Class(tmp_path, {f"s00000{number}": "well" for number in range(10, 22)})
    before: dict[Any, ExerciseResult] = {}
    replaced: dict[Any, ExerciseResult] = {}
    for number, (words, seconds) in enumerate(MOMENTS):
        if words:
            # There must be work left at the moment of the kill: half of them hand in again.
            for student in one.students[number % 2 :: 2]:
                one.say(student, f"well, version {number}")
                if old := before.pop((student, "one"), None):
                    replaced[student, "one"] = old
        running = kit.Running(*one.where)
        if words:
            running.until(words)
        time.sleep(seconds)
        assert running.process.poll() is None, "there was nothing left to interrupt"
        if number % 2:
            running.kill_alone()
        else:
            running.kill()
        found = one.graded()
        assert kept(before, found)
        before = {part: result for part, result in found.items() if replaced.get(part) != result}
    assert before, "some were graded on the way"
    assert replaced, "some handed in again"
    done = one.grade()
    assert done.returncode == 0, done.stderr
    assert one.graded().keys() == {(s, e) for s in one.students for e in ("one", "three")}
    assert kept(before, one.graded())
    assert all(one.graded()[part] != result for part, result in replaced.items())
    assert one.files == one.written
    assert not left()
    assert wait_until(lambda: not of_checks(one.out), within=30), "checks end with their batch"


def of_checks(out: Path) -> list[str]:
    """Processes of checks that were started for this results folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = process.read_bytes().decode("utf-8", errors="replace")
            if "grader.grading.process" in words and str(out) in words:
                found.append(words)
    return found


def test_a_clock_that_was_set_back_between_two_runs_changes_nothing(
    tmp_path: Path, image_set: Any, left: Callable[[], set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRYDOCK_TEST_SECONDS", "3")
    one = Class(tmp_path, THREE)
    running = kit.Running(*one.where, "--jobs", "1")
    running.until("points, in")
    assert wait_until(left, within=60), "the next one's sandbox is there"
    running.kill()
    # What a clock that was two days ahead has written; the one that is right comes after it.
    ahead(one.out, engine_paths.current().home / "runs")
    before = one.graded()
    now = datetime.now().astimezone().isoformat()
    assert before
    assert all(result.graded_at > now for result in before.values())
    done = one.grade()
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert not re.search(r"-\d+(\.\d+)? (s|min|h)\b", done.stderr + done.stdout)
    assert one.graded().keys() == PARTS
    assert kept(before, one.graded())
    assert one.files == one.written
    assert not left()


def ahead(*folders: Path) -> None:
    """Put all times two days ahead: of files, and in what they say."""
    days = timedelta(days=2)

    def later(told: re.Match[str]) -> str:
        return (datetime.fromisoformat(told[0]) + days).isoformat(timespec="seconds")

    for file in [each for folder in folders for each in folder.rglob("*") if each.is_file()]:
        when = file.stat().st_mtime + days.total_seconds()
        if file.suffix == ".json":
            text = file.read_text(encoding="utf-8")
            text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", later, text)
            # Notes of runs have the seconds since 1970.
            text = re.sub(r'(?<="began": )[\d.]+', str(when), text)
            file.write_text(text, encoding="utf-8")
        os.utime(file, (when, when))


def kill_engine() -> None:
    state = engine_state.read_state(engine_paths.current())
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
    assert wait_until(left, within=60), "a sandbox is there"
    time.sleep(3)
    kill_engine()
    running.until("Paused: The Docker engine at")
    running.until("Recovered; regrading")
    out, _ = running.process.communicate(timeout=600)
    assert running.process.returncode == 0, running.said + out
    assert "Traceback" not in running.said + out
    assert one.graded().keys() == PARTS
    assert all(result.score == 2 for result in one.graded().values())
    assert one.files == one.written
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
    assert "s0000001: set aside, will be graded again alone" in done.stderr
    assert "took longer than 25 s" in done.stdout
    assert "ended with code 9" in done.stdout
    for student in ("s0000001", "s0000002"):
        found = record.load(one.results.record_file(student))
        assert found is not None
        assert not found.gradable
        assert not any(check.outcome == "failed" for check in found.checks)
    assert one.files == one.written
    assert not left()


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
    running.until("Paused:")
    # Whoever meets it first, the look at the disk (perhaps while it is filled yet) or what could
    # not be written there.
    full = rf"Only \d+ MiB are free on the disk of {one.out}|No space left on device"
    assert re.search(full, running.said), running.said
    time.sleep(8)
    ballast.unlink()
    running.until("Recovered; regrading")
    out, _ = running.process.communicate(timeout=600)
    assert running.process.returncode == 0, running.said + out
    assert one.graded().keys() == PARTS
    assert one.files == one.written
    assert not left()


def test_a_lack_of_memory_pauses_the_batch_until_there_is_some(
    tmp_path: Path,
    image_set: Any,
    left: Callable[[], set[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Memory that really ran out would take other tests down with it. What the system says of it
    # is made up, and for the batch alone, in a mount namespace of its own.
    told = tmp_path / "meminfo"
    told.write_bytes(MEMORY.read_bytes())
    script = f'mount --bind "$0" {MEMORY} && exec "$@"'
    own: list[str | Path] = ["unshare", "--mount", "sh", "-c", script, told]
    if not packages.is_root() or subprocess.run([*own, "true"]).returncode != 0:
        pytest.skip("nothing can be mounted here")
    monkeypatch.setenv("DRYDOCK_TEST_SECONDS", "3")
    one = Class(tmp_path / "class", THREE)
    running = kit.Running(*one.where, through=own)
    running.until("side by side")
    told.write_text("MemAvailable:  102400 kB\n", "utf-8")
    running.until("Paused:")
    assert "Only 100 MiB of memory are free." in running.said
    told.write_bytes(MEMORY.read_bytes())
    running.until("Recovered; regrading")
    out, _ = running.process.communicate(timeout=600)
    assert running.process.returncode == 0, running.said + out
    assert one.graded().keys() == PARTS
    assert one.files == one.written
    assert not left()
