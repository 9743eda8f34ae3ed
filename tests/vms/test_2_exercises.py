"""The lab's exercises about swarms, played on three real virtual machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.grading import examples
from grader.lab import labfile
from tests.vms.room import Room, outcomes, reasons


def test_the_swarm_exercise_has_full_points_with_its_mesh(room: Room, everything: bool) -> None:
    if not everything:
        pytest.skip("takes five minutes where processors are emulated: -- --everything")
    graded = room.grade("swarm", "--fresh")

    assert set(outcomes(graded).values()) == {"passed"}, reasons(graded)
    # The exercise's swarm is gone again; the machines are as they were.
    assert {node["role"] for node in room.status()["nodes"]} == {"none"}


def test_the_rollout_exercise_has_full_points_and_loses_a_real_node(
    room: Room, everything: bool, tmp_path: Path
) -> None:
    if not everything:
        pytest.skip("takes a quarter of an hour where processors are emulated: -- --everything")
    files = tmp_path / "workspace"
    examples.render_solution(labfile.load("lab4"), "s0000000", files)
    # An emulated node needs seconds for each look that a health check takes.
    stack = files / "rollout" / "stack.yaml"
    patient = {"interval: 1s": "interval: 8s", "timeout: 2s": "timeout: 20s"}
    text = stack.read_text("utf-8").replace("start_period: 1s", "start_period: 10s")
    for quick, slow in patient.items():
        text = text.replace(quick, slow)
    stack.write_text(text, "utf-8")

    graded = room.grade("rollout", "--fresh", files=files)

    assert set(outcomes(graded).values()) == {"passed"}, reasons(graded)
    assert len(graded["rollouts"]) >= 2
