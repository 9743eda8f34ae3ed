"""What a worker or a virtual machine answers is believed no further than it can be checked."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grader import record
from grader.classroom.batch import answer
from grader.classroom.batch.job import Job, Lost
from grader.errors import KitError
from grader.grading import progress, submission
from grader.record import ExerciseResult, Record
from tests.unit import sample_record as sample
from tests.unit import toy_lab

STUDENT = "s0000001"
Tree = dict[str, Any]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    lab = toy_lab.make(tmp_path)
    workspace = tmp_path / "work"
    (workspace / "numbers").mkdir(parents=True)
    (workspace / "numbers/number.txt").write_text("1")
    request = submission.Request(
        lab=lab,
        student=STUDENT,
        workspace=workspace,
        record_file=tmp_path / "record.json",
        exercises=["numbers"],
    )
    return Job(request, submission.plan(request), rank=0)


def good(job: Job) -> Tree:
    """An answer that is one."""
    (exercise,) = job.planned.to_run
    result = ExerciseResult(
        id=exercise.id,
        title=exercise.title,
        key=job.planned.keys[exercise.id],
        graded_at=progress.now(),
        checks=(sample.passed("numbers.first", "It is.", 1), sample.failed("numbers.second", "No")),
        points=exercise.points,
        files=job.planned.files[exercise.id].digest,
        seconds={"checks": 1.0},
        target={"kind": "sandbox", "isolation": "none"},
    )
    lab, now = job.request.lab, progress.now()
    found = Record(lab.id, "A title", STUDENT, "theirs", (result,), "9.9", now, now)
    return {"record": json.loads(json.dumps(found.to_json()))}


def refusal(text: object, job: Job) -> str:
    with pytest.raises(KitError) as caught:
        answer.read(text, job, "The machine")
    assert not isinstance(caught.value, Lost)
    return str(caught.value)


def test_a_good_answer_is_taken_and_names_are_this_sides(job: Job) -> None:
    found = answer.read(json.dumps(good(job)), job)
    assert (found.student, found.score, found.max_score) == (STUDENT, 1, 2)
    assert (found.lab_title, found.submission) == (job.request.lab.title, "work")
    assert found.kit != "9.9"


def test_what_was_known_of_other_exercises_stays(job: Job) -> None:
    other = dataclasses.replace(answer.read(json.dumps(good(job)), job).exercises[0], id="words")
    first = answer.read(json.dumps(good(job)), job)
    previous = dataclasses.replace(first, exercises=(other,))
    again = Job(job.request, dataclasses.replace(job.planned, previous=previous), 0)
    found = answer.read(json.dumps(good(job)), again)
    assert [exercise.id for exercise in found.exercises] == ["words", "numbers"]


def test_only_this_side_says_what_isolates(job: Job) -> None:
    found = answer.isolated(answer.read(json.dumps(good(job)), job), job, "vm")
    assert found.exercises[0].target == {"kind": "sandbox", "isolation": "vm"}


def test_stopped_is_lost_and_refused_is_said_in_one_line(job: Job) -> None:
    with pytest.raises(Lost):
        answer.read('{"stopped": true}', job)
    said = refusal(json.dumps({"refused": "no\x1b[2J\nroom " + "x" * 10_000}), job)
    assert "refused it: no [2J room" in said
    assert len(said) < 1_000
    assert said.isprintable()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"{}", "not text"),
        (None, "not text"),
        ("", "not a record"),
        ("{", "not a record"),
        ("[]", "not a JSON object"),
        ("{}", "record"),
        ('{"record": null}', "not a record"),
        ('{"record": []}', "not a record"),
        ("[" * 200_000, "not a record"),
        ('{"record":' * 100_000, "not a record"),
        ("[" * 2_000_000, "too many parts"),
        ('{"a": [' + "1," * 1_500_000, "too many parts"),
        ('"' + "x" * (answer.MOST_BYTES + 1) + '"', "too long"),
        ('{"record": NaN}', "NaN"),
        ("1" * 100_000, "not a record"),
    ],
    ids=str,
)
def test_what_is_no_answer_is_refused(job: Job, text: object, why: str) -> None:
    assert why in refusal(text, job)


def at(*path: str | int, value: object) -> Callable[[Tree], None]:
    def change(tree: Tree) -> None:
        place: Any = tree["record"]
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


EXERCISE = ("exercises", 0)
CHECK = (*EXERCISE, "checks", 0)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (at("student", value="s0000002"), "another student"),
        (at("lab", value="lab4"), "another student"),
        (at("student", value=7), "$.student"),
        (at("exercises", value=[]), "not what was asked for"),
        (at(*EXERCISE, "key", value="0" * 64), "not what was asked for"),
        (at(*EXERCISE, "id", value="words"), "not what was asked for"),
        (at(*EXERCISE, "files", value="0" * 64), "other files"),
        (at(*EXERCISE, "points", value=100), "other points"),
        (at(*EXERCISE, "points", value="2"), "points"),
        (at(*EXERCISE, "seconds", value={"checks": "long"}), "seconds"),
        (at(*EXERCISE, "more", value=1), "more"),
        (at(*CHECK, "points", value=2), "more points than there are"),
        (at(*CHECK, "points", value=-1), "points"),
        (at(*CHECK, "points", value="1"), "points"),
        (at(*CHECK, "points", value=True), "points"),
        (at(*CHECK, "max_points", value=50), "more points than the exercise"),
        (at(*CHECK, "outcome", value="failed"), "did not pass"),
        (at(*CHECK, "outcome", value="excellent"), "outcome"),
        (at(*CHECK, "id", value="numbers.second"), "twice"),
        (at(*CHECK, "id", value="words.there"), "another exercise"),
        (at(*CHECK, "cause", value={"reason": ["no text"]}), "cause"),
        (at(*CHECK, "title", value=None), "title"),
        (at("schema", value=2), "schema"),
    ],
)
def test_what_is_not_this_record_is_refused(
    job: Job, change: Callable[[Tree], None], why: str
) -> None:
    tree = good(job)
    change(tree)
    assert why in refusal(json.dumps(tree), job)


def test_numbers_that_are_none_are_refused(job: Job) -> None:
    text = json.dumps(good(job))
    assert '"seconds": 0.21' in text
    assert "not numbers" in refusal(text.replace("0.21", "1e999", 1), job)
    assert "Infinity" in refusal(text.replace("0.21", "Infinity", 1), job)


def test_an_exercise_twice_is_refused(job: Job) -> None:
    tree = good(job)
    tree["record"]["exercises"] *= 2
    assert "twice" in refusal(json.dumps(tree), job)


def test_what_is_refused_is_not_on_the_disk(job: Job) -> None:
    refusal("{}", job)
    assert record.load(job.request.record_file) is None
