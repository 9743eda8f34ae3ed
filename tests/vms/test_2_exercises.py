"""The lab's exercises, played on three real virtual machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader import examples
from grader import lab as labs
from tests.vms.room import Room, outcomes, reasons

MACHINE = {
    "script_present", "packages_installed", "provision_succeeds", "nginx_config_valid",
    "services_listen", "machine_page", "machine_php", "second_run",
}  # fmt: skip


def test_the_webserver_exercise_runs_on_manager1_itself(room: Room) -> None:
    graded = room.grade("webserver", "--fresh")

    found = outcomes(graded)
    machine = [c for c in graded["checks"] if c["id"].partition(".")[2] in MACHINE]
    assert {c["outcome"] for c in machine} == {"passed"}, reasons(graded)
    assert "failed" not in found.values(), reasons(graded)
    host = room.target.node("manager1").host
    assert host.package("nginx").is_installed
    assert host.service("nginx").is_running


def test_a_live_look_finds_what_has_stopped_since(room: Room) -> None:
    room.on("manager1", "systemctl", "stop", "php8.2-fpm")
    try:
        graded = room.grade("webserver")
    finally:
        room.on("manager1", "systemctl", "start", "php8.2-fpm")
    found = outcomes(graded)
    assert found["nginx_config_valid"] == "passed", reasons(graded)
    assert found["services_listen"] == "failed", reasons(graded)
    assert "php-fpm is installed, but does not run" in reasons(graded)["services_listen"]
    assert found["machine_page"] == "not_graded", "it needs what failed"


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
    examples.render_solution(labs.load("lab4"), "s0000000", files)
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
