"""What lab.yaml says of the scientific exercise's solution is so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from grader.grading import examples
from grader.lab import labfile
from grader.modules.image import build_image
from tests.engine import looked_at

pytestmark = pytest.mark.engine

LAB = labfile.load("lab4")
CONTEXT = "/drydock/scientific"


def test_the_solution_is_as_large_as_the_lab_says(
    engine: Any, image_set: Any, tmp_path: Path
) -> None:
    (solution,) = examples.find(LAB, ["scientific/solution"])
    examples.render(LAB, solution, LAB.demo_student, tmp_path)
    said = LAB.limits["scientific_solution_mb"]
    with looked_at.node(engine, image_set) as node:
        node.put(tmp_path / "scientific", CONTEXT)
        built = build_image(node, CONTEXT, "test/scientific", seconds=LAB.limits["build_seconds"])
        assert built.image is not None, built.done.tail(40)
        assert built.image.size / 1e6 == pytest.approx(said, rel=0.1)
