"""Gradescope's results.json, nbgrader's grades file and JUnit XML, against what reads them.

Gradescope, gradescope-autograders.readthedocs.io, "Autograder Specifications": every key is
optional, but there must be a score at the top or in each test; the one at the top overrides the
tests'; visibility is one of four words, and instructors see everything; a submission without a
readable results.json is shown as "autograder failed" and has no score.

nbgrader: its own exporter (nbgrader.plugins.export.CsvExportPlugin) over a gradebook of its own
is run here, and must write the same line.

JUnit: the format has no standard; the rules here are those of Jenkins' junit-10.xsd
(github.com/jenkinsci/xunit-plugin), which other readers follow.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import xml.etree.ElementTree as ET
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from grader import cli, record
from grader.classroom import pseudonym
from grader.classroom.exports import gradescope, junit, nbgrader, rows
from grader.classroom.exports.rows import Row
from grader.classroom.marking import marks
from grader.classroom.results import Results
from grader.lab.late import Late
from tests.unit import graded_class, sample_record
from tests.unit.graded_class import ADA, BJOERN, LAB, QUESTIONS

VISIBILITY = {"enum": ["hidden", "after_due_date", "after_published", "visible"]}
FORMAT = {"enum": ["text", "html", "simple_format", "md", "ansi"]}
TEST = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {
        "score": {"type": "number", "minimum": 0},
        "max_score": {"type": "number", "minimum": 0},
        "status": {"enum": ["passed", "failed"]},
        "name": {"type": "string", "minLength": 1},
        "name_format": FORMAT,
        "number": {"type": "string", "pattern": r"^\d+\.\d+$"},
        "output": {"type": "string"},
        "output_format": FORMAT,
        "tags": {"type": "array", "items": {"type": "string"}},
        "visibility": VISIBILITY,
        "extra_data": {"type": "object"},
    },
    "dependentRequired": {"score": ["max_score"], "max_score": ["score"]},
}
RESULTS = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "required": ["score", "tests"],
    "properties": {
        "score": {"type": "number", "minimum": 0},
        "execution_time": {"type": "number", "minimum": 0},
        "output": {"type": "string"},
        "output_format": FORMAT,
        "test_output_format": FORMAT,
        "test_name_format": FORMAT,
        "visibility": VISIBILITY,
        "stdout_visibility": VISIBILITY,
        "extra_data": {"type": "object"},
        "tests": {"type": "array", "items": TEST},
        "leaderboard": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name", "value"],
                "properties": {
                    "name": {"type": "string"},
                    "value": {"type": ["number", "string"]},
                    "order": {"enum": ["asc", "desc"]},
                },
            },
        },
    },
}


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return graded_class.make(tmp_path / "results")


@pytest.fixture
def graded(results: Results) -> list[Row]:
    return rows.rows(results, LAB, QUESTIONS, marks.read(results, QUESTIONS))


def row_of(graded: list[Row], student: str) -> Row:
    return next(row for row in graded if row.student == student)


# Gradescope


def test_gradescope_gets_valid_results(graded: list[Row]) -> None:
    export = gradescope.export(graded)
    assert sorted(export.files) == ["s0000001/results.json", "s0000002/results.json"]
    for content in export.files.values():
        jsonschema.Draft202012Validator(RESULTS).validate(json.loads(content))


def test_gradescope_gets_the_total_and_each_check(graded: list[Row]) -> None:
    found = gradescope.results(row_of(graded, BJOERN.id))
    assert found["score"] == 90
    assert "1 day late" in found["output"]
    names = [test["name"] for test in found["tests"]]
    assert names[:2] == ["It answers.", "It starts."]
    assert names[-4] == "Question 1: What are microservices?"
    assert sum(test["score"] for test in found["tests"]) == 100, "before the penalty"
    assert sum(test["max_score"] for test in found["tests"]) == 105
    numbers = [test["number"] for test in found["tests"]]
    assert len(set(numbers)) == len(numbers)


def test_hidden_checks_are_hidden_and_the_rest_waits_for_publication(graded: list[Row]) -> None:
    found = gradescope.results(row_of(graded, ADA.id))
    secret = [test for test in found["tests"] if "SECRET" in json.dumps(test)]
    assert secret
    assert {test["visibility"] for test in secret} == {"hidden"}
    others = [test for test in found["tests"] if test not in secret]
    hidden = [test["extra_data"]["id"] for test in others if test["visibility"] == "hidden"]
    assert hidden == []
    assert "SECRET" not in found["output"]
    assert found["stdout_visibility"] == "hidden"


def test_what_the_target_cannot_show_has_no_points_there(graded: list[Row]) -> None:
    found = gradescope.results(row_of(graded, ADA.id))
    (mesh,) = [test for test in found["tests"] if test["extra_data"]["id"] == "compose.mesh"]
    assert "score" not in mesh
    assert "max_score" not in mesh
    assert "not graded" in mesh["tags"]
    assert "routing mesh" in mesh["output"]


def test_who_could_not_be_graded_has_no_file_and_so_no_zero(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["export", "gradescope", str(results.folder)]) == 0
    folder = results.folder / "exports" / "gradescope"
    assert capsys.readouterr().out.strip() == str(folder)
    assert sorted(p.name for p in folder.iterdir()) == ["s0000001", "s0000002"]
    made = results.record(ADA.id)
    assert made is not None
    broken = dataclasses.replace(made.exercises[0], fault="It broke.")
    record.save(
        dataclasses.replace(made, exercises=(broken, *made.exercises[1:])),
        results.record_file(ADA.id),
    )
    assert cli.main(["export", "gradescope", str(results.folder)]) == 0
    assert not (folder / "s0000001" / "results.json").exists(), "the old one is gone, too"
    assert "s0000001 (Ada Lovelace): not gradable." in capsys.readouterr().err


def test_hostile_texts_stay_texts(graded: list[Row]) -> None:
    row = dataclasses.replace(row_of(graded, ADA.id), record=sample_record.hostile())
    (content,) = gradescope.export([row]).files.values()
    found = json.loads(content)
    jsonschema.Draft202012Validator(RESULTS).validate(found)
    assert len(content) < 300_000
    formats = {test["output_format"] for test in found["tests"]} | {found["output_format"]}
    assert formats == {"text"}
    assert "\\u001b" not in content.decode("utf-8")


# nbgrader


def lines(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(content.decode("utf-8").splitlines()))


def test_nbgrader_itself_writes_the_same(
    graded: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same class in a gradebook of nbgrader's: columns, words and numbers are equal."""
    import os
    import sysconfig

    from nbgrader.api import Gradebook
    from nbgrader.plugins.export import CsvExportPlugin

    monkeypatch.setenv("PATH", os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]]))
    ada, bjoern = row_of(graded, ADA.id), row_of(graded, BJOERN.id)
    ada = dataclasses.replace(ada, automatic_max=85.0, maximum=105.0)
    assert isinstance(LAB.late, Late)
    with Gradebook(f"sqlite:///{tmp_path / 'gradebook.db'}") as book:
        book.add_assignment("lab4", duedate="2026-11-27T22:59:00")
        book.add_notebook("worksheet", "lab4")
        book.add_grade_cell("all", "worksheet", "lab4", max_score=105, cell_type="code")
        for row, when, first, last in (
            (ada, datetime(2026, 11, 27, 19), "Ada", "Lovelace"),
            (bjoern, datetime(2026, 11, 28, 11), "Björn", "Ødegård"),
        ):
            book.add_student(row.student, first_name=first, last_name=last, email=row.person.email)
            book.add_submission("lab4", row.student, timestamp=when)
            grade = book.find_grade("all", "worksheet", "lab4", row.student)
            grade.manual_score = (row.automatic or 0) + (row.marks or 0)
            grade.needs_manual_grade = False
            notebook = book.find_submission_notebook("worksheet", "lab4", row.student)
            notebook.late_submission_penalty = row.penalty * grade.manual_score
        book.db.commit()
        exporter = CsvExportPlugin()
        exporter.to = str(tmp_path / "theirs.csv")
        exporter.export(book)
    theirs = lines((tmp_path / "theirs.csv").read_bytes())
    ours = lines(nbgrader.export([ada, bjoern], LAB).files["nbgrader.csv"])
    assert len(theirs) == 2
    assert list(theirs[0]) == list(ours[0])
    for one, other in zip(theirs, ours, strict=True):
        for name in one:
            if name in ("raw_score", "late_submission_penalty", "score", "max_score"):
                assert float(one[name]) == float(other[name]), name
            else:
                assert one[name] == other[name], name


