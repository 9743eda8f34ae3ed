"""Sandboxes: made, used, limited, removed; nothing of a killed run stays behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError, ContainerError

from grader import paths
from grader.engine import disk, engine_paths, node_image, orphans, packages, reaper
from grader.engine.client import Engine
from grader.engine.images import ImageSet
from grader.engine.sandbox import Limits, Sandbox, SandboxNode
from grader.errors import EngineFault, KitError
from grader.nodes import commands

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def sandbox(engine: Engine) -> Iterator[Sandbox]:
    with Sandbox.create(engine, submission="s0000001") as made:
        yield made


@pytest.fixture(scope="module")
def node(sandbox: Sandbox) -> SandboxNode:
    return sandbox.nodes[0]


def objects(engine: Engine, run_id: str) -> dict[str, list[str]]:
    """Everything of a run that the engine or this machine still has."""
    chosen = {"label": f"drydock.run={run_id}"}
    with contextlib.closing(engine.client()) as client:
        found = {
            "containers": [c["Id"] for c in client.api.containers(all=True, filters=chosen)],
            "networks": [n["Id"] for n in client.api.networks(filters=chosen)],
            "volumes": [v["Name"] for v in client.api.volumes(filters=chosen)["Volumes"] or []],
        }
    home = engine_paths.current().home
    loops = subprocess.run(["losetup", "--list"], capture_output=True, text=True).stdout
    found["loop devices"] = [line for line in loops.splitlines() if run_id in line]
    places = [home / "runs", home / "disks", engine_paths.current().nodes]
    found["files"] = [str(path) for place in places for path in place.glob(f"{run_id}*")]
    return found


def until(true: Callable[[], Any], what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"still not: {what}"
        time.sleep(0.05)


def running(node: SandboxNode, pattern: str) -> str:
    """Command lines in the node that contain `pattern`."""
    listed = node.run(["ps", "-eo", "args"], timeout=20)
    assert listed.ok, listed.out
    assert "dockerd" in listed.out
    return "\n".join(line for line in listed.out.splitlines() if pattern in line)


@pytest.mark.smoke
def test_its_engine_answers_and_is_not_the_hosts(sandbox: Sandbox, engine: Engine) -> None:
    (node,) = sandbox.nodes
    info = node.docker.info()
    assert info["Name"] == node.name == "manager1"
    assert info["Driver"] in ("overlay2", "overlayfs")
    with contextlib.closing(engine.client()) as client:
        assert client.info()["ID"] != info["ID"]


@pytest.mark.smoke
def test_root_inside_is_nobody_outside(sandbox: Sandbox, engine: Engine) -> None:
    if engine.isolation != "userns":
        pytest.skip("this engine does not remap users")
    (node,) = sandbox.nodes
    mapped = node.run(["cat", "/proc/self/uid_map"], timeout=20).out.split()
    assert mapped[:2] == ["0", str(engine.mapped_uid)]
    assert engine.mapped_uid != 0
    refused = node.run(["mknod", "/tmp/disk", "b", "254", "0"], timeout=20)
    assert not refused.ok


@pytest.mark.smoke
def test_a_command_says_how_it_ended(node: SandboxNode) -> None:
    done = node.run(["sh", "-c", "echo out; echo err >&2; exit 3"], timeout=20)
    assert (done.rc, done.ok, done.timed_out) == (3, False, False)
    assert set(done.out.splitlines()) == {"out", "err"}
    done = node.run(
        ["sh", "-c", 'echo "$GREETING from $PWD"'],
        timeout=20,
        cwd="/var/log",
        env={"GREETING": "grüße"},
    )
    assert done.out == "grüße from /var/log\n"


@pytest.mark.parametrize("argv", [["no-such-program"], ["/etc/passwd"]])
def test_a_program_that_cannot_run_is_an_exit_code(node: SandboxNode, argv: list[str]) -> None:
    assert node.run(argv, timeout=20).rc in (126, 127)


def test_a_folder_that_is_not_there_is_an_exit_code(node: SandboxNode) -> None:
    done = node.run(["ls"], timeout=20, cwd="/no/such")
    assert done.rc == 126
    assert "no such file" in done.out


def test_time_out_kills_all_that_was_started(node: SandboxNode) -> None:
    script = (
        "sleep 4711 & setsid sleep 4712 & (setsid sh -c 'sleep 4713 & sleep 4714' &) ; "
        "env -i sleep 4715 & echo begun; wait"
    )
    done = node.run(["sh", "-c", script], timeout=1.5)
    assert done.timed_out
    assert done.out == "begun\n"
    assert running(node, "sleep 471") == ""
    assert done.seconds < 15


def test_one_that_ignores_signals_is_killed(node: SandboxNode) -> None:
    script = "trap '' TERM INT HUP; while :; do sleep 4721; done"
    done = node.run(["bash", "-c", script], timeout=1)
    assert done.timed_out
    assert running(node, "4721") == ""


def test_one_that_multiplies_is_killed(node: SandboxNode) -> None:
    script = "f() { sleep 0.01; f & f & wait; }; f"
    done = node.run(["bash", "-c", script], timeout=1)
    assert done.timed_out
    assert running(node, "f()") == ""


def test_of_much_output_head_and_tail_are_kept(node: SandboxNode) -> None:
    script = "echo first; yes | head -c 50000000; echo last"
    done = node.run(["sh", "-c", script], timeout=60, keep=2000)
    assert done.ok
    assert done.out.startswith("first\n")
    assert done.out.endswith("y\nlast\n")
    assert "bytes left out" in done.out
    assert len(done.out) < 2200


def test_endless_output_ends_with_its_time(node: SandboxNode) -> None:
    done = node.run(["yes"], timeout=1, keep=1000)
    assert done.timed_out
    assert done.seconds < 15
    assert running(node, "yes") == ""


def test_files_arrive_and_links_do_not(node: SandboxNode, tmp_path: Path) -> None:
    source = tmp_path / "mit Leerzeichen"
    (source / "unter" / "ordner").mkdir(parents=True)
    (source / "unter" / "größe.txt").write_text("42", encoding="utf-8")
    (source / "run.sh").write_text("#!/bin/sh\necho ran\n")
    (source / "run.sh").chmod(0o700)
    (source / "link").symlink_to("/etc/shadow")
    (source / "folder-link").symlink_to("/etc")
    os.mkfifo(source / "pipe")
    node.put(source, "/srv/sub mission")
    listed = node.run(["find", ".", "-printf", "%p %U %m\n"], timeout=20, cwd="/srv/sub mission")
    assert sorted(listed.out.splitlines()) == [
        ". 0 755",
        "./run.sh 0 744",
        "./unter 0 755",
        "./unter/größe.txt 0 644",
        "./unter/ordner 0 755",
    ]
    assert node.run(["./run.sh"], timeout=20, cwd="/srv/sub mission").out == "ran\n"
    node.put({"unter/größe.txt": b"43", "neu/x": b""}, "/srv/sub mission")
    assert node.run(["cat", "/srv/sub mission/unter/größe.txt"], timeout=20).out == "43"


def test_paths_that_lead_out_are_refused(node: SandboxNode) -> None:
    for path in ("../x", "/etc/x", "a/../../x"):
        with pytest.raises(KitError, match="relative path"):
            node.put({path: b""}, "/srv/x")


def test_limits_hold_for_what_runs_inside(engine: Engine) -> None:
    limits = Limits(memory_mb=512, pids=300, disk_mb=512, cpus=1)
    with Sandbox.create(engine, limits=limits) as made:
        (node,) = made.nodes
        eaten = node.run(
            ["perl", "-e", "my $x = 'x' x (900 * 1024 * 1024); print length $x"], timeout=60
        )
        assert not eaten.ok, "900 MB fit into 512"
        forked = node.run(["perl", "-e", "fork // die 'no more' for 1..9; sleep 5"], timeout=20)
        assert "no more" in forked.out, "512 processes fit into 300"
        # Until the last of them has gone: one place that is free is not enough for what follows.
        gone = ["sh", "-c", "! grep -qs '^perl$' /proc/[0-9]*/comm"]
        until(lambda: node.run(gone, timeout=20).ok, "the node has recovered")
        filled = node.run(["sh", "-c", "head -c 800M /dev/zero > /var/lib/docker/x"], timeout=60)
        if node.disk_limited:
            assert "No space left" in filled.out
        assert node.disk_limited == (engine.origin == "embedded" and packages.is_root())


def test_files_in_memory_end_their_container_and_not_the_engine(
    engine: Engine, image_set: ImageSet
) -> None:
    limits = Limits(memory_mb=512, disk_mb=512)
    with Sandbox.create(engine, limits=limits, image_set=image_set.volume) as made:
        (node,) = made.nodes
        fill = ["sh", "-c", "dd if=/dev/zero of=/t/x bs=1M count=900; sleep 1000"]
        full = node.docker.containers.run("alpine:3", fill, tmpfs={"/t": "size=2g"}, detach=True)

        def ended() -> bool:
            # It ends when something else needs room.
            with contextlib.suppress(APIError, ContainerError):
                node.docker.containers.run("alpine:3", ["true"], remove=True)
            full.reload()
            return bool(full.status == "exited")

        until(ended, "its container has ended")
        assert node.docker.containers.run("alpine:3", ["echo", "room"], remove=True) == b"room\n"


def test_a_container_has_no_lower_score_than_its_engine(
    engine: Engine, image_set: ImageSet
) -> None:
    """The kernel refuses to lower what a host has set: then no container would start."""
    told = ["cat", "/proc/self/oom_score_adj"]
    with Sandbox.create(engine, image_set=image_set.volume) as made:
        (node,) = made.nodes
        assert node.docker.containers.run("alpine:3", told, remove=True) == b"500\n"
        assert node.run(told, timeout=20).out == "500\n"
        raised = "for each in /proc/[0-9]*; do echo 800 > $each/oom_score_adj; done"
        node.run(["sh", "-c", raised], timeout=20)
        own = int(node.docker.containers.run("alpine:3", told, remove=True))
        assert own >= 800


def test_another_process_can_use_it_and_does_not_own_it(sandbox: Sandbox) -> None:
    code = (
        "import json, sys; from grader.engine.sandbox import Sandbox\n"
        "with Sandbox.attach(json.load(sys.stdin)) as s:\n"
        "    print(s.nodes[0].docker.info()['Name'], s.nodes[0].run(['id', '-u'], timeout=20).out)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(sandbox.describe()),
        capture_output=True,
        text=True,
        cwd=paths.KIT,
    )
    assert done.stdout.split() == ["manager1", "0"], done.stderr
    assert sandbox.nodes[0].run(["true"], timeout=20).ok


def test_without_its_socket_it_is_reached_through_the_hosts_engine(sandbox: Sandbox) -> None:
    description = sandbox.describe()
    for fields in description["nodes"]:
        fields["socket"] = None
    other = Sandbox.attach(description).nodes[0]
    other.wait_ready(30)
    client = other.docker
    assert client.info()["ID"] == sandbox.nodes[0].docker.info()["ID"]
    # Bodies in both directions, a stream, and several at a time.
    rootfs = (
        "tar -C / -cf - usr/bin/sleep lib64 usr/lib/x86_64-linux-gnu/libc.so.6 "
        "usr/lib64 usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 2>/dev/null | docker import - t:1"
    )
    assert other.run(["sh", "-c", rootfs], timeout=60).ok
    saved = b"".join(client.images.get("t:1").save())
    assert len(saved) > 1_000_000
    assert client.images.load(saved)[0].tags == ["t:1"]
    events = client.events(decode=True)
    seen: list[str] = []
    listener = threading.Thread(target=lambda: seen.append(next(events)["Action"]), daemon=True)
    listener.start()
    volume = client.volumes.create("made-over-it")
    listener.join(20)
    assert seen == ["create"]
    events.close()
    volume.remove()
    other.close()


@pytest.mark.smoke
def test_removal_leaves_nothing(engine: Engine) -> None:
    made = Sandbox.create(engine, nodes=2)
    there = objects(engine, made.id)
    assert len(there["containers"]) == 2
    assert len(there["networks"]) == 1
    made.remove()
    made.remove()
    assert not any(objects(engine, made.id).values())


def test_a_node_that_ends_at_once_is_a_fault_with_its_log(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set((engine_paths.current().home / "runs").glob("*"))
    with pytest.raises(EngineFault, match=r"ended while it started|cannot be started"):
        # No engine starts in so little memory.
        Sandbox.create(engine, limits=Limits(memory_mb=8, disk_mb=None))
    assert set((engine_paths.current().home / "runs").glob("*")) == before


def test_a_node_does_not_outlive_its_time(engine: Engine) -> None:
    with Sandbox.create(engine, limits=Limits(life_seconds=4, disk_mb=None)) as made:
        (node,) = made.nodes

        def state() -> dict[str, Any]:
            found: dict[str, Any] = node.outer.api.inspect_container(node.container_id)["State"]
            return found

        until(lambda: not state()["Running"], "its time is over")
        assert state()["ExitCode"] == 124


def test_a_node_that_is_gone_is_a_fault(engine: Engine) -> None:
    with Sandbox.create(engine, limits=Limits(disk_mb=None)) as made:
        (node,) = made.nodes
        node.outer.api.kill(node.container_id)
        until(
            lambda: not node.outer.api.inspect_container(node.container_id)["State"]["Running"],
            "the node has ended",
        )
        with pytest.raises(EngineFault, match="ended"):
            node.run(["true"], timeout=20)


HOLD = """
import sys
from grader.engine import find
from grader.engine.sandbox import Sandbox
with Sandbox.create(find.ensure(sys.argv[1])) as made:
    print(made.id, flush=True)
    made.nodes[0].run(["sleep", "1000"], timeout=1000)
