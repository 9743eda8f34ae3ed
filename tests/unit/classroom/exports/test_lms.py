"""Files for Moodle and Canvas, against the rules of their own importers.

Moodle, mod/assign/feedback/offline (importgradeslib.php, locallib.php) of github.com/moodle/moodle:

- columns are found by exact header, in the importing person's language; Identifier, Grade and
  Last modified (grade) must be there, else the file is refused;
- the participant's number is what follows the word for "Participant" in Identifier;
- a grade above the maximum, a locked one, one of someone else: skipped without a word;
- an empty grade is skipped: no one gets a zero by it;
- numbers are read with a decimal point, or with the decimal sign of Moodle's language;
- feedback comments are HTML; the file is read by PHP's fgetcsv, where a backslash before a
  quotation mark is an escape.

Canvas, lib/gradebook_importer.rb of github.com/instructure/canvas-lms:

- the first columns are Student and ID, then SIS User ID, SIS Login ID, …, up to Section;
- an assignment column is "Title (number)"; one whose number and title are unknown makes a new
  assignment;
- a row that begins with "Points Possible" sets the assignments' points; columns with
  "(read only)" there are ignored;
- rows of nothing but "Manual Posting" are skipped;
- a changed cell is imported, an emptied one as well;
- the separator is a comma or a semicolon; a decimal comma is taken for a point.
"""

from __future__ import annotations

import csv
import html
import io
import re
from pathlib import Path

import pytest

from grader import cli
from grader.classroom import csvfile
from grader.classroom.exports import canvas, moodle, rows
from grader.classroom.exports.export import Export
from grader.classroom.exports.rows import Row
from grader.classroom.marking import marks
from grader.classroom.results import Results
from grader.errors import KitError
from tests.unit import graded_class
from tests.unit.graded_class import LAB, QUESTIONS

ENGLISH = (
    "Identifier,Full name,Email address,Status,Grade,Maximum grade,Grade can be changed,"
    "Last modified (submission),Last modified (grade),Feedback comments\n"
)
WORKSHEET = ENGLISH + (
    'Participant 17,"Lovelace, Ada",ada@example.org,Submitted for grading,,105.50,Yes,-,-,\n'
    "Participant 18,Björn Ødegård,bjoern@example.org,Submitted for grading,,105.50,Yes,-,-,\n"
    "Participant 19,Carla Gómez,carla@example.org,Submitted for grading,12.00,105.50,Yes,-,-,\n"
    "Participant 99,=No one(),no one@example.org,No submission,,105.50,Yes,-,-,\n"
)
LANGUAGES = {
    "English": (ENGLISH, "Participant ", "Yes"),
    "German": (
        "ID,Vollständiger Name,E-Mail-Adresse,Status,Bewertung,Bestwertung,"
        "Bewertung kann geändert werden,Zuletzt geändert (Abgabe),Zuletzt geändert (Bewertung),"
        "Feedback als Kommentar\n",
        "Teilnehmer/in",
        "Ja",
    ),
    "French": (
        "Identifiant,Nom complet,Adresse de courriel,Statut,Note,Note maximale,"
        "La note peut être modifiée,Dernière modification (travail remis),"
        "Dernière modification (note),Feedback par commentaires\n",
        "Participant",
        "Oui",
    ),
    "Spanish": (
        "Identificador,Nombre completo,Dirección de correo,Estado,Calificación,"
        "Calificación máxima,La calificación puede ser cambiada,Última modificación (entrega),"
        "Última modificación (calificación),Comentarios de retroalimentación\n",
        "Participante ",
        "Sí",
    ),
}
GRADEBOOK = """\
Student,ID,SIS User ID,SIS Login ID,Section,Quiz (31),Practical 4: Docker II (4711),Final Score
,,,,,,Manual Posting,
    Points Possible,,,,,10,105.5,(read only)
"Lovelace, Ada",501,,adal,Week 5,9.5,,88
"Ødegård, Björn",502,B-2,bjoern@example.org,Week 5,,50,20
"Gómez, Carla",503,,carla,Week 5,7,12,30
"Gus",507,,gus,Week 5,7,EX,30
"Unknown, Person",599,,who,Week 5,1,2,3
"Student, Test",600,,testtest,Week 5,,,
"""


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return graded_class.make(tmp_path / "results")


