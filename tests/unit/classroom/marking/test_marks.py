"""The tutor's marks: rubric, answers out of notebooks that no one trusts, marks.csv, nbgrader."""

from __future__ import annotations

import csv
import io
import json
import os
import sysconfig
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from grader import cli
from grader.classroom import pseudonym, spreadsheet
from grader.classroom.exports.template import template
from grader.classroom.marking import answers, marks, nbgrader_gradebook
from grader.classroom.marking.answers import MAX_BYTES, MAX_CHARACTERS
from grader.classroom.results import Results
from grader.errors import KitError
from grader.handout import workspace
from grader.lab import rubric
from tests import worksheets
from tests.unit import graded_class
from tests.unit.graded_class import ADA, BJOERN, IDS, LAB4, QUESTIONS

HEADER = "student,question,max,points,comment\n"


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return graded_class.make(tmp_path / "results")


def read(results: Results, content: str | bytes) -> marks.Marks:
    raw = content.encode("utf-8") if isinstance(content, str) else content
    results.marks_file.write_bytes(raw)
    return marks.read(results, QUESTIONS)


# The rubric


def test_the_rubric_asks_what_the_worksheet_asks() -> None:
    """Same cells, same points, same words; and every point can be earned."""
    notebook = worksheets.read(workspace.contents(LAB4, LAB4.demo_student)["worksheet.ipynb"])
    cells = {
        cell.metadata.nbgrader.grade_id: (cell.metadata.nbgrader.points, before.source)
        for before, cell in zip(notebook.cells, notebook.cells[1:], strict=False)
        if "nbgrader" in cell.metadata
    }
    assert list(cells) == IDS
    for question in QUESTIONS:
        points, source = cells[question.id]
        assert points == question.points == sum(c.points for c in question.criteria)
        assert source == f"**{question.title}.** {question.text}"


def test_no_student_is_handed_the_rubric() -> None:
    handed = b"".join(workspace.contents(LAB4, LAB4.demo_student).values()).decode("utf-8")
    for question in QUESTIONS:
        for criterion in question.criteria:
            assert criterion.text not in handed
    assert rubric.FILE not in workspace.contents(LAB4, LAB4.demo_student)


def test_a_lab_without_a_rubric_has_no_questions(tmp_path: Path) -> None:
    from tests.unit import toy_lab

    assert rubric.load(toy_lab.make(tmp_path)) == ()


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ("", "line 1", "list of questions"),
        (
            "- {id: a b, title: t, text: x, points: 1, gives: [{points: 1, for: y}]}",
            "0.id",
            "not a valid g",
        ),
        ("- {id: a, title: t, text: x, points: 2, gives: [{points: 1, for: y}]}", "0.points", "1"),
        ("- {id: a, title: t, text: x, points: 1, gives: []}", "0.gives", "list"),
        ("- {id: a, title: t, text: x, points: no, gives: [{points: 1, for: y}]}", "points", "num"),
        ("- {id: a, title: t, points: 1, gives: [{points: 1, for: y}]}", "0", "'text' is missing"),
        ("- {id: a, title: t, text: x, points: 1, gives: [{points: 1}]}", "gives.0", "'for'"),
        (
            "- &a {id: a, title: t, text: x, points: 1, gives: [{points: 1, for: y}]}\n- *a",
            "1.id",
            "two questions",
        ),
    ],
)
def test_a_wrong_rubric_is_refused_by_key(tmp_path: Path, text: str, where: str, says: str) -> None:
    from tests.unit import toy_lab

    lab = toy_lab.make(tmp_path)
    (lab.folder / "rubric.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(KitError, match=says) as caught:
        rubric.load(lab)
    assert str(caught.value.where).endswith(where)


# Answers


def test_answers_are_read_from_the_worksheet(results: Results) -> None:
    found = answers.read(results.submission(ADA.id), IDS)
    assert found.trouble == ""
    assert found.answers[IDS[0]] == answers.Answer("Small <b>services</b>.", False)
    assert found.answers[IDS[3]] == answers.Answer("", True)


def test_an_answer_below_the_placeholder_counts(tmp_path: Path) -> None:
    folder = notebook(tmp_path, [cell("YOUR ANSWER HERE\n\nIt is a tool.")])
    assert answers.read(folder, IDS).answers[IDS[0]].text == "It is a tool."


def test_an_editor_that_drops_metadata_loses_no_answer(tmp_path: Path) -> None:
    kept = {"cell_type": "markdown", "id": IDS[0], "metadata": {}, "source": ["It", " is."]}
    folder = notebook(tmp_path, [kept, {**kept, "id": "other"}])
    assert answers.read(folder, IDS).answers == {IDS[0]: answers.Answer("It is.", False)}


def test_a_copied_cell_is_shown_and_said(tmp_path: Path) -> None:
    found = answers.read(notebook(tmp_path, [cell("One."), cell("Two.")]), IDS).answers[IDS[0]]
    assert found.text == "One.\n\nTwo."
    assert "2 times" in found.remark


def test_an_endless_answer_is_cut_and_said(tmp_path: Path) -> None:
    found = answers.read(notebook(tmp_path, [cell("x" * 90_000)]), IDS).answers[IDS[0]]
    assert len(found.text) == MAX_CHARACTERS
    assert "90,000 characters" in found.remark


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not a notebook"),
        (b"\xff\xfe\x00", "not a notebook"),
        (b"[" * 500_000, "not a notebook"),
        (b'{"cells": ' + b'[{"a":' * 100_000, "not a notebook"),
        (b'{"cells": ' + b"9" * 100_000 + b"}", "not a notebook"),
        (b"[]", "no answer cell"),
        (b'{"cells": {"a": 1}}', "no answer cell"),
        (b'{"cells": [1, null, [], {"metadata": []}, {"metadata": {"nbgrader": 3}}]}', "no answer"),
        (b'{"cells": [{"metadata": {"nbgrader": {"grade_id": ["tutorial4-q1"]}}}]}', "no answer"),
        (b"x" * (MAX_BYTES + 1), "too big"),
    ],
)
def test_a_hostile_notebook_is_said_and_crashes_nothing(
    tmp_path: Path, content: bytes, says: str
) -> None:
    (tmp_path / "worksheet.ipynb").write_bytes(content)
    found = answers.read(tmp_path, IDS)
    assert found.answers == {}
    assert says in found.trouble


