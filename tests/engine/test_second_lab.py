"""The second lab, made of folders alone: its solutions, and what its worksheet has to type."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from grader.engine.sandbox import Sandbox
from grader.grading import examples
from grader.lab import labfile
from grader.lab.variant import variant
from tests import worksheets
from tests.engine import kit

pytestmark = pytest.mark.engine

LAB = labfile.load("lab3")
STUDENT = "s2468101"
PLACE = "/home/student"


@pytest.mark.parametrize("exercise", [exercise.id for exercise in LAB.exercises])
def test_a_solution_has_full_marks(
    exercise: str, engine: Any, image_set: Any, tmp_path: Path
) -> None:
    kit.must_reach_all_points(LAB, exercise, STUDENT, engine, image_set, tmp_path)


def test_cells_work_on_a_finished_workspace(engine: Any, image_set: Any, tmp_path: Path) -> None:
    values = variant(LAB, STUDENT)
    workspace = tmp_path / "workspace"
    examples.render_solution(LAB, STUDENT, workspace)
    commands = worksheets.commands(worksheets.read((workspace / "worksheet.ipynb").read_bytes()))
    assert {command.kind for command in commands} == {"cell"}
    told: dict[str, str] = {}
    with Sandbox.create(engine, submission="worksheet", image_set=image_set.volume) as sandbox:
        (node,) = sandbox.nodes
        node.put(workspace, PLACE)
        for command in commands:
            done = node.run(["sh", "-c", command.line], cwd=PLACE, timeout=300)
            assert done.ok, f"{command.line}\n{done.tail(30)}"
            told[command.line] = done.out
        left = [container.name for container in node.docker.containers.list(all=True)]
    pushed = f"localhost:{values['registry_port']}/{values['repository']}:{values['first_tag']}"
    assert (
        f"result: {5 * int(values['program_factor'])}"
        in told[f"docker run --rm {values['program']} 5"]
    )
    assert re.search(r"digest: sha256:[0-9a-f]{64}", told[f"docker push {pushed}"])
    assert "Downloaded newer image" in told[f"docker pull {pushed}"], "removed, and fetched again"
    assert left == [], "the last cells clean up"
