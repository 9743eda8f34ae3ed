"""In class: a swarm on three real virtual machines, and what only those show."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from grader.machines.link import Unreachable
from grader.modules import http
from grader.modules.rollout.trace import Trace
from grader.waiting import wait_until
from tests.vms.room import NAMES, Grading, Room, outcomes, reasons

MACHINE = {
    "script_present", "packages_installed", "provision_succeeds", "nginx_config_valid",
    "services_listen", "machine_page", "machine_php", "second_run",
}  # fmt: skip


@pytest.fixture(scope="session")
def practical1(room: Room) -> Iterator[Grading]:
    """Practical 1 is played on manager1, which comes to lead the swarm meanwhile."""
    grading = room.grading("webserver", "--fresh")
    yield grading
    grading.stop()


@pytest.fixture
def meanwhile(request: pytest.FixtureRequest) -> None:
    """Practical 1 is under way already, unless it is measured what joining takes by itself."""
    if request.config.getoption("--figures") is None:
        request.getfixturevalue("practical1")


def test_joining_makes_one_swarm_and_may_be_repeated(room: Room, meanwhile: None) -> None:
    with room.timed("join, three machines"):
        room.kit("swarm", "join")
    again = room.kit("swarm", "join")

    assert again.count("is in the swarm already") == 2
    found = room.status()
    assert [node["role"] for node in found["nodes"]] == ["leader", "worker", "worker"]
    assert {node["membership"] for node in found["nodes"]} == {"ready"}
    assert {way["state"] for way in found["ways"]} == {"open"}
    assert found["problems"] == []


def test_the_mesh_answers_at_every_node_from_several_backends(
    room: Room, web: str, practical1: Grading
) -> None:
    def backends(name: str) -> set[str]:
        asked = (http.get(room.target.node(name).address, 8080, timeout=10) for _ in range(12))
        told = (re.search(r"host (\S+)", answer.text) for answer in asked if answer and answer.ok)
        return {match[1] for match in told if match}

    def three(name: str) -> bool:
        return len(backends(name)) == 3

    for name in NAMES:
        assert wait_until(partial(three, name), within=120, every=1), name


def test_a_service_has_one_virtual_address_for_all_its_tasks(room: Room, web: str) -> None:
    service = room.swarm.service(web)
    assert service is not None
    inside = ["docker", "exec", "$(docker ps -qf name=web.)", "getent", "hosts", "web"]
    told = room.on("manager1", "sh", "-c", " ".join(inside))

    virtual = room.on(
        "manager1", "docker", "service", "inspect", "--format",
        "{{range .Endpoint.VirtualIPs}}{{.Addr}} {{end}}", web,
    )  # fmt: skip
    addresses = [ip.partition("/")[0] for ip in virtual.split()]
    assert told.split()[0] in addresses


def test_a_port_that_a_firewall_blocks_is_found_and_named(
    room: Room, web: str, everything: bool
) -> None:
    rule = ["INPUT", "-p", "udp", "--dport", "4789", "-j", "DROP"]
    room.on("worker2", "iptables", "-I", *rule)
    try:
        found = room.status()
        # Where processors are emulated a live look takes minutes.
        graded = room.grade("swarm") if everything else None
    finally:
        room.on("worker2", "iptables", "-D", *rule)

    blocked = {(way["port"], way["dest"]) for way in found["ways"] if way["state"] == "blocked"}
    assert blocked == {("4789/udp", "worker2")}
    assert any("4789" in problem["what"] for problem in found["problems"])
    if graded is not None:
        (ports,) = [check for check in graded["checks"] if check["id"] == "swarm.ports"]
        assert ports["outcome"] == "failed"
        assert "4789/udp" in ports["cause"]["actual"]
        assert "worker2" in ports["cause"]["actual"]


def test_an_update_is_watched_and_drawn(room: Room, web: str, tmp_path: Path) -> None:
    page = tmp_path / "web.html"
    watching = room.start(
        "swarm", "watch", web, "--until-updated", "--seconds", "900", "--out", str(page)
    )
    # Only when it has seen the tasks and their version may they change.
    heard = until(watching, "3/3")
    with room.timed("rolling update of three tasks, two at once"):
        room.on(
            "manager1", "docker", "service", "update", "--detach", "--no-resolve-image", "--image",
            "drydock/demo:2.0", "--update-parallelism", "2", web,
        )  # fmt: skip
        said, _ = watching.communicate(timeout=900)

    assert watching.returncode == 0, heard + said
    trace = Trace.from_json(json.loads(page.with_suffix(".json").read_text("utf-8")))
    assert {requests.node for requests in trace.requests} == set(NAMES)
    # Visitors at each node's mesh port saw both versions.
    for requests in trace.requests:
        assert {"1.0", "2.0"} <= {request.version for request in requests.sent}, requests.node
    assert "<svg" in page.read_text("utf-8")


def test_a_node_without_power_is_replaced_and_both_workers_come_back(room: Room, web: str) -> None:
    with room.timed("power cut: node down, its tasks run elsewhere"):
        room.let_go()
        room.vagrant("halt", "--force", "worker2")
        assert wait_until(lambda: room.state("worker2") == "down", within=300, every=1)
        assert wait_until(
            lambda: room.running(web, "manager1", "worker1") == 3, within=300, every=1
        )
    missing = room.status()
    assert any("worker2" in problem["what"] for problem in missing["problems"])

    before = room.on("worker1", "cat", "/proc/sys/kernel/random/boot_id")
    worker = room.target.node("worker1")
    with contextlib.suppress(Unreachable):  # The connection may end before the command does.
        worker.run(["systemctl", "reboot"], timeout=30)

    def ready(name: str) -> bool:
        return room.state(name) == "ready"

    with room.timed("a power cut and a reboot until both are ready again"):
        room.vagrant("up", "worker2", "--no-provision")
        worker.wait_ready()
        room.let_go()
        for name in NAMES[1:]:
            assert wait_until(partial(ready, name), within=300, every=1)

    assert room.on("worker1", "cat", "/proc/sys/kernel/random/boot_id") != before
    assert room.target.node("worker1").host.service("docker").is_running
    # What they ran has moved; new tasks go to them.
    room.on("manager1", "docker", "service", "scale", "--detach", f"{web}=6")
    for name in NAMES[1:]:
        assert wait_until(partial(room.running, web, name), within=300, every=2), name


def test_practical_1_ran_on_manager1_beside_all_this(room: Room, practical1: Grading) -> None:
    graded = practical1.graded()

    found = outcomes(graded)
    machine = [c for c in graded["checks"] if c["id"].partition(".")[2] in MACHINE]
    assert {c["outcome"] for c in machine} == {"passed"}, reasons(graded)
    assert "failed" not in found.values(), reasons(graded)
    host = room.target.node("manager1").host
    assert host.package("nginx").is_installed
    assert host.service("nginx").is_running


def until(process: subprocess.Popen[str], words: str) -> str:
    """What a command prints up to the first line with these words."""
    assert process.stdout is not None
    heard = ""
    for line in process.stdout:
        heard += line
        if words in line:
            return heard
    raise AssertionError(f"It ended without {words!r}:\n{heard}")
