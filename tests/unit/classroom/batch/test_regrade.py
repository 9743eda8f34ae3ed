"""What another version of kit or lab would give."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path

import pytest
from rich.console import Console

from grader import record
from grader.classroom.batch import regrade
from grader.classroom.results import Entry, Person, Results
from grader.record import Cause, CheckResult, ExerciseResult, Record

NOON = "2026-11-24T12:00:00+01:00"


def check(name: str, points: float, most: float = 2, why: str | None = None) -> CheckResult:
    outcome = "not_graded" if why else ("passed" if points == most else "failed")
    cause = None if outcome == "passed" else Cause(reason=f"=HYPERLINK({name})")
    return CheckResult(f"web.{name}", "web", name, outcome, points, most, cause, why)  # type: ignore[arg-type]


def of(student: str, *checks: CheckResult) -> Record:
    exercise = ExerciseResult("web", "Web", "key", NOON, tuple(checks), points=4)
    return Record("toy", "Toy", student, student, (exercise,), "1.0", NOON, NOON)


@pytest.fixture
def results(tmp_path: Path) -> Results:
    entries = tuple(Entry(Person(f"s{n}"), "class.zip") for n in (1, 2, 3))
    return Results(tmp_path, "toy", entries)


def graded(results: Results, *old: Record) -> None:
    for one in old:
        record.save(one, results.record_file(one.student))
    regrade.seed(results)


def regraded(results: Results, *new: Record) -> None:
    for one in new:
        record.save(one, regrade.folder(results) / f"{one.student}.json")


def test_only_what_differs_is_a_change() -> None:
    old = of("s1", check("same", 2), check("better", 0), check("gone", 2))
    new = of("s1", check("same", 2), check("better", 2), check("added", 0))
    changes = regrade.difference(old, new)
    assert [(c.check, c.points) for c in changes] == [
        ("web.better", 2),
        ("web.added", 0),
        ("web.gone", -2),
    ]
    assert changes[1].old is None
    assert changes[2].new is None


def test_another_reason_alone_changes_nothing() -> None:
    old, new = of("s1", check("a", 0)), of("s1", check("a", 0))
    told = dataclasses.replace(new.checks[0], cause=Cause(reason="Said better."))
    new = of("s1", told)
    assert regrade.difference(old, new) == []


def test_records_begin_as_what_they_are_and_a_second_seed_keeps_the_new_ones(
    results: Results,
) -> None:
    graded(results, of("s1", check("a", 0)))
    regraded(results, of("s1", check("a", 2)))
    regrade.seed(results)
    (change,) = regrade.compare(results)
    assert (change.student, change.points) == ("s1", 2)


def test_the_list_is_a_csv_that_no_spreadsheet_executes(results: Results, tmp_path: Path) -> None:
    graded(results, of("s1", check("a", 0)), of("s2", check("a", 2)))
    regraded(results, of("s1", check("a", 2)), of("s2", check("a", 0)))
    regrade.write_csv(regrade.compare(results), tmp_path / "regrade.csv")
    text = (tmp_path / "regrade.csv").read_bytes().decode("utf-8")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [(r["student"], r["check"], r["old_points"], r["new_points"]) for r in rows] == [
        ("s1", "web.a", "0", "2"),
        ("s2", "web.a", "2", "0"),
    ]
    assert rows[0]["old_reason"] == "'=HYPERLINK(a)"


def test_the_table_says_what_it_comes_to(results: Results) -> None:
    graded(results, of("s1", check("a", 0), check("b", 0)))
    regraded(results, of("s1", check("a", 2), check("b", 2)))
    console = Console(file=io.StringIO(), width=100)
    regrade.render(regrade.compare(results), console)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "0 → 2" in said
    assert "failed → passed" in said
    assert "s1: +4 points in total" in said


def test_nothing_that_changes_is_said_too() -> None:
    console = Console(file=io.StringIO())
    regrade.render([], console)
    assert "No result changes" in console.file.getvalue()  # type: ignore[attr-defined]


def test_replaced_records_are_kept_and_the_others_stay(results: Results) -> None:
    old = [of("s1", check("a", 0)), of("s2", check("a", 0)), of("s3", check("a", 0))]
    graded(results, *old)
    broken = of("s3", check("a", 0, why="grader"))
    regraded(results, of("s1", check("a", 2)), broken)
    done, unready = regrade.replace(results)
    assert (done, unready) == (["s1"], ["s3"])
    assert results.record("s1") == of("s1", check("a", 2))
    assert results.record("s2") == old[1]
    assert results.record("s3") == old[2]
    (kept,) = (results.folder / "replaced").iterdir()
    assert record.load(kept / "s1.json") == old[0]
    assert not (kept / "s2.json").exists()


def test_a_replacement_that_was_cut_short_goes_on(results: Results) -> None:
    graded(results, of("s1", check("a", 0)), of("s2", check("a", 0)))
    regraded(results, of("s1", check("a", 2)), of("s2", check("a", 2)))
    # What a kill between the two exchanges leaves:
    (regrade.folder(results) / "s1.json").replace(results.record_file("s1"))
    assert regrade.replace(results)[0] == ["s2"]
    assert all(results.record(s) == of(s, check("a", 2)) for s in ("s1", "s2"))
    assert not (results.folder / "regrade").exists()


def test_replacing_twice_within_a_second_keeps_both(results: Results) -> None:
    graded(results, of("s1", check("a", 0)))
    for points in (1, 2):
        regraded(results, of("s1", check("a", points)))
        regrade.replace(results)
    kept = sorted((results.folder / "replaced").rglob("s1.json"))
    assert len(kept) == 2
