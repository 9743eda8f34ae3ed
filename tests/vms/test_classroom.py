"""A week of class on three real virtual machines, in the order in which it happens."""

from __future__ import annotations

import contextlib
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from grader import examples, paths
from grader import lab as labs
from grader.checks import eventually
from grader.machines.access import Access
from grader.machines.link import Link, Unreachable
from grader.machines.vagrant import Vagrant, access
from grader.modules import http
from grader.modules.rollout.trace import Trace
from grader.modules.swarm import SERVICE_NAME
from tests.vms.room import Room, outcomes, processes, reasons

NAMES = ("manager1", "worker1", "worker2")


def test_machines_come_up_with_engines_and_no_swarm(room: Room) -> None:
    found = room.status()

    assert [node["name"] for node in found["nodes"]] == list(NAMES)
    assert {node["role"] for node in found["nodes"]} == {"none"}
    assert {node["trouble"] for node in found["nodes"]} == {""}
    assert {way["state"] for way in found["ways"]} == {"free"}
    assert found["problems"] == []
    # Node, address and packages are those of the files, and systemd runs the services.
    for number, name in enumerate(NAMES, 11):
        node = room.target.node(name)
        host = node.host
        assert node.address == f"192.168.56.{number}"
        assert host.service("docker").is_running
        assert host.service("chrony").is_enabled
    assert room.on("manager1", "hostname") == "manager1"
    assert "demo" in room.on("worker2", "docker", "image", "ls", "--format", "{{.Repository}}")


