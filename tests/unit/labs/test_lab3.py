"""The lab of one image: what can be known of it without an engine."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from grader.engine.images import catalogue
from grader.grading import examples
from grader.lab import labfile
from grader.lab.variant import variant
from grader.modules.runbook import vetted
from grader.modules.runbook.vetted import Book
from grader.vetting import imagecli
from grader.vetting.imagecli import Vetted

LAB = labfile.load("lab3")
REFUSED = {"folder_of_the_machine", "in_the_foreground", "no_address"}
"""The mistakes of exercise registry that have a command which is not run."""


@pytest.fixture
def exercises() -> dict[str, Any]:
    """The files of checks as modules."""
    return {
        e.id: importlib.import_module(f"labs.lab3.checks.{e.id}.check_{e.id}")
        for e in LAB.exercises
    }


def test_checks_have_the_points_of_their_exercise(exercises: dict[str, Any]) -> None:
    for exercise in LAB.exercises:
        every = vars(exercises[exercise.id]).items()
        points = [c.check_spec.points for name, c in every if name.startswith("check_")]
        assert sum(points) == exercise.points, exercise.id


@pytest.mark.parametrize("example", examples.find(LAB, ["registry"]), ids=lambda e: e.name)
def test_runbooks_of_examples_are_run_but_for_what_is_meant_to_be_refused(
    example: examples.Example, tmp_path: Path
) -> None:
    examples.render(LAB, example, LAB.demo_student, tmp_path)
    images = catalogue.load().all_names(example.exercise.images)
    rules = imagecli.Rules(images, int(variant(LAB, LAB.demo_student)["registry_port"]))
    book: Book[Vetted] = vetted.read(
        tmp_path,
        "registry/runbook.txt",
        ["laptop"],
        lambda words: imagecli.vet(words, rules),
        ["DIGEST"],
    )
    assert len(book.problems) == (Path(example.name).name in REFUSED)
