"""`check`, as a student runs it: from untouched starter files on, with real sandboxes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grader import record
from grader.engine.client import Engine
from grader.waiting import wait_until
from tests.engine import kit

pytestmark = pytest.mark.engine

STUDENT = "s7140389"
"""A student of this module's own, by whom its sandboxes are known."""


class Place:
    """A student's workspace and results, in a folder with a space and an umlaut."""

    def __init__(self, folder: Path) -> None:
        self.workspace = folder / "mein Übungsblatt"
        self.out = folder / "results"
        self.where: list[str | Path] = [
            *("--workspace", self.workspace),
            *("--out", self.out),
            *("--student", STUDENT),
        ]

    def check(self, *more: str) -> Any:
        return kit.run("check", "lab4", *self.where, *more)

    @property
    def record(self) -> record.Record:
        found = record.load(self.out / "record.json")
        assert found is not None
        return found


EXERCISES = ["webserver", "scientific", "compose", "swarm", "rollout"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, image_set: Any) -> Place:
    return Place(tmp_path_factory.mktemp("student"))


@pytest.fixture(scope="module")
def first(place: Place) -> Any:
    """The first run: there is nothing yet."""
    return place.check()


@pytest.mark.smoke
def test_the_first_run_hands_out_and_grades(place: Place, first: Any) -> None:
    assert first.returncode == 1, first.stderr
    assert (place.workspace / "README.md").is_file()
    assert (place.workspace / "worksheet.ipynb").is_file()
    assert str(place.workspace) in first.stderr
    assert [e.id for e in place.record.exercises] == EXERCISES
    assert place.record.gradable


@pytest.mark.smoke
def test_untouched_starters_get_few_points_and_hints(place: Place, first: Any) -> None:
    assert 0 < place.record.score < place.record.max_score / 3
    assert place.record.max_score in (99, 100), (
        "a port in the mesh is worth one, where a kernel has it"
    )
    failed = [check for check in place.record.checks if check.outcome == "failed"]
    assert failed
    assert all(check.cause and check.cause.hint for check in failed)
    assert "Hint:" in first.stdout
    assert "Traceback" not in first.stdout + first.stderr


@pytest.mark.smoke
def test_the_page_is_written_and_its_path_said(place: Place, first: Any) -> None:
    page = place.out / "feedback.html"
    assert STUDENT in page.read_text(encoding="utf-8")
    assert str(page) in first.stdout


def test_the_record_says_where_it_was_graded(place: Place, first: Any) -> None:
    for exercise in place.record.exercises:
        assert exercise.target["kind"] == "sandbox"
        assert exercise.target["isolation"] in ("userns", "container")
        assert exercise.target["nodes"] == (3 if exercise.id in ("swarm", "rollout") else 1)
        assert exercise.seconds["sandbox"] > 0


@pytest.mark.smoke
def test_a_second_run_answers_from_the_record(place: Place, first: Any) -> None:
    before = (place.out / "record.json").read_bytes()
    again = place.check()
    assert again.returncode == 1
    assert f"Nothing has changed since {place.record.finished}" in again.stderr
    assert again.stdout == first.stdout
    assert (place.out / "record.json").read_bytes() == before


def test_an_edit_runs_that_exercise_only_and_is_not_overwritten(place: Place, first: Any) -> None:
    before = place.record
    file = place.workspace / "blog/compose.yaml"
    edited = file.read_text(encoding="utf-8") + "\n# I was here.\n"
    file.write_text(edited, encoding="utf-8")
    again = place.check()
    assert "compose: grading" in again.stderr
    assert "webserver: grading" not in again.stderr
    assert place.record.exercise("webserver") == before.exercise("webserver")
    assert place.record.exercise("compose") != before.exercise("compose")
    assert file.read_text(encoding="utf-8") == edited


@pytest.fixture
def objects(engine: Engine) -> Iterator[Any]:
    """Names of the containers, networks and volumes that were made for this student."""
    client = engine.client()
    mine = {"label": f"drydock.submission={STUDENT}"}

    def names() -> set[str]:
        return {
            *(c["Names"][0] for c in client.api.containers(all=True, filters=mine)),
            *(n["Name"] for n in client.api.networks(filters=mine)),
            *(v["Name"] for v in client.api.volumes(filters=mine)["Volumes"] or []),
        }

    yield names
    client.close()


def test_ctrl_c_stops_and_cleans_up(place: Place, first: Any, objects: Any) -> None:
    kept = place.record
    running = kit.Running("check", "lab4", *place.where, "--fresh", "--exercise", "compose")
    running.until("compose: grading")
    assert wait_until(objects, within=60), "its sandbox is there"
    assert running.interrupt() == 130
    assert "Stopped" in running.said
    assert "Traceback" not in running.said
    assert not objects()
    assert place.record == kept


def test_what_a_killed_run_left_is_removed_by_the_next(
    place: Place, first: Any, objects: Any
) -> None:
    running = kit.Running("check", "lab4", *place.where, "--fresh", "--exercise", "compose")
    running.until("compose: grading")
    assert wait_until(objects, within=60), "its sandbox is there"
    running.kill()
    assert objects(), "nothing could clean up"
    place.check("--fresh", "--exercise", "compose")
    assert not objects()


def test_an_unknown_exercise_is_named_with_those_there_are(place: Place) -> None:
    done = place.check("--exercise", "swimming")
    assert done.returncode == 2
    assert "swimming" in done.stderr
    assert ", ".join(EXERCISES) in done.stderr


def test_a_wrong_student_id_is_refused_with_an_example() -> None:
    done = kit.run("check", "lab4", "--student", "me")
    assert done.returncode == 2
    assert "s1234567" in done.stderr
    assert "Traceback" not in done.stderr