def test_only_text_is_taken_from_a_cell(tmp_path: Path) -> None:
    odd = cell({"a": 1})
    mixed = {**cell(["one ", 2, None, "two"]), "attachments": {"x.png": {"image/png": "AAAA"}}}
    assert answers.read(notebook(tmp_path, [odd]), IDS).answers[IDS[0]].untouched
    assert answers.read(notebook(tmp_path, [mixed]), IDS).answers[IDS[0]].text == "one two"


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.ipynb").write_text(json.dumps({"cells": [cell("secret")]}))
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "worksheet.ipynb").symlink_to(tmp_path / "secret.ipynb")
    assert answers.read(folder, IDS).trouble == "worksheet.ipynb is not an ordinary file."


def test_no_worksheet_is_said(tmp_path: Path) -> None:
    assert "no worksheet.ipynb" in answers.read(tmp_path, IDS).trouble


def cell(source: Any) -> dict[str, Any]:
    made = {"grade_id": IDS[0], "solution": True, "grade": True, "points": 5}
    return {"cell_type": "markdown", "metadata": {"nbgrader": made}, "source": source}


def notebook(folder: Path, cells: list[dict[str, Any]]) -> Path:
    (folder / "worksheet.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    return folder


# marks.csv


def test_marks_are_read(results: Results) -> None:
    found = marks.read(results, QUESTIONS)
    assert found.of(ADA.id)[IDS[2]] == marks.Mark(2.5, "Reasons are missing.")
    assert found.points(ADA.id, QUESTIONS) == 16.5
    assert found.points("s0000007", QUESTIONS) is None, "three questions are open"
    assert found.points("s0000003", QUESTIONS) is None


def test_without_a_file_nobody_has_marks(results: Results) -> None:
    results.marks_file.unlink()
    assert marks.read(results, QUESTIONS) == marks.Marks()


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffstudent;question;max;points;comment\r\ns0000001;tutorial4-q1;5;2,5;Größer\r\n",
        "sep=;\r\nstudent;question;max;points;comment\r\ns0000001;tutorial4-q1;5;2,5;Größer\r\n",
        'Comment,Points,Student,Question\n"Größer","2,5",s0000001,tutorial4-q1\n\n,,,\n',
        "\ufeffstudent\tquestion\tpoints\tcomment\r\ns0000001\ttutorial4-q1\t2.5\tGrößer\r\n",
        "student,question,points,comment,who\ns0000001,tutorial4-q1, 2.50 , Größer ,me",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_files_of_spreadsheets_are_read(results: Results, content: str, encoding: str) -> None:
    if encoding != "utf-8":
        content = content.removeprefix("\ufeff")
    found = read(results, content.encode(encoding))
    assert found.of(ADA.id) == {IDS[0]: marks.Mark(2.5, "Größer")}


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("s9999999,tutorial4-q1,5,1,", "line 2, column student: no student of this class"),
        ("s0000001,tutorial4-q9,5,1,", "line 2, column question: there is no question"),
        ("s0000001,tutorial4-q1,5,5.5,", "line 2, column points: 5.5 is more than the 5"),
        ("s0000001,tutorial4-q1,5,good,", "line 2, column points: 'good' is not a number"),
        ("s0000001,tutorial4-q1,5,-1,", "line 2, column points: '-1' is not a number"),
        ("s0000001,tutorial4-q1,5,nan,", "line 2, column points: 'nan' is not a number"),
        ("s0000001,tutorial4-q1,5,٣,", "line 2, column points: '٣' is not a number"),
        ('s0000001,tutorial4-q1,5,"1,000.5",', "line 2, column points"),
        ("s0000001,tutorial4-q1,10,4,", "line 2, column max: tutorial4-q1 gives 5 points at most"),
        (
            "s0000001,tutorial4-q1,5,4,\ns0000001,tutorial4-q1,5,5,",
            "line 3, column question: s0000001 and tutorial4-q1 are also in line 2",
        ),
        ("s0000001,all,20,4,\ns0000001,tutorial4-q1,5,5,", "'all' and for single questions"),
        (
            's0000001,tutorial4-q1,5,1,"two\nlines"\ns0000001,tutorial4-q2,5,x,',
            "line 4, column points",
        ),
    ],
)
def test_what_is_wrong_is_named_by_line_and_column(results: Results, row: str, says: str) -> None:
    with pytest.raises(KitError) as caught:
        read(results, f"{HEADER}{row}\n")
    assert says in caught.value.what
    assert caught.value.where == str(results.marks_file)


