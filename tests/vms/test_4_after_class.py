"""After class: the machines are set up again, looked at, and removed without a trace."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from grader import paths
from tests.vms.room import NAMES, Grading, Room, outcomes, processes, reasons

PHP = "php8.2-fpm"


@pytest.fixture(scope="module")
def look(room: Room) -> Iterator[Grading]:
    """A live look at practical 1, whose PHP has stopped since it was played."""
    room.on("manager1", "systemctl", "stop", PHP)
    grading = room.grading("webserver")
    yield grading
    grading.stop()


def test_provisioning_again_changes_nothing(room: Room, web: str, look: Grading) -> None:
    before = snapshots(room)
    tasks = {task.id for task in room.swarm.tasks("web") if task.meant_to_run}
    room.let_go()
    with room.timed("vagrant provision again, three machines"):
        said = room.vagrant("provision")

    assert said.count("The image set is loaded already") == 3
    for name, found in snapshots(room).items():
        for what, now in found.items():
            assert now == before[name][what], f"{what} of {name}"
    assert {task.id for task in room.swarm.tasks("web") if task.meant_to_run} == tasks


def test_a_live_look_finds_what_has_stopped_since(room: Room, look: Grading) -> None:
    graded = look.graded()
    room.on("manager1", "systemctl", "start", PHP)

    found = outcomes(graded)
    assert found["nginx_config_valid"] == "passed", reasons(graded)
    assert found["services_listen"] == "failed", reasons(graded)
    assert "php-fpm is installed, but does not run" in reasons(graded)["services_listen"]
    assert found["machine_page"] == "not_graded", "it needs what failed"


def test_looks_share_one_ssh_connection(room: Room, web: str) -> None:
    node = room.target.node("manager1")
    node.docker.api.info()
    connections = ssh_connections()
    assert connections
    looks: tuple[tuple[str, Callable[[], object]], ...] = (
        (
            "one look over SSH: engine's API (inspect)",
            lambda: node.docker.api.inspect_image("alpine:3"),
        ),
        ("one look over SSH: a command (testinfra)", lambda: node.host.run("true")),
    )
    for what, look in looks:
        began = time.monotonic()
        for _ in range(5):
            look()
        room.figures[what] = (time.monotonic() - began) / 5
    assert ssh_connections() == connections


def test_down_leaves_nothing(room: Room) -> None:
    room.destroy()

    assert room.run("virsh", "list", "--all", "--name").strip() == ""
    assert "drydock" not in room.run("virsh", "net-list", "--all", "--name")
    images = Path("/var/lib/libvirt/images")
    # The box's own disk stays until `vagrant box remove`, so that the next `up` is quick.
    assert [p.name for p in images.iterdir() if "box_image" not in p.name] == []
    assert [line for line in processes() if "qemu-system" in line] == []
    assert "192.168.56" not in room.run("iptables-save")
    assert not list((paths.data_dir() / "ssh" / "vagrant").glob("*.known_hosts"))
    assert "No machines" in room.kit("swarm", "status", "--provider", "vagrant", ok=(2,))


def test_files_of_the_kit_are_where_they_were() -> None:
    assert not (paths.KIT / ".vagrant").exists()


def ssh_connections() -> set[str]:
    """Local and remote ends of established TCP connections to port 22, as ss prints them."""
    shown = subprocess.run(
        ["ss", "--tcp", "--numeric", "--no-header", "state", "established", "dport = 22"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return {" ".join(line.split()[-2:]) for line in shown.splitlines()}


def snapshots(room: Room) -> dict[str, dict[str, Any]]:
    assert room.target  # One connection each, made before they are used side by side.
    with ThreadPoolExecutor(len(NAMES)) as pool:
        return dict(zip(NAMES, pool.map(partial(snapshot, room), NAMES), strict=True))


def snapshot(room: Room, name: str) -> dict[str, Any]:
    """What provisioning could change: packages, configuration, engine, services."""
    etc = "find /etc -type f ! -path '/etc/.pwd.lock' -exec sha256sum {} + | sort"
    return {
        "packages": room.on(name, "dpkg-query", "--show"),
        "etc": room.on(name, "sh", "-c", etc),
        "engine": room.on(name, "systemctl", "show", "--property=ExecMainStartTimestamp", "docker"),
        "chrony": room.on(name, "systemctl", "show", "--property=ExecMainStartTimestamp", "chrony"),
        # The engine lists images of one age in an order that changes from look to look.
        "images": room.on(
            name,
            "sh",
            "-c",
            "docker image ls --no-trunc --format '{{.ID}} {{.Repository}}:{{.Tag}}' | sort",
        ),
    }
