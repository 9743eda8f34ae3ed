"""Rows of exports: who gets which number, and who gets none."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader import cli
from grader.classroom import csvfile, pseudonym, spreadsheet
from grader.classroom.exports import plain, rows
from grader.classroom.exports.rows import Row
from grader.classroom.marking import marks
from grader.classroom.results import Results, Unmatched
from grader.errors import KitError
from tests.unit import graded_class
from tests.unit.graded_class import ADA, BJOERN, LAB, LAB4, QUESTIONS


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return graded_class.make(tmp_path / "results")


def made(results: Results, questions: Any = QUESTIONS) -> dict[str, Row]:
    found = rows.rows(results, LAB, questions, marks.read(results, QUESTIONS))
    return {row.student: row for row in found}


def test_everybody_of_the_class_has_one_row_in_a_state_of_their_own(results: Results) -> None:
    assert [(student, row.state) for student, row in made(results).items()] == [
        ("s0000001", "graded"),
        ("s0000002", "graded"),
        ("s0000003", "not_gradable"),
        ("s0000004", "refused"),
        ("s0000005", "missing"),
        ("s0000006", "not_graded"),
        ("s0000007", "waiting"),
    ]


def test_the_total_is_what_was_graded_and_marked(results: Results) -> None:
    ada = made(results)[ADA.id]
    assert (ada.automatic, ada.automatic_max) == (68, 85.5)
    assert (ada.marks, ada.marks_max) == (16.5, 20)
    assert (ada.penalty, ada.total, ada.maximum) == (0, 84.5, 105.5)


def test_late_points_are_taken_off_the_total_only(results: Results) -> None:
    bjoern = made(results)[BJOERN.id]
    assert (bjoern.automatic, bjoern.marks) == (85, 15)
    assert (bjoern.penalty, bjoern.total) == (0.1, 90)
    assert bjoern.late == "1 day late: minus 10 %"
    record = results.record(BJOERN.id)
    assert record is not None
    assert record.score == 85, "the record knows nothing of it"


def test_only_who_is_graded_and_marked_has_a_number(results: Results) -> None:
    for row in made(results).values():
        assert (row.total is None) == (row.state != "graded")
        assert row.state == "graded" or row.why


def test_a_hand_in_time_that_nobody_knows_costs_nothing_and_is_said(results: Results) -> None:
    carla = made(results)["s0000003"]
    assert carla.penalty == 0
    assert "no penalty" in carla.late


def test_without_questions_nobody_waits(results: Results) -> None:
    gus = made(results, ())["s0000007"]
    assert (gus.state, gus.total, gus.maximum, gus.marks) == ("graded", 85, 85, None)


def test_an_exercise_that_was_not_run_leaves_the_student_without_a_number(
    results: Results,
) -> None:
    from grader import record

    found = results.record(ADA.id)
    assert found is not None
    partial = dataclasses.replace(found, exercises=found.exercises[:3])
    record.save(partial, results.record_file(ADA.id))
    ada = made(results)[ADA.id]
    assert (ada.state, ada.total) == ("not_graded", None)
    assert "A stack" in ada.why


@pytest.mark.parametrize(
    ("points", "written"), [(1.005, 1.01), (2.675, 2.68), (84.5, 84.5), (1 / 3, 0.33), (0, 0)]
)
def test_halves_are_rounded_up(points: float, written: float) -> None:
    assert rows.rounded(points) == written


def test_feedback_is_short_and_betrays_no_hidden_check(results: Results) -> None:
    text = "\n".join(rows.feedback(made(results)[ADA.id]))
    assert "84.5 of 105.5 points" in text
    assert "Questions: 16.5 of 20." in text
    assert "Reasons are missing." in text
    assert "php-fpn" in text
    assert "SECRET" not in text
    assert len(text) < 1500
    assert rows.feedback(made(results)["s0000003"]) == []


def test_late_points_are_in_the_feedback(results: Results) -> None:
    assert "1 day late: minus 10 %." in rows.feedback(made(results)[BJOERN.id])


# grades.csv


def table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8"))))


def test_plain_csv_has_everybody_and_empty_cells_where_nothing_is_known(results: Results) -> None:
    export = plain.export(list(made(results).values()), LAB, QUESTIONS)
    found = {line["student"]: line for line in table(export.files["grades.csv"])}
    assert len(found) == 7
    assert found[ADA.id]["total"] == "84.5"
    assert (found[BJOERN.id]["penalty_percent"], found[BJOERN.id]["total"]) == ("10", "90")
    assert found[ADA.id]["tutorial4-q3"] == "2.5"
    for student in ("s0000003", "s0000004", "s0000005", "s0000006", "s0000007"):
        assert found[student]["total"] == ""
    assert found["s0000003"]["webserver"] == "", "an exercise that the grader broke has no points"
    assert found["s0000003"]["swarm"] == "25"
    assert found["s0000007"]["state"] == "waiting for marks"
    assert [note.split(":")[0] for note in export.notes] == [
        "s0000003 (Carla Gómez)",
        's0000004 (=HYPERLINK("http',
        "s0000005 (Eve)",
        "s0000006 (Fay)",
        "s0000007 (Gus)",
    ]
    assert found["s0000004"]["name"] == '\'=HYPERLINK("http://x")'


def test_anonymous_plain_csv_names_nobody(results: Results) -> None:
    codes = pseudonym.codes(results)
    export = plain.export(list(made(results).values()), LAB, QUESTIONS, codes=codes)
    text = export.files["grades.csv"].decode("utf-8")
    for word in ("s0000", "Lovelace", "example.org", "HYPERLINK", "upward"):
        assert word not in text
    assert len(table(export.files["grades.csv"])) == 7


def test_grading_writes_the_same_file_as_the_command(results: Results) -> None:
    written = plain.write(results, LAB4)
    before = written.read_bytes()
    assert cli.main(["export", "plain", str(results.folder)]) == 0
    assert written.read_bytes() == before
    assert written == results.folder / "grades.csv"


# Cells that a spreadsheet would execute


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+49 30", "'+49 30"),
        ("-x", "'-x"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t'=1"),
        ("\r=1", "'\n'=1"),
        ("a\rb", "a\nb"),
        ("\tx", "'\tx"),
        ("＝1+1", "'＝1+1"),
        ("＋1x", "'＋1x"),
        ("－1x", "'－1x"),
        ("＠x", "'＠x"),
        ("  =1", "'  =1"),
        ("a;=cmd", "a;'=cmd"),
        ('a;"=cmd', "a;'\"=cmd"),
        ("a\n=cmd", "a\n'=cmd"),
        ("a,@x", "a,'@x"),
        ("-5", "-5"),
        ("+2.5", "+2.5"),
        ("12,5", "12,5"),
        ("a-b", "a-b"),
        ("Ada = Lovelace", "Ada = Lovelace"),
        ("", ""),
    ],
)
def test_what_a_spreadsheet_would_execute_is_made_text(text: str, written: str) -> None:
    assert spreadsheet.neutral(text) == written


def test_numbers_stay_numbers() -> None:
    text = spreadsheet.table(("a", "b", "c", "d"), [(1.5, -2, None, "x")])
    assert text == "a,b,c,d\n1.5,-2,,x\n"


@given(st.text(alphabet="=+-@＝＠\t\r\n;,|\"' a1", max_size=12))
def test_no_text_begins_a_formula_however_the_file_is_opened(text: str) -> None:
    """Read with any of the usual separators, no cell begins with what is executed."""
    if spreadsheet._NUMBER.fullmatch(text):
        return
    written = spreadsheet.table(("x", "y"), [("a", text)])
    for delimiter in (",", ";", "\t"):
        for row in csv.reader(io.StringIO(written, newline=""), delimiter=delimiter):
            for cell in row:
                bare = cell.lstrip(' \t\r\n"')
                assert not bare.startswith(("=", "+", "-", "@", "＝", "＠")) or (
                    spreadsheet._NUMBER.fullmatch(bare)
                ), (delimiter, cell)


@given(st.text(alphabet="=+-@;,\"' a1", max_size=12))
def test_neutral_text_stays_as_it_is(text: str) -> None:
    assert spreadsheet.neutral(spreadsheet.neutral(text)) == spreadsheet.neutral(text)


# CSV files that others made


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_csv_file_is_written_as_it_was_read(
    tmp_path: Path, encoding: str, delimiter: str, ends: str
) -> None:
    row = delimiter.join(['"Größe, in; m"' if delimiter != "\t" else "Größe", "1", ""])
    text = ends.join([delimiter.join(["a", "b b", "c"]), row, ""])
    file = tmp_path / "x.csv"
    file.write_bytes(text.encode(encoding))
    table = csvfile.read(file)
    assert table.delimiter == delimiter
    assert table.rows[1][1:] == ("1", "")
    assert table.to_bytes().decode(encoding) == text.replace('"Größe, in; m"', '"Größe, in; m"')


def test_rows_know_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text('sep=,\na,b\n"1\n2",3\n4,5\n')
    assert csvfile.read(file).lines == (2, 3, 5)


def test_a_folder_is_no_csv_file(tmp_path: Path) -> None:
    with pytest.raises(KitError, match="cannot be read"):
        csvfile.read(tmp_path)


# The command


def test_grades_csv_goes_into_the_results_folder(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert cli.main(["export", "plain", str(results.folder)]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [str(results.folder / "grades.csv")] * 2
    assert "Filled in: 2 of 7 students." in err
    assert "s0000003 (Carla Gómez): not gradable." in err
    assert "1 wait for marks" in err


def test_submissions_of_nobody_are_told(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    unmatched = (Unmatched("class.zip: Who_9", "No such ID in the roster."),)
    dataclasses.replace(results, unmatched=unmatched).save()
    assert cli.main(["export", "plain", str(results.folder)]) == 0
    assert "class.zip: Who_9: No such ID in the roster." in capsys.readouterr().err


def test_marks_may_be_left_out(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    results.marks_file.unlink()
    assert cli.main(["export", "plain", str(results.folder), "--without-marks"]) == 0
    found = table((results.folder / "grades.csv").read_bytes())
    assert [line["total"] for line in found if line["total"]] == ["68", "85", "85"]
    assert "tutorial4-q1" not in found[0]
    assert LAB4.late is None


def test_wrong_marks_stop_an_export(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    results.marks_file.write_text("student,question,points\ns1,x,y\n")
    assert cli.main(["export", "plain", str(results.folder)]) == 2
    assert "line 2, column student" in capsys.readouterr().err
    assert not (results.folder / "grades.csv").exists()


def test_a_file_of_the_teachers_is_not_written_over(
    results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_text("mine")
    assert cli.main(["export", "plain", str(results.folder), "--out", str(mine)]) == 2
    assert mine.read_text() == "mine"
    assert "already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["moodle"], "needs its own grading worksheet"),
        (["canvas"], "needs its own exported gradebook"),
        (["gradescope", "--anonymous"], "needs names and IDs"),
        (["plain", "--scale"], "--scale goes with moodle and canvas only"),
        (["moodle", "--worksheet", "none.csv"], "cannot be read"),
    ],
)
def test_a_wrong_use_is_told(
    results: Results, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert cli.main(["export", words[0], str(results.folder), *words[1:]]) == 2
    assert says in capsys.readouterr().err


def test_a_folder_without_results_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["export", "plain", str(tmp_path)]) == 2
    assert "no results of a class" in capsys.readouterr().err


def test_names_cannot_command_the_terminal(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    text = results.file.read_text(encoding="utf-8")
    results.file.write_text(text.replace("Carla G", "Carla\\u001b[2J G"), encoding="utf-8")
    assert cli.main(["export", "plain", str(results.folder)]) == 0
    assert "\x1b" not in capsys.readouterr().err