def test_all_mistakes_are_told_at_once(results: Results) -> None:
    rows = "".join(f"s0000001,tutorial4-q1,5,{word},\n" for word in ("x", "y"))
    with pytest.raises(KitError) as caught:
        read(results, f"{HEADER}s1,tutorial4-q1,5,1,\n{rows}")
    assert caught.value.what.startswith("3 cells are wrong.")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "empty"),
        ("name,points\na,1\n", "no column student and no column question"),
        (b"PK\x03\x04", "workbook"),
        (HEADER + 's0000001,tutorial4-q1,5,1,"open\n', "not a CSV"),
    ],
)
def test_what_is_no_list_of_marks_is_refused(
    results: Results, content: str | bytes, says: str
) -> None:
    with pytest.raises(KitError, match=says):
        read(results, content)


def test_codes_are_taken_for_their_students(results: Results) -> None:
    codes = pseudonym.codes(results)
    assert len(set(codes.values())) == 7
    assert pseudonym.codes(results) == codes, "they stay as they are"
    found = read(results, f"{HEADER}{codes[ADA.id]},tutorial4-q1,5,3,\n")
    assert found.of(ADA.id)[IDS[0]].points == 3


def test_another_class_has_other_codes(results: Results, tmp_path: Path) -> None:
    """So trying all IDs, of which there are few, tells no one who is who."""
    other = graded_class.make(tmp_path / "other")
    assert pseudonym.codes(other)[ADA.id] != pseudonym.codes(results)[ADA.id]
    assert (results.folder / pseudonym.FILE).stat().st_mode & 0o077 == 0 or os.name != "posix"


def test_marks_without_codes_make_no_secret(results: Results) -> None:
    marks.read(results, QUESTIONS)
    assert not (results.folder / pseudonym.FILE).exists()


def test_a_broken_secret_is_said_and_not_replaced(results: Results) -> None:
    file = results.folder / pseudonym.FILE
    file.write_text("zz")
    with pytest.raises(KitError, match="cannot be read"):
        pseudonym.codes(results)
    assert file.read_text() == "zz"


# The template


def written(results: Results, **more: Any) -> list[list[str]]:
    sheets = {
        entry.person.id: answers.read(results.submission(entry.person.id), IDS)
        for entry in results.entries
        if entry.refused is None
    }
    text = template(results, QUESTIONS, sheets, **more)
    assert text is not None
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))


