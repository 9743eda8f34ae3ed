"""Variants: the same everywhere, in range, and different from student to student."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from grader.errors import KitError
from grader.lab import labfile
from grader.lab.model import Lab, Parameter
from grader.lab.variant import variant

LAB4 = labfile.load("lab4")
STUDENTS = st.from_regex(r"s[0-9]{7}", fullmatch=True)

FIXED = """\
id: toy
title: Toy
course: sailing
students: {pattern: "s[0-9]{7}", example: s1234567, demo: s0000000}
exercises: [{id: knots, title: Knots, points: 5, folders: [knots], images: [a]}]
limits: {build_seconds: 1, start_seconds: 1, exercise_seconds: 1, output_kb: 1}
words:
  colours: [red, green, blue, white, black]
  animals: [heron, otter, crab]
variant:
  port: {from: 8000, to: 8990, step: 10}
  other_port: {from: 8000, to: 8990, step: 10}
  engine: {choice: [mariadb, mysql]}
  copies: {choice: [2, 3, 5]}
  name: {words: [colours, animals]}
  greeting: {words: [animals, colours], join: " is "}
  last: {expression: port + 9}
  shown: {expression: "name | upper ~ '!'"}
distinct: [[port, other_port]]
"""


@pytest.fixture
def toy(tmp_path: Path) -> Lab:
    return write_lab(tmp_path, FIXED)


def write_lab(folder: Path, text: str) -> Lab:
    (folder / "toy").mkdir(exist_ok=True)
    (folder / "toy" / "lab.yaml").write_text(text, encoding="utf-8")
    return labfile.load(folder / "toy")


def test_values_are_what_they_always_were(toy: Lab) -> None:
    """Fixed vectors: if this fails, every student's handout has changed."""
    assert variant(toy, "s1234567") == VECTORS["s1234567"]
    assert variant(toy, "s0000000") == VECTORS["s0000000"]


def test_a_value_can_be_drawn_by_hand(toy: Lab) -> None:
    """The rule in one line: SHA-256 of course, lab, student and name picks from the list."""
    digest = hashlib.sha256(b"sailing\0toy\0s1234567\0port").hexdigest()
    assert variant(toy, "s1234567")["port"] == 8000 + 10 * (int(digest, 16) % 100)


def test_values_do_not_depend_on_the_process() -> None:
    """Another process with another hash seed finds the same."""
    program = (
        "from grader.lab import labfile, variant;"
        " print(variant.variant(labfile.load('lab4'), 's7654321'))"
    )
    for seed in ("1", "2"):
        found = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert found.stdout.strip() == str(variant(LAB4, "s7654321"))


def test_a_new_value_leaves_the_others(toy: Lab, tmp_path: Path) -> None:
    more = FIXED.replace("variant:\n", "variant:\n  first: {from: 1, to: 1000}\n")
    grown = variant(write_lab(tmp_path, more), "s1234567")
    assert grown.pop("first")
    assert grown == variant(toy, "s1234567")


def test_course_and_student_decide(toy: Lab, tmp_path: Path) -> None:
    mine = variant(toy, "s1234567")
    assert mine != variant(toy, "s1234568")
    next_year = write_lab(tmp_path, FIXED.replace("course: sailing", "course: sailing 2"))
    assert mine != variant(next_year, "s1234567")


@given(student=STUDENTS)
def test_values_are_in_range(student: str) -> None:
    values = variant(LAB4, student)
    assert 8100 <= int(values["web_port"]) <= 8899
    assert 3 <= int(values["page_factor"]) <= 97
    assert int(values["counter_port_first"]) in range(9000, 9791, 10)
    assert int(values["counter_port_last"]) == int(values["counter_port_first"]) + 9
    assert 2 <= int(values["counter_replicas"]) <= 4
    assert 10100 <= int(values["blog_port"]) <= 10980
    assert (
        values["db_image"]
        == {"mariadb": "mariadb:10.11", "mysql": "mysql:8"}[str(values["db_engine"])]
    )
    assert str(values["db_volume"]).endswith("_data")
    assert str(values["site_name"]).count("-") == 1


@given(student=STUDENTS)
def test_values_that_must_differ_do(student: str) -> None:
    values = variant(LAB4, student)
    for group in LAB4.distinct:
        assert len({values[name] for name in group}) == len(group)
    counter = range(int(values["counter_port_first"]), int(values["counter_port_last"]) + 1)
    assert values["web_port"] not in counter
    assert values["blog_port"] not in counter


@given(student=STUDENTS)
def test_a_tight_group_still_differs(student: str) -> None:
    """Three values out of three: the last has no choice left, and takes it."""
    animals = ("heron", "otter", "crab")
    tight = replace(
        LAB4, parameters=[Parameter(n, (animals,)) for n in "abc"], distinct=[("a", "b", "c")]
    )
    assert sorted(map(str, variant(tight, student).values())) == sorted(animals)


def test_a_class_gets_different_tasks() -> None:
    """Of 300 students at most a few share a port, and no two all that they must type."""
    class_ = [variant(LAB4, f"s{4_500_000 + n:07}") for n in range(300)]
    for names in (
        ("web_port", "page_factor", "site_name"),
        ("counter_port_first", "counter_replicas", "counter_key", "counter_greeting"),
        ("blog_port", "db_engine", "db_name", "db_user", "db_password"),
    ):
        assert len({tuple(values[name] for name in names) for values in class_}) == 300
    assert len({values["db_password"] for values in class_}) >= 290
    assert len({values["web_port"] for values in class_}) >= 230
    for name in ("counter_replicas", "db_engine"):
        counts = [sum(v[name] == value for v in class_) for value in {v[name] for v in class_}]
        assert min(counts) > 60


@given(student=STUDENTS)
def test_values_need_no_quoting(student: str) -> None:
    """They stand in YAML, shell, SQL and nginx files: nothing in them may have a meaning there."""
    for name, value in variant(LAB4, student).items():
        if isinstance(value, str):
            assert yaml.safe_load(value) == value
            allowed = "abcdefghijklmnopqrstuvwxyz0123456789-_.:"
            if name not in ("counter_greeting", "blog_title"):
                assert set(value) <= set(allowed), name


def test_wrong_student_is_refused() -> None:
    with pytest.raises(KitError) as caught:
        variant(LAB4, "1234567")
    assert "s1234567" in str(caught.value)


@pytest.mark.parametrize("expression", ["port +", "nothing + 1", "nothing", "[port]", "port > 3"])
def test_wrong_expression_names_the_value(tmp_path: Path, expression: str) -> None:
    lab = write_lab(tmp_path, FIXED.replace("port + 9", f'"{expression}"'))
    with pytest.raises(KitError) as caught:
        variant(lab, "s1234567")
    assert "variant.last" in str(caught.value)


VECTORS: dict[str, dict[str, int | str]] = {
    "s1234567": {
        "port": 8870,
        "other_port": 8040,
        "engine": "mariadb",
        "copies": 3,
        "name": "green-heron",
        "greeting": "crab is white",
        "last": 8879,
        "shown": "GREEN-HERON!",
    },
    "s0000000": {
        "port": 8830,
        "other_port": 8280,
        "engine": "mysql",
        "copies": 2,
        "name": "blue-otter",
        "greeting": "crab is green",
        "last": 8839,
        "shown": "BLUE-OTTER!",
    },
}