@pytest.fixture
def graded(results: Results) -> list[Row]:
    return rows.rows(results, LAB, QUESTIONS, marks.read(results, QUESTIONS))


def table(folder: Path, content: str | bytes) -> csvfile.Table:
    file = folder / "from the LMS.csv"
    file.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return csvfile.read(file)


def cells(export: Export, *, encoding: str = "utf-8", delimiter: str = ",") -> list[list[str]]:
    (content,) = export.files.values()
    text = content.decode(encoding)
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


# Moodle


def test_grades_and_feedback_are_filled_in_and_nothing_else(
    graded: list[Row], tmp_path: Path
) -> None:
    before = list(csv.reader(io.StringIO(WORKSHEET)))
    after = cells(moodle.export(graded, table(tmp_path, WORKSHEET)))
    assert [row[4] for row in after[1:]] == ["84.50", "90.00", "12.00", ""]
    assert after[0] == before[0]
    for old, new in zip(before, after, strict=True):
        assert old[:4] + old[5:9] == new[:4] + new[5:9]
    assert after[4] == before[4], "a stranger's row is as it was, whatever is in it"


@pytest.mark.parametrize("language", LANGUAGES)
def test_headers_are_known_in(graded: list[Row], tmp_path: Path, language: str) -> None:
    header, participant, yes = LANGUAGES[language]
    comma = language != "English"
    full = '"105,50"' if comma else "105.50"
    text = header + f"{participant}17,Ada,,Status,,{full},{yes},-,-,\n"
    after = cells(moodle.export(graded, table(tmp_path, text)))
    assert after[1][4] == ("84,50" if comma else "84.50"), "the decimal sign of that language"
    assert after[1][9].startswith("Drydock: 84.5 of 105.5 points.")
    assert ",".join(after[0]) + "\n" == header


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_encoding_and_separator_stay(
    graded: list[Row], tmp_path: Path, encoding: str, delimiter: str
) -> None:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\r\n").writerows(
        csv.reader(io.StringIO(WORKSHEET))
    )
    sheet = table(tmp_path, out.getvalue().encode(encoding))
    export = moodle.export(graded, sheet)
    after = cells(export, encoding=encoding, delimiter=delimiter)
    assert after[2][1] == "Björn Ødegård"
    assert after[2][4] == "90.00"
    assert b"\r\n" in export.files["moodle.csv"] or encoding == "utf-16"


@pytest.mark.parametrize(
    ("identifier", "email", "idnumber"),
    [
        ("Participant 17", "", ""),
        ("Participant 4", "ADA@example.org", ""),
        ("Participant 4", "other@example.org", "s0000001"),
        ("Participant 4", "", "AdaL"),
    ],
)
def test_people_are_found_by_number_then_address_then_id(
    graded: list[Row], tmp_path: Path, identifier: str, email: str, idnumber: str
) -> None:
    text = (
        "Identifier,Full name,ID number,Email address,Grade,Last modified (grade)\n"
        f"{identifier},Ada,{idnumber},{email},,-\n"
    )
    assert cells(moodle.export(graded, table(tmp_path, text)))[1][4] == "84.50"


def test_who_could_be_two_people_is_left_alone(graded: list[Row], tmp_path: Path) -> None:
    text = ENGLISH + "Participant 17,Ada,bjoern@example.org,x,,105.50,Yes,-,-,\n"
    export = moodle.export(graded, table(tmp_path, text))
    assert cells(export)[1][4] == ""
    assert any("could be s0000001 and s0000002" in note for note in export.notes)


