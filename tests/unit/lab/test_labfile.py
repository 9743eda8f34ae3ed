"""lab.yaml: what is right is read, what is wrong is refused with line, key and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.errors import KitError
from grader.lab import labfile
from grader.lab import model as labs

GOOD = """\
id: toy
title: Toy
course: sailing
students: {pattern: "s[0-9]{7}", example: s1234567, demo: s0000000}
exercises:
  - id: knots
    title: Knots
    points: 5
    folders: [rope]
    images: [debian:bookworm]
limits:
  build_seconds: 10
  start_seconds: 20
  exercise_seconds: 30
  output_kb: 64
words:
  colours: [red, green]
variant:
  port: {from: 8000, to: 8999}
  colour: {words: [colours]}
  flag: {words: [colours]}
distinct:
  - [colour, flag]
"""


def load(folder: Path, text: str) -> labs.Lab:
    (folder / "labs" / "toy").mkdir(parents=True, exist_ok=True)
    (folder / "labs" / "toy" / "lab.yaml").write_text(text, encoding="utf-8")
    return labfile.load(folder / "labs" / "toy")


def test_a_lab_is_read(tmp_path: Path) -> None:
    lab = load(tmp_path, GOOD)
    assert (lab.id, lab.points) == ("toy", 5)
    knots = lab.exercise("knots")
    assert (knots.folders, knots.nodes, knots.seconds) == (["rope"], 1, 30)
    assert knots.images == ["debian:bookworm"]
    assert lab.templates == tmp_path / "templates" / "toy"
    assert not knots.machines, "only where the lab says so"


def test_an_exercise_may_run_on_a_students_own_machines(tmp_path: Path) -> None:
    text = GOOD.replace("points: 5", "points: 5\n    machines: true")
    assert load(tmp_path, text).exercise("knots").machines


def test_lab4_has_what_it_promises() -> None:
    lab = labfile.load("lab4")
    assert [(e.id, e.points, e.folders) for e in lab.exercises] == [
        ("webserver", 15, ["webserver"]),
        ("scientific", 15, ["scientific"]),
        ("compose", 25, ["counter", "blog", "compose"]),
        ("swarm", 25, ["swarm"]),
        ("rollout", 20, ["rollout"]),
    ]
    assert lab.points == 100
    for exercise in lab.exercises:
        for folder in exercise.folders:
            assert (lab.templates / folder).is_dir()
    on_machines = [e.id for e in lab.exercises if e.machines]
    assert on_machines == ["webserver", "swarm", "rollout"]


WRONG = [
    ("id: toy", "id: tony", "line 1, id", "folder"),
    ("title: Toy\n", "", "line 1", "'title' is missing"),
    ("title: Toy", "title: 7", "line 2, title", "text"),
    (
        "points: 5",
        "points: 5\n    machines: perhaps",
        "line 9, exercises.0.machines",
        "true or false",
    ),
    ("title: Toy", "titel: Toy", "line 2, titel", "no key 'titel'"),
    ("title: Toy", "title: Toy\ntitle: Tony", "line 3", "twice"),
    ("title: Toy", "title: Toy: more", "line 2", "a ':' in the wrong place"),
    ('"s[0-9]{7}"', '"s["', "line 4, students.pattern", "regular expression"),
    ("demo: s0000000", "demo: demo", "line 4, students.demo", "match"),
    ("points: 5", "points: many", "line 8, exercises.0.points", "whole number"),
    ("points: 5", "points: true", "line 8, exercises.0.points", "whole number"),
    ("folders: [rope]", "folders: rope", "line 9, exercises.0.folders", "list"),
    ("folders: [rope]", "folders: [../rope]", "line 9, exercises.0.folders", "not a name"),
    ("output_kb: 64", "output_kb: 0", "line 15, limits.output_kb", "1 or more"),
    ("  output_kb: 64\n", "", "line 11, limits", "'output_kb' is missing"),
    ("[red, green]", "[red, 7]", "line 17, words.colours.1", "quotes"),
    ("[red, green]", "[red, red]", "line 17, words.colours.1", "twice"),
    ("[red, green]", "[red]", "line 20, variant.colour", "too few"),
    ("to: 8999", "to: 7999", "line 19, variant.port", "empty"),
    ("to: 8999", "to: 8999, stop: 9", "line 19, variant.port.stop", "no key 'stop'"),
    ("{from: 8000, to: 8999}", "{range: 7}", "line 19, variant.port", "no kind"),
    ("{from: 8000, to: 8999}", "8000", "line 19, variant.port", "no kind"),
    ("{from: 8000, to: 8999}", "{words: [animals]}", "line 19, variant.port", "'animals'"),
    ("  port:", "  student:", "line 19, variant.student", "already"),
    ("  port:", "  Port-1:", "line 19, variant.Port-1", "not a name"),
    ("[colour, flag]", "[colour, sail]", "line 23, distinct.0", "'sail'"),
]


@pytest.mark.parametrize(("right", "wrong", "where", "what"), WRONG)
def test_what_is_wrong_is_named(
    tmp_path: Path, right: str, wrong: str, where: str, what: str
) -> None:
    assert GOOD.count(right) == 1
    with pytest.raises(KitError) as caught:
        load(tmp_path, GOOD.replace(right, wrong))
    assert caught.value.where is not None
    assert f"lab.yaml, {where}" in caught.value.where
    assert what in f"{caught.value.what} {caught.value.remedy}"


@pytest.mark.parametrize("text", ["", "- a list", "just text", "id: toy\n\t- tab", "\x00"])
def test_no_yaml_mapping_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(KitError):
        load(tmp_path, text)


def test_two_exercises_of_one_name_are_refused(tmp_path: Path) -> None:
    again = "  - {id: knots, title: Knots, points: 1, folders: [rope], images: [a]}\nlimits:"
    with pytest.raises(KitError, match="two exercises"):
        load(tmp_path, GOOD.replace("limits:", again))


def test_an_unknown_lab_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(KitError, match="lab4"):
        labfile.load("lab99")


def test_an_unknown_exercise_lists_the_known() -> None:
    with pytest.raises(KitError, match="webserver, scientific, compose"):
        labfile.load("lab4").exercise("kubernetes")


@pytest.mark.parametrize(
    "student", ["", "s123456", "s12345678", "S1234567", "s١٢٣٤٥٦٧", "s1234567\n"]
)
def test_wrong_ids_are_refused_with_an_example(student: str) -> None:
    with pytest.raises(KitError, match="like s1234567"):
        labfile.load("lab4").check_student(student)