def test_nbgraders_file_has_no_zero_for_who_could_not_be_graded(graded: list[Row]) -> None:
    found = {line["student_id"]: line for line in lines(_only(nbgrader.export(graded, LAB)))}
    assert len(found) == 7
    for student in ("s0000003", "s0000004", "s0000005", "s0000006", "s0000007"):
        assert (found[student]["raw_score"], found[student]["score"]) == ("", "")
    assert found["s0000004"]["last_name"].startswith("'=")


@pytest.mark.parametrize(
    ("name", "last", "first"),
    [
        ("Ada Lovelace", "Lovelace", "Ada"),
        ("Lovelace, Ada King", "Lovelace", "Ada King"),
        ("Ada King Lovelace", "Lovelace", "Ada King"),
        ("Eve", "Eve", ""),
        ("", "", ""),
    ],
)
def test_names_are_split_as_registers_do(name: str, last: str, first: str) -> None:
    assert nbgrader._names(name) == (last, first)


def _only(export: Any) -> bytes:
    (content,) = export.files.values()
    return bytes(content)


# JUnit


def check_structure(content: bytes) -> ET.Element:
    """Elements, attributes and sums as junit-10.xsd wants them; the root."""
    root = ET.fromstring(content)
    sums = {"tests", "failures", "errors", "skipped", "time"}
    assert root.tag == "testsuites"
    assert set(root.attrib) == {"name", *sums}
    for suite in root:
        assert suite.tag == "testsuite"
        assert {"name", *sums} <= set(suite.attrib) <= {"name", "timestamp", *sums}
        if "timestamp" in suite.attrib:
            assert datetime.fromisoformat(suite.attrib["timestamp"]).tzinfo is None
        for case in suite:
            assert case.tag == "testcase"
            assert set(case.attrib) == {"classname", "name", "time"}
            assert case.attrib["name"]
            assert float(case.attrib["time"]) >= 0
            assert len(case) <= 1
            for outcome in case:
                assert outcome.tag in ("failure", "error", "skipped")
                wanted = {"message"} if outcome.tag == "skipped" else {"message", "type"}
                assert set(outcome.attrib) == wanted
                assert not len(outcome)
    for element in [root, *root]:
        cases = list(element.iter("testcase"))
        assert int(element.attrib["tests"]) == len(cases)
        for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(element.attrib[name]) == sum(case.find(tag) is not None for case in cases)
        seconds = sum(float(case.attrib["time"]) for case in cases)
        assert float(element.attrib["time"]) == pytest.approx(seconds, abs=0.01)
    return root