def test_what_is_not_filled_in_is_listed(graded: list[Row], tmp_path: Path) -> None:
    text = WORKSHEET + "Participant 17,Ada again,ada@example.org,x,,105.50,Yes,-,-,\n"
    export = moodle.export(graded, table(tmp_path, text))
    notes = "\n".join(export.notes)
    assert "Participant 99, =No one(), no one@example.org: in the worksheet, but not in" in notes
    assert "s0000001 has a row already" in notes
    assert "s0000003 (Carla Gómez): not gradable." in notes
    assert export.filled == 2


def test_graded_people_who_are_not_in_the_worksheet_are_listed(
    graded: list[Row], tmp_path: Path
) -> None:
    text = "".join(WORKSHEET.splitlines(keepends=True)[:2])
    notes = moodle.export(graded, table(tmp_path, text)).notes
    assert "s0000002: graded, but not in the worksheet." in notes


def test_a_locked_grade_stays_and_is_said(graded: list[Row], tmp_path: Path) -> None:
    text = ENGLISH + "Participant 17,Ada,ada@example.org,x,,105.50,No,-,-,\n"
    export = moodle.export(graded, table(tmp_path, text))
    assert cells(export)[1][4] == ""
    assert any("locked" in note for note in export.notes)


def test_a_grade_that_changes_is_said(graded: list[Row], tmp_path: Path) -> None:
    text = ENGLISH + "Participant 17,Ada,ada@example.org,x,80.00,105.50,Yes,-,-,\n"
    export = moodle.export(graded, table(tmp_path, text))
    assert any("the grade was 80.00, now it is 84.50" in note for note in export.notes)


def test_a_grade_that_moodle_would_drop_is_refused(graded: list[Row], tmp_path: Path) -> None:
    text = WORKSHEET.replace("105.50", "80.00")
    with pytest.raises(KitError, match="gives 80 at most") as caught:
        moodle.export(graded, table(tmp_path, text))
    assert "--scale" in str(caught.value.remedy)


def test_points_can_be_converted(graded: list[Row], tmp_path: Path) -> None:
    text = WORKSHEET.replace("105.50", "10.00")
    after = cells(moodle.export(graded, table(tmp_path, text), scale=True))
    assert [row[4] for row in after[1:3]] == ["8.01", "8.57"], "each of the own maximum"


def test_another_maximum_is_said(graded: list[Row], tmp_path: Path) -> None:
    notes = moodle.export(graded, table(tmp_path, WORKSHEET.replace("105.50", "100.00"))).notes
    assert any("--scale converts them" in note for note in notes)


def test_a_scale_instead_of_points_is_refused(graded: list[Row], tmp_path: Path) -> None:
    with pytest.raises(KitError, match="has a scale"):
        moodle.export(graded, table(tmp_path, WORKSHEET.replace("105.50", "failed - passed")))


def test_feedback_is_html_that_php_reads(graded: list[Row], tmp_path: Path) -> None:
    import dataclasses

    hostile = marks.Mark(4, 'a\\"b <script>alert(1)</script> & "c"')
    row = next(row for row in graded if row.student == "s0000001")
    row = dataclasses.replace(row, given=((QUESTIONS[0], hostile),))
    text = cells(moodle.export([row], table(tmp_path, WORKSHEET)))[1][9]
    assert '"' not in text
    assert "\\" not in text
    assert re.findall(r"<[^>]*>", text) == ["<br>"] * text.count("<br>")
    assert html.unescape(text).count('a\\"b <script>alert(1)</script> & "c"') == 1


def test_an_old_encoding_gets_feedback_that_it_can_say(graded: list[Row], tmp_path: Path) -> None:
    import dataclasses

    row = next(row for row in graded if row.student == "s0000001")
    row = dataclasses.replace(row, given=((QUESTIONS[0], marks.Mark(4, "größer → 日本")),))
    export = moodle.export([row], table(tmp_path, WORKSHEET.encode("cp1252")))
    text = cells(export, encoding="cp1252")[1][9]
    assert "größer → 日本" in html.unescape(text)


