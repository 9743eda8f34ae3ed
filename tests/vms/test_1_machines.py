"""Before class: three real virtual machines come up, and so do machines of a list."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from grader.machines.access import Access
from grader.machines.link import Link, check
from grader.machines.vagrant import Vagrant, access
from tests.vms.room import NAMES, Room, outcomes


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


def test_the_vagrantfile_is_valid_for_virtualbox_too(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Vagrant asks for nothing but this program's version.
    stand_in = tmp_path / "VBoxManage"
    stand_in.write_text('#!/bin/sh\n[ "$1" != --version ] || echo 7.0.20r163906\n', "utf-8")
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("VAGRANT_DEFAULT_PROVIDER", "virtualbox")
    monkeypatch.setenv("VAGRANT_DOTFILE_PATH", str(tmp_path / "dotfile"))
    assert "validated successfully" in room.vagrant("validate")


def test_hosts_of_a_list_are_used_and_each_trouble_is_named(
    room: Room, hosts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Someone else's kit, for whom Vagrant's machines are hosts like any others.
    monkeypatch.setenv("DRYDOCK_HOME", str(room.place / "home-hosts"))
    said = room.kit("swarm", "up", "--provider", "hosts", "--hosts", str(hosts), ok=(3,))

    assert "manager1: 192.168.56.11 answers" in said
    # A key that does not fit, a user without rights, an address where no one is.
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


def test_a_machine_with_an_old_engine_is_named_with_its_remedy(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No older engine can be had: what counts as old is moved past this one's real answer.
    links = [Link(access(name)) for name in ("worker1", "worker2")]
    try:
        assert [check(link) for link in links] == [None, None]
        monkeypatch.setattr("grader.machines.link.OLDEST", (99, 0))
        trouble = check(links[0])
    finally:
        for link in links:
            link.close()
    assert trouble is not None
    assert trouble.what.startswith("worker1: its Docker engine is 20.10")
    assert "apt-get install docker.io" in (trouble.remedy or "")


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