def test_junit_has_a_suite_per_student_and_a_case_per_check(graded: list[Row]) -> None:
    root = check_structure(_only(junit.export(graded, "lab4")))
    suites = {suite.attrib["name"]: suite for suite in root}
    assert list(suites) == [row.student for row in graded]
    ada = suites[ADA.id]
    assert (ada.attrib["tests"], ada.attrib["failures"], ada.attrib["skipped"]) == ("20", "4", "4")
    first = ada[0]
    assert first.attrib["classname"] == "lab4.webserver"
    assert first.attrib["name"] == "`provision.sh` runs to its end."


def test_a_fault_of_the_grader_is_an_error_and_not_a_failure(graded: list[Row]) -> None:
    root = check_structure(_only(junit.export(graded, "lab4")))
    carla = next(suite for suite in root if suite.attrib["name"] == "s0000003")
    assert (carla.attrib["failures"], carla.attrib["errors"]) == ("0", "3")
    assert any("ImportError" in (error.text or "") for error in carla.iter("error"))


def test_who_has_no_record_is_skipped_with_the_reason(graded: list[Row]) -> None:
    root = check_structure(_only(junit.export(graded, "lab4")))
    told = {
        suite.attrib["name"]: suite[0][0].attrib["message"]
        for suite in root
        if suite.attrib["tests"] == suite.attrib["skipped"] == "1"
    }
    assert told == {
        "s0000004": "The archive has upward paths.",
        "s0000005": "Nothing was handed in.",
        "s0000006": "There is no record of it: grade again.",
    }


def test_junit_can_be_anonymous(results: Results, graded: list[Row]) -> None:
    codes = pseudonym.codes(results)
    cause = record.Cause("The container s0000001-web is gone.", actual="port 8473", log="s0000001")
    told = sample_record.record(
        sample_record.exercise("w", "W", [sample_record.failed("w.a", "It runs.", 1, cause)])
    )
    graded = [
        dataclasses.replace(row, record=told) if row.student == ADA.id else row for row in graded
    ]
    content = _only(junit.export(graded, "lab4", codes=codes))
    assert f"The container {codes[ADA.id]}-web is gone.".encode() in content
    assert b"8473" not in content, "a student's own values tell who it is"
    root = check_structure(content)
    assert b"s0000" not in content
    assert b"upward" not in content, "a reason may hold the name of an archive"
    assert {suite.attrib["name"] for suite in root} == set(codes.values())


def test_hostile_texts_are_valid_xml(graded: list[Row]) -> None:
    row = dataclasses.replace(row_of(graded, ADA.id), record=sample_record.hostile())
    root = check_structure(_only(junit.export([row], "lab4")))
    assert any("script" in case.attrib["name"] for case in root.iter("testcase"))


@pytest.mark.parametrize("name", ["nbgrader", "junit"])
def test_the_command_writes_the_file(
    results: Results, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert cli.main(["export", name, str(results.folder)]) == 0
    written = Path(capsys.readouterr().out.strip())
    assert written.parent == results.folder / "exports"
    assert written.stat().st_size > 500
