"""Rosters of every system are read, and a wrong one is refused with file, line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.classroom.intake import dates, roster
from grader.classroom.results import Person
from grader.errors import KitError
from grader.lab.model import Lab
from tests.unit import toy_lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return toy_lab.make(tmp_path / "kit")


def read(tmp_path: Path, lab: Lab, text: str | bytes, encoding: str = "utf-8") -> roster.Roster:
    file = tmp_path / "roster.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return roster.read(file, lab)


ADA = Person("s0000001", "Ada Lovelace", "ada@example.org")


@pytest.mark.parametrize(
    "text",
    [
        "student id,first name,last name,email\ns0000001,Ada,Lovelace,ada@example.org\n",
        "Matrikelnummer;Nachname;Vorname;E-Mail-Adresse\r\ns0000001;Lovelace;Ada;ada@example.org\r\n",
        "Name\tStudent Number\tE-Mail\nLovelace, Ada\ts0000001\tada@example.org",
        '"ID number","Full name","Email address"\n"S0000001","Ada Lovelace","ada@example.org"\n',
        "Name;Vorname;Matrikel-Nr.;Mail\nLovelace;Ada;s0000001;ada@example.org\n",
        "Student,Student ID,Email\nAda Lovelace,s0000001,ada@example.org\n",
        "sep=;\nID;Name;Mail\ns0000001;Ada  Lovelace;ada@example.org\n",
        "\n\nid,name,email\n\n  s0000001 , Ada Lovelace , ada@example.org \n\n",
        "id,name,email,Department\ns0000001,Ada Lovelace,ada@example.org,Maths\n",
    ],
)
def test_plain_rosters_of_both_languages(tmp_path: Path, lab: Lab, text: str) -> None:
    assert read(tmp_path, lab, text).people == (ADA,)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
def test_any_encoding_that_spreadsheets_write(tmp_path: Path, lab: Lab, encoding: str) -> None:
    text = "id;name;email\ns0000001;Jürgen Groß;j@example.org\n"
    assert read(tmp_path, lab, text, encoding).people[0].name == "Jürgen Groß"


def test_moodles_worksheet_gives_numbers_and_times(tmp_path: Path, lab: Lab) -> None:
    text = (
        "Identifier,Full name,ID number,Email address,Status,Grade,Maximum grade,"
        "Last modified (submission),Last modified (grade),Feedback comments\n"
        "Participant 17,Ada Lovelace,s0000001,ada@example.org,Submitted,,100,"
        '"Tuesday, 24 November 2026, 10:05 AM",-,\n'
        "Participant 18,Alan Turing,s0000002,alan@example.org,No submission,,100,-,-,\n"
    )
    found = read(tmp_path, lab, text)
    assert found.people[0].numbers == {"moodle": "17"}
    assert found.submitted.keys() == {"s0000001"}
    assert found.submitted["s0000001"].startswith("2026-11-24T10:05:00")


def test_moodles_german_worksheet_without_a_number_takes_the_id_from_the_address(
    tmp_path: Path, lab: Lab
) -> None:
    text = (
        "ID,Vollständiger Name,E-Mail-Adresse,Status,Bewertung,Zuletzt geändert (Abgabe)\n"
        "Teilnehmer/in1234567,Ada Lovelace,s0000001@example.org,x,,"
        '"Dienstag, 24. November 2026, 10:05"\n'
    )
    found = read(tmp_path, lab, text)
    assert found.people == (
        Person("s0000001", "Ada Lovelace", "s0000001@example.org", {"moodle": "1234567"}),
    )
    assert found.submitted["s0000001"].startswith("2026-11-24T10:05:00")


def test_canvas_gradebook_gives_numbers_and_its_extra_rows_are_nobody(
    tmp_path: Path, lab: Lab
) -> None:
    text = (
        "Student,ID,SIS User ID,SIS Login ID,Section,Lab 4 (99)\n"
        "    Points Possible,,,,,100\n"
        '"Lovelace, Ada",12345,s0000001,ada17,Tuesday,\n'
        '"Student, Test",777,,abcdef0123456789,Tuesday,\n'
    )
    (person,) = read(tmp_path, lab, text).people
    assert person == Person(
        "s0000001", "Ada Lovelace", "", {"canvas": "12345", "sis": "s0000001", "login": "ada17"}
    )


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ("id,name\ns0000001,A\n17,B\n", "line 3, column 1 (id)", "'17' is not a student ID"),
        ("name,id\nA,s0000001\nB,\n", "line 3, column 2 (id)", "no student ID"),
        ("id,name\ns0000001,A\ns0000001,B\n", "line 3", "twice, in line 2"),
        ("id,login\ns0000001,a\ns0000002,A\n", "lines 2 and 3", "the same login"),
        ("email,id,E-Mail\n", "line 1, column 3", "the same meaning"),
        ("name,age\nA,3\n", "line 1: name, age", "No column has"),
        ("id,name\n", "roster.csv", "no students"),
        ("", "roster.csv", "empty"),
        ('id,name\ns0000001,"A\n', "line 2", "not a CSV file"),
        ('id,name\n"s0000001"x,A\n', "line 2", "not a CSV file"),
        (b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0", "roster.csv", "a workbook"),
        ('id,note\ns0000001,"two\nlines"\n99,x\n', "line 4, column 1", "'99'"),
    ],
)
def test_a_wrong_roster_is_refused_at_its_place(
    tmp_path: Path, lab: Lab, text: str | bytes, where: str, says: str
) -> None:
    with pytest.raises(KitError) as caught:
        read(tmp_path, lab, text)
    assert where in (caught.value.where or "")
    assert says in caught.value.what
    assert caught.value.remedy


def test_a_missing_roster_is_a_clear_error(tmp_path: Path, lab: Lab) -> None:
    with pytest.raises(KitError, match="cannot be read"):
        roster.read(tmp_path / "none.csv", lab)


def test_an_id_that_could_not_be_a_folder_is_none(tmp_path: Path) -> None:
    made = toy_lab.make(tmp_path / "kit")
    loose = type(made)(**{**made.__dict__, "student_pattern": ".*"})
    assert [roster.as_id(t, loose) for t in ("a", "../a", "a/b", "..", ".x", "")] == ["a"] + [
        None
    ] * 5


@pytest.mark.parametrize(
    ("text", "is_"),
    [
        ("Tuesday, 24 November 2026, 10:05 AM", "2026-11-24T10:05:00"),
        ("Tuesday, 24 November 2026, 12:05 AM", "2026-11-24T00:05:00"),
        ("Wednesday, September 23, 2020, 9:00 PM", "2020-09-23T21:00:00"),
        ("Montag, 1. März 2027, 23:59", "2027-03-01T23:59:00"),
        ("-", None),
        ("", None),
        ("Tuesday, 34 November 2026, 10:05 AM", None),
        ("mardi 24 novembre 2026, 10:05", None),
        ("24 vendémiaire 2026, 10:05", None),
    ],
)
def test_moodles_times(text: str, is_: str | None) -> None:
    found = dates.moodle(text)
    assert found is None if is_ is None else (found or "").startswith(is_)