def test_hosts_of_a_list_are_used_and_each_trouble_is_named(
    room: Room, hosts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Somebody else's kit, for whom Vagrant's machines are hosts like any others.
    monkeypatch.setenv("DRYDOCK_HOME", str(room.place / "home-hosts"))
    said = room.kit("swarm", "up", "--provider", "hosts", "--hosts", str(hosts), ok=(3,))

    assert "manager1: 192.168.56.11 answers" in said
    # A key that does not fit, a user without rights, an address where nobody is.
    assert "worker1: 192.168.56.12 does not let vagrant in" in said
    assert "ssh-copy-id" in said
    assert "worker2: guest may not use the Docker engine" in said
    assert "usermod -aG docker guest" in said
    assert "spare: 192.168.56.99 cannot be reached" in said
    assert "stranger: the key of 192.168.56.11 is not known yet" in said
    assert "SHA256:" in said
    # The one that can be used is.
    graded = room.grade("webserver", "--hosts", str(hosts), target="hosts")
    assert outcomes(graded)["packages_installed"] == "failed"
    assert graded["target"]["kind"] == "hosts"


def test_without_one_shared_connection_all_works_too(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on Windows, whose OpenSSH has no master connections and no Unix sockets.
    monkeypatch.setattr("grader.machines.access.multiplexed", lambda: False)
    link = Link(access("manager1"))
    try:
        assert link.docker.version()["Version"].startswith("20.10")
        assert link.run(["id", "-u"], timeout=60).out.strip() == "0"
    finally:
        link.close()


def test_the_webserver_exercise_runs_on_manager1_itself(room: Room) -> None:
    graded = room.grade("webserver", "--fresh")

    found = outcomes(graded)
    machine = [c for c in graded["checks"] if c["id"].partition(".")[2] in MACHINE]
    assert {c["outcome"] for c in machine} == {"passed"}, reasons(graded)
    assert "failed" not in found.values(), reasons(graded)
    host = room.target.node("manager1").host
    assert host.package("nginx").is_installed
    assert host.service("nginx").is_running


MACHINE = {
    "script_present", "packages_installed", "provision_succeeds", "nginx_config_valid",
    "services_listen", "machine_page", "machine_php", "second_run",
}  # fmt: skip


def test_the_swarm_exercise_has_full_points_with_its_mesh(room: Room) -> None:
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


def test_joining_makes_one_swarm_and_may_be_repeated(room: Room) -> None:
    with room.timed("join, three machines"):
        room.kit("swarm", "join")
    again = room.kit("swarm", "join")

    assert "there already" in again
    found = room.status()
    assert [node["role"] for node in found["nodes"]] == ["leader", "worker", "worker"]
    assert {node["membership"] for node in found["nodes"]} == {"ready"}
    assert {way["state"] for way in found["ways"]} == {"open"}
    assert found["problems"] == []


def test_the_mesh_answers_at_every_node_from_several_backends(room: Room, web: str) -> None:
    def backends(name: str) -> set[str]:
        asked = (http.get(room.target.node(name).address, 8080, timeout=10) for _ in range(12))
        told = (re.search(r"host (\S+)", answer.text) for answer in asked if answer and answer.ok)
        return {match[1] for match in told if match}

    for name in NAMES:
        assert eventually(lambda name=name: len(backends(name)) == 3, within=120, every=1), name


def test_a_service_has_one_virtual_address_for_all_its_tasks(room: Room, web: str) -> None:
    service = room.swarm.service(web)
    assert service is not None
    inside = ["docker", "exec", "$(docker ps -qf name=web.)", "getent", "hosts", "web"]
    told = room.on("manager1", "sh", "-c", " ".join(inside))

    addresses = [ip.partition("/")[0] for ip in virtual_addresses(room, web)]
    assert told.split()[0] in addresses


def test_a_port_that_a_firewall_blocks_is_found_and_named(room: Room, web: str) -> None:
    rule = ["INPUT", "-p", "udp", "--dport", "4789", "-j", "DROP"]
    room.on("worker2", "iptables", "-I", *rule)
    try:
        graded = room.grade("swarm")
        found = room.status()
    finally:
        room.on("worker2", "iptables", "-D", *rule)

    (ports,) = [check for check in graded["checks"] if check["id"] == "swarm.ports"]
    assert ports["outcome"] == "failed"
    assert "4789/udp" in ports["cause"]["actual"]
    assert "worker2" in ports["cause"]["actual"]
    blocked = {(way["port"], way["dest"]) for way in found["ways"] if way["state"] == "blocked"}
    assert blocked == {("4789/udp", "worker2")}
    assert any("4789" in problem["what"] for problem in found["problems"])


def test_an_update_is_watched_and_drawn(room: Room, web: str, tmp_path: Path) -> None:
    page = tmp_path / "web.html"
    watching = room.start(
        "swarm", "watch", web, "--until-updated", "--seconds", "900", "--out", str(page)
    )
    # It takes a moment until it looks; the update must not be over before.
    time.sleep(30)
    with room.timed("rolling update of three tasks, one after the other"):
        room.on(
            "manager1", "docker", "service", "update", "--detach", "--no-resolve-image", "--image",
            "drydock/demo:2.0", "--update-parallelism", "1", web,
        )  # fmt: skip
        said, _ = watching.communicate(timeout=900)

    assert watching.returncode == 0, said
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
        assert eventually(lambda: state(room, "worker2") == "down", within=300, every=1)
        assert eventually(
            lambda: running(room, web, "manager1", "worker1") == 3, within=300, every=1
        )
    missing = room.status()
    assert any("worker2" in problem["what"] for problem in missing["problems"])

    before = room.on("worker1", "cat", "/proc/sys/kernel/random/boot_id")
    worker = room.target.node("worker1")
    with contextlib.suppress(Unreachable):  # The connection may end before the command does.
        worker.run(["systemctl", "reboot"], timeout=30)
    with room.timed("a power cut and a reboot until both are ready again"):
        room.vagrant("up", "worker2", "--no-provision")
        worker.wait_ready()
        room.let_go()
        for name in NAMES[1:]:
            assert eventually(lambda name=name: state(room, name) == "ready", within=300, every=1)

    assert room.on("worker1", "cat", "/proc/sys/kernel/random/boot_id") != before
    assert room.target.node("worker1").host.service("docker").is_running
    # What they ran has moved; new tasks go to them.
    room.on("manager1", "docker", "service", "scale", "--detach", f"{web}=6")
    for name in NAMES[1:]:
        assert eventually(lambda name=name: running(room, web, name) > 0, within=300, every=2), name


def test_provisioning_again_changes_nothing(room: Room, web: str) -> None:
    before = {name: snapshot(room, name) for name in NAMES}
    tasks = {task.id for task in room.swarm.tasks("web") if task.meant_to_run}
    room.let_go()
    with room.timed("vagrant provision again, three machines"):
        said = room.vagrant("provision")

    assert said.count("The image set is in already") == 3
    for name in NAMES:
        for what, now in snapshot(room, name).items():
            assert now == before[name][what], f"{what} of {name}"
    assert {task.id for task in room.swarm.tasks("web") if task.meant_to_run} == tasks


def test_looks_over_ssh_are_cheap(room: Room, web: str) -> None:
    node = room.target.node("manager1")
    node.docker.api.info()
    for what, look in (
        (
            "one look over SSH: engine's API (inspect)",
            lambda: node.docker.api.inspect_image("alpine:3"),
        ),
        ("one look over SSH: a command (testinfra)", lambda: node.host.run("true")),
    ):
        began = time.monotonic()
        for _ in range(5):
            look()
        room.figures[what] = (time.monotonic() - began) / 5


def test_down_leaves_nothing(room: Room) -> None:
    room.destroy()

    assert room.run("virsh", "list", "--all", "--name").strip() == ""
    assert "drydock" not in room.run("virsh", "net-list", "--all", "--name")
    images = Path("/var/lib/libvirt/images")
    # The box's own disk stays until `vagrant box remove`, so that the next `up` is quick.
    assert [p.name for p in images.iterdir() if "box_image" not in p.name] == []
    assert [line for line in processes() if "qemu-system" in line] == []
    assert "192.168.56" not in room.run("iptables-save")
    assert not list((room.place / "home" / "ssh" / "vagrant").glob("*.known_hosts"))
    assert "No machines" in room.kit("swarm", "status", "--provider", "vagrant", ok=(2,))


# What the tests share -----------------------------------------------------------------------------


@pytest.fixture
def hosts(room: Room) -> Path:
    """A list with one good machine and four that cannot be used, each for another reason."""
    machines = {machine.name: machine for machine in Vagrant().machines()}
    keys = {name: host_key(machine) for name, machine in machines.items()}
    folder = room.place / "hosts"
    folder.mkdir()
    room.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "other"))
    public = (folder / "other.pub").read_text("utf-8")
    room.on(
        "worker2", "sh", "-c",
        "id guest >/dev/null 2>&1 || useradd --create-home --shell /bin/bash guest;"
        " install -d -m 700 -o guest -g guest ~guest/.ssh;"
        f" echo '{public.strip()}' >~guest/.ssh/authorized_keys; chown guest: ~guest/.ssh/*",
    )  # fmt: skip
    own, other = machines["manager1"].identity, folder / "other"
    file = folder / "hosts.yaml"
    file.write_text(
        f"user: vagrant\nkey: {own}\nhosts:\n"
        f"  manager1: {{host: 192.168.56.11, host_key: {keys['manager1']}}}\n"
        f"  worker1: {{host: 192.168.56.12, host_key: {keys['worker1']}, key: {other}}}\n"
        f"  worker2: {{host: 192.168.56.13, host_key: {keys['worker2']}, key: {other},"
        " user: guest}\n"
        f"  spare: {{host: 192.168.56.99, host_key: {keys['worker2']}}}\n"
        "  stranger: 192.168.56.11\n",
        "utf-8",
    )
    return file