def test_the_template_has_a_row_per_question_and_student(results: Results) -> None:
    header, *rows = written(results)
    assert header == ["student", "question", "max", "points", "comment"]
    assert len(rows) == 4 * 6
    assert [row[:2] for row in rows[:2]] == [["s0000001", IDS[0]], ["s0000002", IDS[0]]]
    assert ["s0000001", IDS[3], "5", "0", "No answer."] in rows
    assert ["s0000001", IDS[0], "5", "", ""] in rows
    assert ["s0000006", IDS[0], "5", "", "There is no worksheet.ipynb in the submission."] in rows


def test_a_template_as_it_was_written_marks_untouched_answers_only(results: Results) -> None:
    sheets = {ADA.id: answers.read(results.submission(ADA.id), IDS)}
    text = template(results, QUESTIONS, sheets)
    assert text is not None
    found = read(results, text)
    assert found.given == {
        ADA.id: {
            IDS[2]: marks.Mark(0, "No answer."),
            IDS[3]: marks.Mark(0, "No answer."),
        }
    }


def test_an_anonymous_template_names_nobody(results: Results) -> None:
    rows = written(results, anonymous=True)
    assert not any("s0000" in cell for row in rows for cell in row)
    first = [row[0] for row in rows if row[1] == IDS[0]]
    assert first == sorted(first), "the order says nothing either"


