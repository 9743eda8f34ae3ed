"""A bare machine in a container: scripts run in it, and it is seen from its node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from grader.modules.http import get
from grader.modules.inside import Socket
from grader.modules.machine import Machine
from grader.modules.packages import SOURCES, come, network_fault
from grader.modules.tree import changes, difference
from grader.nodes.node import Completed, Node
from grader.waiting import wait_until
from tests.engine import looked_at
from tests.engine.looked_at import BARE, LISTENER

pytestmark = pytest.mark.engine

PORT = 8123


@pytest.fixture(scope="module")
def node(engine: Any, image_set: Any) -> Iterator[Node]:
    with looked_at.node(engine, image_set) as node:
        yield node


@pytest.fixture(scope="module")
def machine(node: Node) -> Iterator[Machine]:
    machine = Machine.start(node, BARE, ports=[PORT])
    yield machine
    machine.remove()


def run(machine: Machine, script: str, seconds: float = 30, keep: int = 64_000) -> Any:
    machine.node.put({"script.sh": script.encode(), "page/a b ü.txt": b"x"}, "/drydock/test")
    machine.put("/drydock/test", "/srv/test")
    return machine.script("script.sh", cwd="/srv/test", seconds=seconds, keep=keep)


@pytest.fixture
def listener(machine: Machine) -> Iterator[None]:
    """A web server with a process of its own name, started by a script that then ends."""
    done = run(
        machine,
        f"cat > /tmp/listener.pl <<'END'\n{LISTENER}END\n"
        f"(exec -a listener1.0 perl /tmp/listener.pl 0.0.0.0 {PORT} > /dev/null 2>&1) &\n"
        "perl /tmp/listener.pl 127.0.0.1 8124 > /dev/null 2>&1 &\n",
    )
    assert done.ok
    assert wait_until(lambda: get(machine.node.address, PORT), within=20)
    yield
    run(machine, "kill $(grep -lz listener /proc/[0-9]*/cmdline | cut -d/ -f3); true")
    assert wait_until(lambda: not machine.listening(), within=20)


def test_a_script_runs_as_root_in_its_folder_without_questions(machine: Machine) -> None:
    done = run(machine, "id -u; pwd; cat 'page/a b ü.txt'; echo $DEBIAN_FRONTEND; read x; exit 3")
    assert done.rc == 3
    assert done.out.split() == ["0", "/srv/test", "xnoninteractive"]


def test_a_script_that_never_ends_is_ended_and_its_services_go_on(machine: Machine) -> None:
    done = run(machine, "setsid sleep 987 & sleep 986 & while true; do sleep 0.1; done", seconds=1)
    assert done.timed_out
    commands = [p.command for p in machine.processes()]
    assert "sleep 987" in commands
    assert "sleep 986" not in commands
    assert machine.now().running


def test_a_script_that_says_124_itself_has_ended(machine: Machine) -> None:
    assert run(machine, "exit 124").rc == 124


def test_a_script_that_prints_without_end_is_kept_short(machine: Machine) -> None:
    done = run(machine, "echo first; yes | head -c 200000000; echo last", keep=2000)
    assert done.ok
    assert done.out.startswith("first")
    assert done.out.endswith("last\n")
    assert len(done.out) < 2200


def test_processes_are_the_machines_own_by_program(machine: Machine, listener: None) -> None:
    programs = [p.program for p in machine.processes()]
    assert "listener" in programs
    assert "sleep" in programs
    assert "dockerd" not in programs


def test_sockets_that_listen(machine: Machine, listener: None) -> None:
    assert machine.listening() == [Socket("0.0.0.0", PORT), Socket("127.0.0.1", 8124)]
    assert [s.from_outside for s in machine.listening()] == [True, False]


def test_a_frozen_program_does_not_answer_and_then_does_again(
    machine: Machine, listener: None
) -> None:
    address = machine.node.address
    with machine.frozen("listener") as held:
        assert [p.program for p in held] == ["listener"]
        assert get(address, PORT, timeout=0.5) is None
    assert wait_until(lambda: get(address, PORT), within=20)


def test_freezing_what_is_not_there_holds_nothing(machine: Machine) -> None:
    with machine.frozen("apache2") as held:
        assert held == []


def test_files_and_what_changed_in_them(machine: Machine) -> None:
    run(
        machine, "mkdir -p /etc/it /data; echo one > /etc/it/a; ln -s a /etc/it/l; echo d > /data/d"
    )
    before = machine.configuration(but="/srv/test")
    assert before["/etc/it/a"].content == b"one\n"
    assert before["/etc/it/l"].digest == "a"
    assert "/data/d" in before
    assert not any(path.startswith(("/srv/test", "/usr/bin", "/proc")) for path in before)
    run(machine, "echo two >> /etc/it/a; rm /data/d; chmod 700 /etc/it; date > /var/log/it")
    after = machine.configuration(but="/srv/test")
    assert changes(before, after) == [
        "/data/d is gone",
        "/etc/it has another owner or other permissions",
        "/etc/it/a has changed (something was appended to it)",
    ]
    assert "+two" in difference(before, after)


def test_a_large_file_is_seen_but_not_kept(machine: Machine) -> None:
    run(machine, "mkdir -p /opt/large && head -c 300000 /dev/zero > /opt/large/zeros")
    entry = machine.files(["/opt/large"])["/opt/large/zeros"]
    assert entry.content is None
    assert len(entry.digest) == 64


def test_what_is_not_there_is_nothing(machine: Machine) -> None:
    assert machine.files(["/no/such/folder"]) == {}
    assert machine.read("/no/such/file") == b""


def test_packages_are_read_without_asking_the_machine(machine: Machine) -> None:
    packages = machine.packages()
    assert packages["bash"] == machine.host.package("bash").version
    assert "nginx" not in packages


def test_a_machine_that_a_script_took_down_is_seen_to_be_down(node: Node) -> None:
    machine = Machine.start(node, BARE)
    try:
        run(machine, "kill -TERM 1; sleep 5")
        assert wait_until(lambda: not machine.now().running, within=20)
        assert machine.processes() == []
        assert machine.listening() == []
        assert machine.files(["/etc/hostname"]) != {}
    finally:
        machine.remove()
    machine.remove()


@pytest.mark.parametrize("what", SOURCES)
def test_a_fresh_machine_gets_packages(node: Node, what: str) -> None:
    assert come(node, what)


def test_a_build_that_failed_for_another_reason_is_not_the_networks_fault(node: Node) -> None:
    for output in ("Failed to fetch http://no.test/x", "E: Unable to locate package x"):
        assert network_fault(node, Completed(("build",), 1, output, 1.0)) is None
