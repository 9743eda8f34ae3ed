"""Grading as a whole, without an engine: real processes over a small lab."""

from __future__ import annotations

import dataclasses
import shutil
import threading
from pathlib import Path

import pytest

from grader import paths, record
from grader.errors import NoEngine
from grader.grading import progress, submission
from grader.lab import labfile
from grader.lab import variant as variants
from grader.targets.providers import NoTargets
from tests.unit import toy_lab

STUDENT = "s1234567"
NO_ENGINE = NoEngine("There is no Docker engine.", remedy="Install one.")


@pytest.fixture
def request_(tmp_path: Path) -> submission.Request:
    lab = toy_lab.make(tmp_path)
    workspace = tmp_path / "a workspace, größer"
    for folder in ("words", "numbers"):
        (workspace / folder).mkdir(parents=True)
    port = variants.variant(lab, STUDENT)["port"]
    (workspace / "words/words.txt").write_text(f"hello {port}\n", encoding="utf-8")
    return submission.Request(lab, STUDENT, workspace, tmp_path / "results" / "record.json")


def grade(request: submission.Request) -> tuple[record.Record, list[str]]:
    """The record, and which exercises were run for it."""
    planned = submission.plan(request)
    found = submission.grade(
        request, planned, NoTargets(NO_ENGINE), progress.Progress(), submission.Stop()
    )
    return found, [exercise.id for exercise in planned.to_run]


WINGS = sorted(
    path.name for path in (paths.KIT / "grader").iterdir() if (path / "__init__.py").is_file()
)
TELL_ONLY = {"cli", "classroom", "doctor", "release", "reports"}


@pytest.mark.parametrize("wing", WINGS)
def test_only_code_that_decides_results_makes_records_stale(
    request_: submission.Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wing: str
) -> None:
    kit = tmp_path / "kit"
    shutil.copytree(paths.KIT / "grader", kit / "grader", ignore=lambda *_: {"__pycache__"})
    monkeypatch.setattr(paths, "KIT", kit)
    submission.deciding_digest.cache_clear()
    before = submission.plan(request_).keys
    with (kit / "grader" / wing / "__init__.py").open("a", encoding="utf-8") as file:
        file.write("# a typo less\n")
    submission.deciding_digest.cache_clear()
    try:
        assert (submission.plan(request_).keys == before) == (wing in TELL_ONLY)
    finally:
        submission.deciding_digest.cache_clear()


def outcomes(found: record.Record) -> dict[str, tuple[str, str | None]]:
    return {check.id: (check.outcome, check.why) for check in found.checks}


def test_without_an_engine_only_what_needs_one_is_not_graded(request_: submission.Request) -> None:
    found, _ = grade(request_)
    assert outcomes(found) == {
        "words.there": ("passed", None),
        "words.hello": ("passed", None),
        "words.runs": ("not_graded", "engine"),
        "numbers.first": ("passed", None),
        "numbers.second": ("passed", None),
    }
    assert not found.gradable
    runs = found.checks[2]
    assert runs.cause is not None
    assert (runs.cause.reason, runs.cause.hint) == (NO_ENGINE.what, NO_ENGINE.remedy)


def test_the_record_is_on_disk_and_reads_back_equal(request_: submission.Request) -> None:
    found, _ = grade(request_)
    assert record.load(request_.record_file) == found


def test_what_is_known_and_unchanged_is_not_run_again(request_: submission.Request) -> None:
    first, ran = grade(request_)
    assert ran == ["words", "numbers"]
    again, ran = grade(request_)
    assert ran == ["words"], "only the one that an engine was missing for"
    assert again.exercise("numbers") == first.exercise("numbers")


def test_an_edit_runs_its_own_exercise_only(request_: submission.Request) -> None:
    only = dataclasses.replace(request_, exercises=["numbers"])
    grade(only)
    assert grade(only)[1] == []
    (request_.workspace / "numbers/new.txt").write_text("1")
    assert grade(only)[1] == ["numbers"]


def test_a_changed_check_runs_its_exercise_again(request_: submission.Request) -> None:
    only = dataclasses.replace(request_, exercises=["numbers"])
    grade(only)
    checks = request_.lab.folder / "checks/numbers/check_numbers.py"
    checks.write_text(checks.read_text() + "\n# clearer\n")
    assert grade(only)[1] == ["numbers"]