def test_the_command_writes_page_and_template(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    results.marks_file.unlink()
    assert cli.main(["marks", str(results.folder)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed == [str(results.folder / "answers.html"), str(results.marks_file)]
    assert marks.read(results, QUESTIONS).of(ADA.id).keys() == {IDS[2], IDS[3]}


def test_marks_csv_is_never_written_over(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    before = results.marks_file.read_bytes()
    for _ in range(2):
        assert cli.main(["marks", str(results.folder)]) == 0
    assert results.marks_file.read_bytes() == before
    assert "marks.csv is not changed" in capsys.readouterr().err
    beside = sorted(file.name for file in results.folder.glob("marks*"))
    assert beside == ["marks-new.csv", "marks.csv"], "the same twice is one file"
    rows = (results.folder / "marks-new.csv").read_text(encoding="utf-8")
    assert "s0000001" not in rows, "who has a row is not listed again"
    assert "s0000007,tutorial4-q1" not in rows
    assert "s0000007,tutorial4-q2" in rows


def test_a_second_file_that_was_edited_is_kept(results: Results) -> None:
    other = results.folder / "marks-new.csv"
    other.write_text("mine")
    assert cli.main(["marks", str(results.folder)]) == 0
    assert other.read_text() == "mine"
    assert (results.folder / "marks-new-2.csv").exists()


def test_wrong_marks_stop_before_anything_is_written(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    results.marks_file.write_text(f"{HEADER}s0000001,tutorial4-q1,5,x,\n")
    assert cli.main(["marks", str(results.folder)]) == 2
    assert "line 2, column points" in capsys.readouterr().err
    assert not (results.folder / "answers.html").exists()


def test_a_page_of_somebodys_is_not_written_over(results: Results, tmp_path: Path) -> None:
    mine = tmp_path / "mine.html"
    mine.write_text("mine")
    assert cli.main(["marks", str(results.folder), "--out", str(mine)]) == 2
    assert mine.read_text() == "mine"


# nbgrader


def nbgraders(file: Path) -> Any:
    """A gradebook that nbgrader itself made: Ada is all marked; Björn's q4 is untouched, the rest
    of his open.
    """
    from nbgrader.api import Gradebook

    # nbgrader calls alembic by its name, which is not in PATH unless the environment is active.
    path = os.environ["PATH"]
    os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), path])
    try:
        book = Gradebook(f"sqlite:///{file}")
    finally:
        os.environ["PATH"] = path
    book.add_assignment("lab4")
    book.add_notebook("worksheet", "lab4")
    for name in IDS:
        book.add_grade_cell(name, "worksheet", "lab4", max_score=5, cell_type="markdown")
        book.add_solution_cell(name, "worksheet", "lab4")
    for student in (ADA.id, BJOERN.id, "s9999999"):
        book.add_student(student, first_name="F", last_name="L", email="e@example.org")
        book.add_submission("lab4", student, timestamp=datetime(2026, 11, 27))
    for name, points in zip(IDS, (5, 4.5, 0, 3), strict=True):
        grade = book.find_grade(name, "worksheet", "lab4", ADA.id)
        grade.manual_score, grade.needs_manual_grade = points, False
        book.find_comment(name, "worksheet", "lab4", ADA.id).manual_comment = f"See {name}."
    untouched = book.find_grade(IDS[3], "worksheet", "lab4", BJOERN.id)
    untouched.auto_score, untouched.needs_manual_grade = 0.0, False
    book.db.commit()
    return book


def test_marks_come_from_nbgraders_gradebook(results: Results, tmp_path: Path) -> None:
    file = tmp_path / "grade book.db"
    nbgraders(file).close()
    found = nbgrader_gradebook.read(file, results, QUESTIONS)
    assert found.points(ADA.id, QUESTIONS) == 12.5
    assert found.of(ADA.id)[IDS[1]] == marks.Mark(4.5, f"See {IDS[1]}.")
    assert found.of(BJOERN.id) == {IDS[3]: marks.Mark(0.0, "")}
    assert "s9999999" not in found.given


def test_marks_come_from_what_nbgrader_exports(results: Results, tmp_path: Path) -> None:
    """Only sums are in it. Who is not marked yet has 0 there, and must not get a zero by it."""
    from nbgrader.plugins.export import CsvExportPlugin

    book = nbgraders(tmp_path / "gradebook.db")
    exporter = CsvExportPlugin()
    exporter.to = str(tmp_path / "grades.csv")
    exporter.export(book)
    book.close()
    found = nbgrader_gradebook.read(tmp_path / "grades.csv", results, QUESTIONS)
    assert found.given == {ADA.id: {marks.ALL: marks.Mark(12.5)}}
    assert found.points(ADA.id, QUESTIONS) == 12.5


def test_the_command_makes_marks_csv_from_nbgrader(results: Results, tmp_path: Path) -> None:
    file = tmp_path / "gradebook.db"
    nbgraders(file).close()
    results.marks_file.unlink()
    assert cli.main(["marks", str(results.folder), "--nbgrader", str(file)]) == 0
    found = marks.read(results, QUESTIONS)
    assert found.points(ADA.id, QUESTIONS) == 12.5
    assert (BJOERN.id, IDS[0]) in found.listed, "open ones are there to be filled in"


def test_sums_from_nbgrader_go_into_marks_csv(
    results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "grades.csv"
    file.write_text(
        "assignment,timestamp,student_id,raw_score,max_score\n"
        "lab4,2026-11-27,s0000001,12.5,20.0\nlab4,2026-11-27,s0000002,0.0,20.0\n"
    )
    results.marks_file.unlink()
    assert cli.main(["marks", str(results.folder), "--nbgrader", str(file)]) == 0
    assert "gradebook.db has everything" in capsys.readouterr().err
    found = marks.read(results, QUESTIONS)
    assert found.points(ADA.id, QUESTIONS) == 12.5
    assert found.points(BJOERN.id, QUESTIONS) is None


def test_points_beyond_the_rubric_are_refused(results: Results, tmp_path: Path) -> None:
    file = tmp_path / "gradebook.db"
    book = nbgraders(file)
    book.find_grade(IDS[0], "worksheet", "lab4", ADA.id).extra_credit = 2
    book.db.commit()
    book.close()
    with pytest.raises(KitError, match="7 points"):
        nbgrader_gradebook.read(file, results, QUESTIONS)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"SQLite format 3\x00garbage", "not an nbgrader gradebook"),
        (b"a,b\n1,2\n", "no column assignment"),
        (
            b"assignment,timestamp,student_id,raw_score,max_score\nlab3,x,s0000001,1,20\n",
            "'lab4'",
        ),
        (
            b"assignment,timestamp,student_id,raw_score,max_score\nlab4,x,s0000001,1,40\n",
            "1 of 40",
        ),
    ],
)
def test_what_nbgrader_did_not_write_is_refused(
    results: Results, tmp_path: Path, content: bytes, says: str
) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(KitError, match=says):
        nbgrader_gradebook.read(file, results, QUESTIONS)
    with pytest.raises(KitError, match="cannot be read"):
        nbgrader_gradebook.read(tmp_path / "none", results, QUESTIONS)


def test_comments_that_were_made_neutral_come_back_as_they_were(results: Results) -> None:
    comment = "=1+1 is no answer"
    row = spreadsheet.table(
        ("student", "question", "points", "comment"), [(ADA.id, IDS[0], 1, comment)]
    )
    assert "'=1+1" in row
    assert read(results, row).of(ADA.id)[IDS[0]].comment == comment