"""


def _holder(engine: Engine) -> tuple[subprocess.Popen[str], str]:
    """A process of its own that makes a sandbox and keeps it busy; and the sandbox's ID."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, "embedded" if engine.origin == "embedded" else engine.url],
        stdout=subprocess.PIPE,
        text=True,
        cwd=paths.KIT,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


@pytest.mark.smoke
def test_what_a_killed_run_left_is_reaped_and_the_living_is_not(
    engine: Engine, sandbox: Sandbox
) -> None:
    process, run_id = _holder(engine)
    assert objects(engine, run_id)["containers"]
    assert run_id not in reaper.reap(engine), "its owner lives"
    assert objects(engine, run_id)["containers"]
    process.send_signal(signal.SIGKILL)
    process.wait()
    if process.stdout:
        process.stdout.close()

    assert run_id in reaper.reap(engine)

    assert not any(objects(engine, run_id).values())
    assert sandbox.nodes[0].run(["true"], timeout=20).ok, "one's own stays"


def test_ctrl_c_removes_it_first(engine: Engine) -> None:
    process, run_id = _holder(engine)
    process.send_signal(signal.SIGINT)
    # Impatience does not help.
    process.send_signal(signal.SIGINT)
    process.wait(60)
    if process.stdout:
        process.stdout.close()
    assert process.returncode != 0
    assert not any(objects(engine, run_id).values())


