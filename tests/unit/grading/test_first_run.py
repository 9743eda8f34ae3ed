"""What a first run waits for, and what it says meanwhile. No engine."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from grader.engine import images
from grader.engine.images import catalogue
from grader.engine.images.sets import ImageSet
from grader.errors import EngineFault, Stopped
from grader.grading import first_run
from grader.grading.exercise import FREE
from grader.grading.first_run import FirstRun
from grader.grading.progress import Progress
from grader.lab import labfile
from grader.lab.model import Exercise, Lab
from grader.targets.providers import NoTargets
from tests.unit import toy_lab

LAB = labfile.load("lab4")
WHOLE = ImageSet("whole", "1", {name: {} for name in catalogue.load().names})


def needed(lab: Lab, exercise: str, workspace: Path) -> tuple[str, ...]:
    return first_run.needed(lab, lab.exercise(exercise), workspace).names


def test_the_first_exercise_of_the_practical_needs_a_quarter_of_the_images(tmp_path: Path) -> None:
    assert needed(LAB, "webserver", tmp_path) == ("debian", "php", "nginx", "python")
    assert needed(LAB, "scientific", tmp_path) == ("debian", "python")


@pytest.mark.parametrize("exercise", [exercise.id for exercise in LAB.exercises])
def test_an_exercise_needs_what_the_lab_allows_and_parents(tmp_path: Path, exercise: str) -> None:
    entries = catalogue.load()
    names = needed(LAB, exercise, tmp_path)
    for name in names:
        assert {*entries[name].parents} <= {*names}
    there = {tag for name in names for tag in entries[name].tags}
    assert there >= {*LAB.exercise(exercise).images}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Dockerfile", "FROM alpine"),
        ("compose.yaml", "image: docker.io/library/alpine:3"),
        ("deep/er/notes.txt", "is it alpine-like?"),
    ],
)
def test_what_a_submission_mentions_anywhere_is_needed(
    tmp_path: Path, name: str, text: str
) -> None:
    file = tmp_path / "scientific" / name
    file.parent.mkdir(parents=True)
    file.write_bytes(b"\xff\n" + text.encode())
    assert needed(LAB, "scientific", tmp_path) == ("debian", "python", "alpine")


def test_what_the_checks_mention_or_use_is_needed(tmp_path: Path) -> None:
    lab = toy_lab.make(tmp_path)
    file = lab.folder / "lab.yaml"
    text = file.read_text(encoding="utf-8").replace("[a]", '["debian:12"]')
    file.write_text(text, encoding="utf-8")
    lab = labfile.load(lab.folder)
    assert needed(lab, "words", tmp_path) == ("debian", "python"), "the kit's own containers"
    checks = lab.folder / "checks" / "words" / "tools.py"
    checks.write_text("from grader.modules.probe import reachable\n# redis\n", encoding="utf-8")
    assert needed(lab, "words", tmp_path) == ("debian", "redis", "python", "alpine")
    assert needed(lab, "numbers", tmp_path) == ("debian", "python")


def test_an_exercise_with_an_unknown_image_needs_all(tmp_path: Path) -> None:
    lab = toy_lab.make(tmp_path)
    assert first_run.needed(lab, lab.exercises[0], tmp_path) == catalogue.load()


class Made:
    """Stands for the engine: a whole set that is there once the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.future: Future[ImageSet] = Future()
        self.began = threading.Event()
        self.parts_removed = False
        monkeypatch.setattr(images, "ensure", self.ensure)
        monkeypatch.setattr(images, "remove_parts", self.remove_parts)

    def ensure(self, _engine: Any, *, stop: threading.Event, told: Any) -> ImageSet:
        self.began.set()
        while not self.future.done():
            told("2 of 16, nginx:1.22: Setting up nginx")
            if stop.wait(0.05):
                raise Stopped
        return self.future.result()

    def remove_parts(self, _engine: Any) -> None:
        self.parts_removed = True


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    return Made(monkeypatch)


def run_of(*exercises: str) -> FirstRun:
    needs = {name: first_run.needed(LAB, LAB.exercise(name), Path("none")) for name in exercises}
    part = next(iter(needs.values()))
    return FirstRun(None, ImageSet("part", "2", {name: {} for name in part.names}), needs)  # type: ignore[arg-type]


class Told:
    """What is said of each exercise."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.progress = Progress(waiting=self._note, doing=self._note)

    def _note(self, exercise: Exercise, what: str) -> None:
        if (exercise.id, what) not in self.lines:
            self.lines.append((exercise.id, what))


def test_an_exercise_waits_for_its_images_and_says_which(made: Made) -> None:
    told, run = Told(), run_of("webserver", "scientific", "swarm")
    webserver, scientific, swarm = (LAB.exercise(name) for name in run._needs)
    with run.making(told.progress):
        for exercise in (webserver, scientific):
            with run.sandbox(exercise, "", threading.Event()):
                assert run.set_for(exercise).volume == "part"
        assert told.lines == []
        threading.Timer(1.2, made.future.set_result, [WHOLE]).start()
        with run.sandbox(swarm, "", threading.Event()):
            assert run.set_for(swarm) == WHOLE
    assert told.lines == [
        ("swarm", "the images: redis, alpine, demo-1, demo-2, demo-3"),
        ("swarm", "2 of 16, nginx:1.22: Setting up nginx"),
    ]
    assert made.parts_removed


def test_nothing_more_is_made_than_is_needed(made: Made) -> None:
    run = run_of("webserver", "scientific")
    with run.making(Progress()):
        pass
    assert not made.began.is_set()
    assert not made.parts_removed


def test_a_stop_ends_the_waiting_and_the_making(made: Made) -> None:
    run, stop = run_of("scientific", "compose"), threading.Event()
    stop.set()
    started = time.monotonic()
    with (
        pytest.raises(Stopped),
        run.making(Progress()),
        run.sandbox(LAB.exercise("compose"), "", stop),
    ):
        raise AssertionError("it does not begin")
    assert time.monotonic() - started < 20
    assert not made.parts_removed


def test_a_fault_while_making_reaches_those_who_need_it_only(made: Made) -> None:
    run = run_of("scientific", "compose")
    made.future.set_exception(EngineFault("The disk is full."))
    with run.making(Progress()):
        for name in ("scientific", "compose"):
            with run.sandbox(LAB.exercise(name), "", threading.Event()):
                pass
        assert run.set_for(LAB.exercise("scientific")).volume == "part"
        with pytest.raises(EngineFault, match="The disk is full"):
            run.set_for(LAB.exercise("compose"))


def test_other_providers_admit_all_at_once() -> None:
    with first_run.making(NoTargets(EngineFault("none")), Progress()) as admission:
        assert admission is FREE
