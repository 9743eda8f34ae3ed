"""What LMSs write into names is read back, and a person is found by it or by no one's guess."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.classroom.intake import labels
from grader.classroom.intake.matching import Match, Matcher
from grader.classroom.intake.raw_submission import Layout, RawSubmission
from grader.classroom.results import Person
from grader.lab.model import Lab
from grader.submission.manifest import Manifest
from tests.unit import made_class, toy_lab

WORDS = st.text(st.characters(categories=["L", "M", "Zs", "Pd"]), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("name", "kind", "person", "number", "file"),
    [
        ("Ada Lovelace_17_assignsubmission_file_", "moodle", "Ada Lovelace", "17", ""),
        ("Ada Lovelace_17_assignsubmission_file", "moodle", "Ada Lovelace", "17", ""),
        ("Jürgen Groß_17_assignsubmission_file_a_b.zip", "moodle", "Jürgen Groß", "17", "a_b.zip"),
        ("Van_der_Berg_5_17_assignsubmission_file_", "moodle", "Van der Berg 5", "17", ""),
        ("Participant_17_assignsubmission_file_", "moodle", "Participant", "17", ""),
        ("lovelaceada_12_34_lab.zip", "canvas", "lovelaceada", "12", "lab.zip"),
        ("lovelaceada_LATE_12_34_lab_4-1.zip", "canvas", "lovelaceada", "12", "lab_4-1.zip"),
        ("großjürgen_12_34_5_6_x.zip", "canvas", "großjürgen", "12", "5_6_x.zip"),
        ("anon_aB3xY_34_lab.zip", "canvas", "", "anon_aB3xY", "lab.zip"),
        ("LATE_anon_aB3xY_34_lab.zip", "canvas", "", "anon_aB3xY", "lab.zip"),
    ],
)
def test_names_of_lms(name: str, kind: str, person: str, number: str, file: str) -> None:
    found = labels.read(name)
    assert found is not None
    assert (found.kind, found.name, found.number, found.file) == (kind, person, number, file)
    assert found.late == ("LATE" in name)
    assert not found.text


@pytest.mark.parametrize(
    "name",
    [
        "Ada Lovelace_17_assignsubmission_onlinetext_",
        "Ada Lovelace_17_assignsubmission_onlinetext_onlinetext.html",
        "lovelaceada_12_text.html",
        "lovelaceada_LATE_12_link.html",
    ],
)
def test_texts_typed_into_the_lms_are_told_from_files(name: str) -> None:
    found = labels.read(name)
    assert found is not None
    assert found.text


@pytest.mark.parametrize(
    "name", ["s1234567", "s1234567.zip", "lab_4.zip", "a_1.zip", "", "_", "12_34_x"]
)
def test_other_names_are_no_lmss(name: str) -> None:
    assert labels.read(name) is None


@given(WORDS, st.integers(0, 10**9), st.booleans())
def test_any_name_that_moodle_makes_is_read_back(name: str, number: int, slash: bool) -> None:
    found = labels.read(f"{name.replace('_', ' ')}_{number}_assignsubmission_file{'_' * slash}")
    assert found is not None
    assert (found.name, found.number) == (name.replace("_", " "), str(number))


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return toy_lab.make(tmp_path)


def match(
    lab: Lab,
    people: Iterable[Person] | None,
    layout: Layout,
    label: str,
    name: str = "",
    numbers: tuple[tuple[str, str], ...] = (),
    says: str | None = None,
) -> Match:
    handed = RawSubmission(layout, "x", label, (), name, numbers)
    return Matcher(lab, people).match(handed, Manifest(lab.id, says) if says else None)


ADA = Person("s0000001", "Ada Lovelace", "ada@example.org", {"moodle": "17", "login": "al1"})
ALAN = Person("s0000002", "Alan Turing", "alan@example.org", {"moodle": "18"})


@pytest.mark.parametrize(
    ("known", "written"),
    [
        ("Jürgen Groß", "Juergen Gross"),
        ("Juergen Gross", "Jürgen Groß"),
        ("Zoë O'Brien", "OBrien Zoe"),
        ("Łukasz Śliwiński", "Sliwinski, Lukasz"),
        ("Björn Åström", "BJÖRN ÅSTRÖM"),
        ("Anne-Marie Berg", "Anne Marie Berg"),
        ("Nguyễn Văn An", "Nguyen Van An"),
        ("José García", "Jose\u0301 Garci\u0301a"),
    ],
)
def test_names_are_the_same_however_they_are_written(lab: Lab, known: str, written: str) -> None:
    person = Person("s0000001", known)
    assert match(lab, [person, ALAN], "folder", written).person == person
    assert match(lab, [person, ALAN], "moodle", written, written).person == person


@given(st.sampled_from(made_class.NAMES))
def test_canvas_writes_names_in_one_word(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    lab = toy_lab.make(tmp_path_factory.mktemp("lab"))
    person = Person("s0000003", name, "", {"canvas": "5"})
    others = [p for p in (ADA, ALAN) if p.name != name]
    label = labels.read(made_class.canvas_name(person, "x.zip"))
    assert label is not None
    assert match(lab, [person, *others], "canvas", "", label.name).person == person


def test_a_name_of_two_people_is_nobodys(lab: Lab) -> None:
    twins = [Person("s0000001", "Ada Lovelace"), Person("s0000002", "Lovelace Ada")]
    found = match(lab, twins, "folder", "Ada Lovelace")
    assert found.person is None
    assert "fits s0000001 and s0000002" in found.reason


def test_the_lmss_number_counts_more_than_all_else(lab: Lab) -> None:
    found = match(lab, [ADA, ALAN], "moodle", "s0000002.zip", "Alan Turing", (("moodle", "17"),))
    assert found.person == ADA


def test_a_groups_name_before_a_persons_is_no_hindrance(lab: Lab) -> None:
    assert match(lab, [ADA], "moodle", "", "Tuesday-Ada Lovelace").person == ADA


@pytest.mark.parametrize("label", ["al1", "AL1.zip", "ada@example.org", "ada@example.org.tar.gz"])
def test_logins_and_addresses_are_known(lab: Lab, label: str) -> None:
    assert match(lab, [ADA, ALAN], "archive", label).person == ADA


def test_the_number_that_an_lms_gives_is_kept_for_exports(lab: Lab) -> None:
    person = Person("s0000001", "Ada Lovelace")
    found = match(lab, [person], "moodle", "", "Ada Lovelace", (("moodle", "99"),))
    assert found.person is not None
    assert found.person.numbers == {"moodle": "99"}


def test_an_id_is_found_in_any_name_but_not_in_a_longer_one(lab: Lab) -> None:
    assert match(lab, None, "archive", "lab4_S0000003_final.zip").person == Person("s0000003")
    assert match(lab, None, "archive", "xs0000003.zip").person is None
    assert match(lab, None, "archive", "s00000034.zip").person is None


def test_a_manifest_counts_where_nothing_outside_says_anything(lab: Lab) -> None:
    assert match(lab, [ADA], "archive", "final.zip", says="s0000001").person == ADA
    found = match(lab, [ADA], "archive", "final.zip", says="s0000009")
    assert found.person is None
    assert "manifest names s0000009, who is not on the roster" in found.reason


def test_a_manifest_that_says_another_is_told(lab: Lab) -> None:
    found = match(lab, [ADA, ALAN], "folder", "s0000001", says="s0000002")
    assert found.person == ADA
    assert "packed for s0000002, but s0000001" in found.remarks[0]