def changed_lab(request: submission.Request, old: str, new: str) -> submission.Request:
    """The request after someone edited lab.yaml."""
    file = request.lab.folder / "lab.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    return dataclasses.replace(request, lab=labfile.load(request.lab.folder))


def test_another_deadline_grades_nothing_anew(request_: submission.Request) -> None:
    only = dataclasses.replace(request_, exercises=["numbers"])
    grade(only)
    policy = 'late: {deadline: "2026-11-27T23:59:00+01:00", grace: 5, percent: 10}\nlimits:'
    edited = changed_lab(only, "limits:", policy)
    assert edited.lab.late is not None
    assert grade(edited)[1] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [("title: Numbers, points: 2", "title: Numbers, points: 3"), ("output_kb: 64", "output_kb: 9")],
)
def test_other_points_or_limits_grade_anew(
    request_: submission.Request, old: str, new: str
) -> None:
    only = dataclasses.replace(request_, exercises=["numbers"])
    grade(only)
    assert grade(changed_lab(only, old, new))[1] == ["numbers"]


def test_fresh_runs_what_is_known(request_: submission.Request) -> None:
    only = dataclasses.replace(request_, exercises=["numbers"])
    grade(only)
    assert grade(dataclasses.replace(only, fresh=True))[1] == ["numbers"]


def test_an_exercise_that_is_not_asked_for_keeps_its_result(request_: submission.Request) -> None:
    grade(request_)
    found, ran = grade(dataclasses.replace(request_, exercises=["words"], fresh=True))
    assert ran == ["words"]
    assert found.exercise("numbers") is not None


def test_another_students_record_is_not_taken_for_ones_own(request_: submission.Request) -> None:
    grade(request_)
    other = dataclasses.replace(request_, student="s7654321", exercises=["numbers"])
    assert grade(other)[1] == ["numbers"]


def test_a_broken_record_is_graded_over(request_: submission.Request) -> None:
    request_.record_file.parent.mkdir()
    request_.record_file.write_text('{"schema": 1, "exercises": [')
    assert grade(request_)[0].exercise("numbers") is not None


def test_a_grader_that_dies_keeps_what_was_known_and_costs_nobody_points(
    request_: submission.Request,
) -> None:
    (request_.workspace / "numbers/do.txt").write_text("die")
    found, _ = grade(dataclasses.replace(request_, exercises=["numbers"]))
    assert outcomes(found) == {
        "numbers.first": ("passed", None),
        "numbers.second": ("not_graded", "grader"),
    }
    assert not found.gradable


def test_a_grader_that_hangs_is_ended_at_its_limit(request_: submission.Request) -> None:
    (request_.workspace / "numbers/do.txt").write_text("hang")
    exercises = [dataclasses.replace(e, seconds=10) for e in request_.lab.exercises]
    lab = dataclasses.replace(request_.lab, exercises=exercises)
    found, _ = grade(dataclasses.replace(request_, lab=lab, exercises=["numbers"]))
    second = found.checks[1]
    assert (second.outcome, second.why) == ("not_graded", "grader")
    assert second.cause is not None
    assert "took longer than 10 s" in second.cause.reason


def test_checks_that_cannot_be_read_are_a_fault_with_a_log(request_: submission.Request) -> None:
    (request_.lab.folder / "checks/numbers/check_numbers.py").write_text("def check_(:\n")
    found, _ = grade(dataclasses.replace(request_, exercises=["numbers"]))
    result = found.exercise("numbers")
    assert result is not None
    assert result.fault is not None
    assert "SyntaxError" in result.fault
    assert (result.score, result.max_score, result.gradable) == (0, 2, False)


def test_stop_ends_what_is_under_way(request_: submission.Request) -> None:
    from grader.grading.exercise import Stopped

    (request_.workspace / "numbers/do.txt").write_text("hang")
    only = dataclasses.replace(request_, exercises=["numbers"])
    stop = submission.Stop()
    stops_it = progress.Progress(
        check=lambda _exercise, result: (
            stop.event.set() if result["id"] == "numbers.first" else None
        )
    )
    with pytest.raises(Stopped):
        submission.grade(only, submission.plan(only), NoTargets(NO_ENGINE), stops_it, stop)
    assert record.load(only.record_file) is None
    left = [t.name for t in threading.enumerate() if t is not threading.main_thread()]
    assert not any(name.startswith("ThreadPool") for name in left)