def test_a_persons_comment_is_kept_and_an_old_one_of_the_kit_replaced(
    graded: list[Row], tmp_path: Path
) -> None:
    text = ENGLISH + (
        "Participant 17,Ada,,x,,105.50,Yes,-,-,<p>See me.</p>\n"
        "Participant 18,Björn,,x,,105.50,Yes,-,-,<p>Drydock: 1 of 2 points.</p>\n"
    )
    export = moodle.export(graded, table(tmp_path, text))
    after = cells(export)
    assert after[1][9] == "<p>See me.</p>"
    assert after[2][9].startswith("Drydock: 90 of 105 points.")
    assert any("it was kept" in note for note in export.notes)


def test_feedback_comments_that_are_off_are_said(graded: list[Row], tmp_path: Path) -> None:
    text = "Identifier,Full name,Grade,Last modified (grade)\nParticipant 17,Ada,,-\n"
    export = moodle.export(graded, table(tmp_path, text))
    assert cells(export)[1] == ["Participant 17", "Ada", "84.50", "-"]
    assert any("no feedback column" in note for note in export.notes)


def test_another_file_is_refused_by_its_header(graded: list[Row], tmp_path: Path) -> None:
    with pytest.raises(KitError, match="no column Identifier, Grade, Last modified"):
        moodle.export(graded, table(tmp_path, "Name,Points\nAda,1\n"))


def test_the_teachers_worksheet_stays_as_it_is(results: Results, tmp_path: Path) -> None:
    sheet = tmp_path / "Grades.csv"
    sheet.write_text(WORKSHEET.replace("105.50", "110.00"), encoding="utf-8")
    before = sheet.read_bytes()
    words = ["export", "moodle", str(results.folder), "--worksheet", str(sheet)]
    assert cli.main([*words, "--out", str(sheet)]) == 2
    assert cli.main(words) == 0
    assert sheet.read_bytes() == before
    filled = (results.folder / "exports" / "moodle.csv").read_text(encoding="utf-8")
    assert "84.50" in filled
    # lab4 itself takes nothing off for being late.
    assert "100.00" in filled


# Canvas


def test_only_the_one_assignment_is_written(graded: list[Row], tmp_path: Path) -> None:
    after = cells(canvas.export(graded, table(tmp_path, GRADEBOOK), "4711"))
    assert after == [
        [
            *("Student", "ID", "SIS User ID", "SIS Login ID", "Section"),
            "Practical 4: Docker II (4711)",
        ],
        ["", "", "", "", "", "Manual Posting"],
        ["    Points Possible", "", "", "", "", "105.5"],
        ["Lovelace, Ada", "501", "", "adal", "Week 5", "84.50"],
        ["Ødegård, Björn", "502", "B-2", "bjoern@example.org", "Week 5", "90.00"],
        ["Gómez, Carla", "503", "", "carla", "Week 5", "12"],
        ["Gus", "507", "", "gus", "Week 5", "EX"],
        ["Unknown, Person", "599", "", "who", "Week 5", "2"],
        ["Student, Test", "600", "", "testtest", "Week 5", ""],
    ]


@pytest.mark.parametrize(
    "name",
    ["4711", "Practical 4: Docker II", "practical 4: docker ii", "Practical 4: Docker II (4711)"],
)
def test_an_assignment_is_found_by_title_or_number(
    graded: list[Row], tmp_path: Path, name: str
) -> None:
    after = cells(canvas.export(graded, table(tmp_path, GRADEBOOK), name))
    assert after[0][-1] == "Practical 4: Docker II (4711)"


