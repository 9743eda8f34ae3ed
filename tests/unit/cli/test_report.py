"""What `grade` leaves at its end, where nothing is left to run: no engine is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.classroom.results import Entry, Person, Results
from grader.cli import main


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """A class of one, whose submission could not be unpacked."""
    person = Person("s0000001", "Ada Lovelace")
    made = Results(tmp_path / "out", "lab4", (Entry(person, "a.zip", refused="It is damaged."),))
    made.save()
    return made


def test_pages_and_points_are_written(results: Results) -> None:
    assert main(["grade", "--out", str(results.folder)]) == 3  # someone is not graded
    assert "s0000001" in (results.folder / "grades.csv").read_text("utf-8-sig")
    assert "Ada Lovelace" in (results.folder / "class" / "index.html").read_text("utf-8")


def test_marks_that_are_wrong_cost_the_points_file_and_nothing_else(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "student,question,points,comment\ns0000001,tutorial4-q1,many,\n"
    results.marks_file.write_text(text, "utf-8")

    assert main(["grade", "--out", str(results.folder)]) == 2

    said = capsys.readouterr()
    assert "grades.csv was not written" in said.out
    assert "marks.csv" in said.err
    assert "line 2" in said.err
    assert not (results.folder / "grades.csv").exists()
    assert (results.folder / "class" / "index.html").is_file()
    assert results.marks_file.read_text("utf-8") == text
