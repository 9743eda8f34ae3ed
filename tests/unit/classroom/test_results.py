"""The list of a class's results is kept whole, and says what is wrong with one it cannot read."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.classroom import results
from grader.classroom.results import Entry, Person, Results, Similarity, Unmatched
from grader.errors import KitError


def a_class(folder: Path) -> Results:
    ada = Person("s0000001", "Ada Lovelace", "ada@example.org", {"moodle": "17"})
    return Results(
        folder,
        "lab4",
        entries=(Entry(ada, "class.zip: Ada_17", "2026-11-24T10:00:00+01:00", "ab", ("late",)),),
        unmatched=(Unmatched("x.zip", "no one's"),),
        missing=(Person("s0000002"),),
        similarities=(Similarity("file", ("s0000001", "s0000003"), "blog/compose.yaml"),),
    )


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    made = a_class(tmp_path)
    made.save()
    assert results.load(tmp_path) == made


def test_a_student_without_a_record_is_listed(tmp_path: Path) -> None:
    assert [(e.person.id, r) for e, r in a_class(tmp_path).graded()] == [("s0000001", None)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "no results"),
        ("[]", "cannot be read"),
        ('{"schema": 9}', "schema 9"),
        ("{", "cannot"),
    ],
)
def test_a_list_that_cannot_be_read_is_named(tmp_path: Path, text: str | None, says: str) -> None:
    if text is not None:
        (tmp_path / "class.json").write_text(text)
    with pytest.raises(KitError, match=says):
        results.load(tmp_path)