def test_a_lost_run_file_does_not_hide_objects(engine: Engine) -> None:
    run = reaper.Run.begin(engine)
    with contextlib.closing(engine.client()) as client:
        client.api.create_volume(f"drydock-{run.id}-x", labels=run.labels("node-data"))
    for path in (engine_paths.current().home / "runs").glob(f"{run.id}*"):
        path.unlink()
    run.lock.release()
    assert run.id in reaper.reap(engine)
    assert not any(objects(engine, run.id).values())


def test_a_network_is_removed_although_something_else_is_in_it(
    engine: Engine, sandbox: Sandbox
) -> None:
    run = reaper.Run.begin(engine)
    run.abandon()
    with contextlib.closing(engine.client()) as client:
        network = client.api.create_network(f"drydock-{run.id}", labels=run.labels("network"))
        # As the mirror is, when a process that is gone now has only just asked for it.
        made = client.api.create_container(node_image.tag(), entrypoint=["sleep", "600"])
        try:
            client.api.start(made["Id"])
            client.api.connect_container_to_network(made["Id"], network["Id"])
            assert run.id in reaper.reap(engine)
            assert not any(objects(engine, run.id).values())
            assert client.api.inspect_container(made["Id"])["State"]["Running"]
        finally:
            client.api.remove_container(made["Id"], force=True)


def test_disks_take_no_space_until_used(engine: Engine) -> None:
    if not disk.possible():
        pytest.skip("needs root")
    run = reaper.Run.begin(engine)
    try:
        device = disk.make(run.id, "manager1", 4096, engine.mapped_uid)
        assert device.startswith("/dev/")
        (file,) = disk.folder(run.id).glob("*.img")
        assert file.stat().st_size == 4096 * 1024 * 1024
        assert file.stat().st_blocks * 512 < 32 * 1024 * 1024
    finally:
        run.end()
    assert not disk.folder(run.id).exists()
    assert orphans.loops(disk.folder(run.id)) == []


def test_kept_output_is_bounded_in_memory() -> None:
    kept = commands.Kept(1000)
    for number in range(100_000):
        kept.add(b"%08d" % number)
    assert len(kept.tail) <= 4 * 500 + 8
    text = kept.text()
    assert text.startswith("00000000")
    assert text.endswith("00099999")
    assert f"{kept.total - 1000} bytes left out" in text