def host_key(machine: Access) -> str:
    lines = Path(machine.known_hosts).read_text("utf-8").splitlines()
    return next(" ".join(x.split()[1:3]) for x in lines if "ssh-ed25519" in x)


@pytest.fixture(scope="module")
def web(room: Room) -> str:
    """A service of three tasks, published in the mesh at 8080; it stays."""
    if room.swarm.service("web") is None:
        room.on("manager1", "docker", "network", "create", "--driver", "overlay", "inner")
        room.on(
            "manager1", "docker", "service", "create", "--detach", "--no-resolve-image", "--name",
            "web", "--replicas", "3", "--network", "inner", "--publish", "8080:80",
            "drydock/demo:1.0",
        )  # fmt: skip
    assert eventually(lambda: room.swarm.converged("web"), within=300, every=2)
    return "web"


def running(room: Room, service: str, *names: str) -> int:
    """Running containers of a service on these nodes, by their own engines."""
    wanted = {"label": f"{SERVICE_NAME}={service}", "status": "running"}
    engines = (room.target.node(name).docker.api for name in names)
    return sum(len(engine.containers(filters=wanted)) for engine in engines)


def state(room: Room, name: str) -> str:
    node = room.swarm.node(name)
    return node.state if node else "gone"


def virtual_addresses(room: Room, service: str) -> list[str]:
    told = room.on(
        "manager1", "docker", "service", "inspect", "--format",
        "{{range .Endpoint.VirtualIPs}}{{.Addr}} {{end}}", service,
    )  # fmt: skip
    return told.split()


def snapshot(room: Room, name: str) -> dict[str, Any]:
    """What provisioning could change: packages, configuration, engine, services."""
    etc = "find /etc -type f ! -path '/etc/.pwd.lock' -exec sha256sum {} + | sort"
    return {
        "packages": room.on(name, "dpkg-query", "--show"),
        "etc": room.on(name, "sh", "-c", etc),
        "engine": room.on(name, "systemctl", "show", "--property=ExecMainStartTimestamp", "docker"),
        "chrony": room.on(name, "systemctl", "show", "--property=ExecMainStartTimestamp", "chrony"),
        "images": room.on(name, "docker", "image", "ls", "--no-trunc", "--quiet"),
    }


def test_files_of_the_kit_are_where_they_were() -> None:
    assert not (paths.KIT / ".vagrant").exists()