@pytest.mark.parametrize("name", [None, "", "Practical 5", "471", "Final Score", "Section"])
def test_no_column_is_ever_made(graded: list[Row], tmp_path: Path, name: str | None) -> None:
    with pytest.raises(KitError) as caught:
        canvas.export(graded, table(tmp_path, GRADEBOOK), name)
    assert "Quiz (31)\n  Practical 4: Docker II (4711)" in caught.value.what


def test_two_of_one_title_are_told_apart_by_number(graded: list[Row], tmp_path: Path) -> None:
    text = GRADEBOOK.replace("Quiz (31)", "Practical 4: Docker II (31)")
    with pytest.raises(KitError, match="There are 2 assignments"):
        canvas.export(graded, table(tmp_path, text), "Practical 4: Docker II")
    assert cells(canvas.export(graded, table(tmp_path, text), "31"))[0][-1].endswith("(31)")


def test_a_read_only_column_is_no_assignment(graded: list[Row], tmp_path: Path) -> None:
    text = GRADEBOOK.replace("Final Score", "Group (5)")
    with pytest.raises(KitError, match="no assignment"):
        canvas.export(graded, table(tmp_path, text), "5")


def test_who_gets_no_grade_in_canvas_is_listed(graded: list[Row], tmp_path: Path) -> None:
    export = canvas.export(graded, table(tmp_path, GRADEBOOK), "4711")
    notes = "\n".join(export.notes)
    assert "Unknown, Person, 599: in the gradebook, but not in these results." in notes
    assert "Ødegård, Björn, 502: the grade was 50, now it is 90.00." in notes
    assert "s0000003 (Carla Gómez): not gradable." in notes
    assert "waiting for marks" in notes
    assert export.filled == 2


def test_who_is_excused_stays_excused(graded: list[Row], tmp_path: Path) -> None:
    text = GRADEBOOK.replace("adal,Week 5,9.5,,88", "adal,Week 5,9.5,EX,88")
    export = canvas.export(graded, table(tmp_path, text), "4711")
    assert cells(export)[3][-1] == "EX"
    assert any("excused" in note for note in export.notes)


def test_canvas_points_can_be_converted(graded: list[Row], tmp_path: Path) -> None:
    text = GRADEBOOK.replace("10,105.5", "10,100")
    export = canvas.export(graded, table(tmp_path, text), "4711")
    assert any("--scale converts them" in note for note in export.notes)
    after = cells(canvas.export(graded, table(tmp_path, text), "4711", scale=True))
    assert [row[-1] for row in after[2:5]] == ["100", "80.09", "85.71"]


def test_semicolons_stay_semicolons(graded: list[Row], tmp_path: Path) -> None:
    out = io.StringIO()
    csv.writer(out, delimiter=";").writerows(csv.reader(io.StringIO(GRADEBOOK)))
    export = canvas.export(graded, table(tmp_path, "\ufeff" + out.getvalue()), "4711")
    after = cells(export, encoding="utf-8-sig", delimiter=";")
    assert after[3] == ["Lovelace, Ada", "501", "", "adal", "Week 5", "84.50"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Name,Points\nAda,1\n", "not a Canvas gradebook"),
        ("Student,ID,Section,A (1)\nAda,501,x,\n", "no row 'Points Possible'"),
    ],
)
def test_what_is_no_gradebook_is_refused(
    graded: list[Row], tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(KitError, match=says):
        canvas.export(graded, table(tmp_path, text), "1")


def test_the_canvas_command_writes_a_new_file(
    results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = tmp_path / "book.csv"
    book.write_text(GRADEBOOK, encoding="utf-8")
    words = ["export", "canvas", str(results.folder), "--worksheet", str(book)]
    assert cli.main(words) == 2
    assert "Which assignment is it?" in capsys.readouterr().err
    assert cli.main([*words, "--assignment", "4711"]) == 0
    assert capsys.readouterr().out.strip() == str(results.folder / "exports" / "canvas.csv")
    assert book.read_text(encoding="utf-8") == GRADEBOOK
