"""A class graded in a virtual machine of the kit's own (`grade --inside vm`): before the room's
machines are up, which need the processors.

Its disk is built by `python -m tests.vms`, outside the namespaces: here is no network. Where the
processors are emulated, grading takes minutes, and so does the disk: only with --everything.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader import paths
from grader.classroom.guest import disk, machine
from grader.waiting import wait_until
from tests.engine import kit
from tests.engine.small_class import Class

SECONDS = 1800
"""The most that an emulated machine may take for one step."""

START = """
import sys, tempfile, threading
from pathlib import Path
from grader.classroom.guest import disk, machine
empty, kernel = map(Path, sys.argv[1:])
with tempfile.TemporaryFile() as kit:
    media = machine.Media(empty, kernel, empty, empty, kit)
    started = machine.Machine(media, machine.Size(1, 64), disk.folder())
print(started.pid, flush=True)
threading.Event().wait()
"""


@pytest.fixture(autouse=True)
def own_data(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The data directory in which the disk was built; nothing else is in it afterwards."""
    monkeypatch.setenv("DRYDOCK_HOME", os.environ["DRYDOCK_VMS_HOME"])
    disk.folder().mkdir(parents=True, exist_ok=True)
    before = {path.name for path in disk.folder().iterdir()}
    yield
    assert {path.name for path in disk.folder().iterdir()} == before
    assert not qemus()


def qemus() -> set[int]:
    """Machines of this kind; the tests' namespace has no other processes."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if machine.QEMU.encode() in words[0] and b"virtio-serial-pci" in words:
            found.add(int(process.name))
    return found


@pytest.fixture
def emulated(request: pytest.FixtureRequest) -> bool:
    """Whether the machine's processors are; skips what would take too long, then."""
    everything = bool(request.config.getoption("--everything"))
    if everything or machine.may_have_kvm():
        made, _ = disk.ensure()
        found = machine.how(made.kernel).emulated
        if everything or not found:
            return found
    pytest.skip("takes minutes without KVM: -- --everything")


def idle_kernel() -> bytes:
    """A file that is started like Linux, and does nothing for ever."""
    code = bytearray(8192)
    code[0x1F1] = 1  # one sector of it is set-up code …
    code[0x200:0x202] = b"\xeb\xfe"  # … which jumps to itself
    code[0x202:0x208] = b"HdrS\x00\x02"
    code[0x211] = 1
    return bytes(code)


def test_it_grades_and_leaves_nothing(tmp_path: Path, emulated: bool) -> None:
    one = Class(tmp_path, {"s0000001": "well"})
    done = kit.run(*one.where, "--inside", "vm", "--exercise", "one", timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    (result,) = one.graded().values()
    assert (result.id, result.score) == ("one", 2)
    assert result.target["isolation"] == "vm"
    assert result.target["confined"] is True
    assert "KVM does not work here" in done.stderr or not emulated
    again = one.grade("--exercise", "one")
    assert "1 graded already, with the same files." in again.stderr, "keys are this machine's"


def test_it_ends_when_the_kit_is_killed(tmp_path: Path) -> None:
    empty, kernel = tmp_path / "empty", tmp_path / "kernel"
    empty.write_bytes(bytes(1 << 20))
    kernel.write_bytes(idle_kernel())
    starter = subprocess.Popen(
        [sys.executable, "-c", START, str(empty), str(kernel)],
        cwd=paths.KIT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert wait_until(lambda: pid in qemus(), within=60)
        assert Path(f"/proc/{pid}").stat().st_uid != 0
    finally:
        starter.kill()
        starter.wait()
    assert wait_until(lambda: not qemus(), within=20)


def test_one_that_dies_loses_nothing(tmp_path: Path, emulated: bool) -> None:
    one = Class(tmp_path, {"s0000001": "well"})
    running = kit.Running(*one.where, "--inside", "vm", "--exercise", "one")
    running.until("The virtual machine grades", SECONDS)
    (pid,) = qemus()
    os.kill(pid, 9)
    running.until("Paused: The virtual machine is lost", SECONDS)
    out, _ = running.process.communicate(timeout=SECONDS)
    assert running.process.returncode == 0, running.said + out
    assert [result.score for result in one.graded().values()] == [2]
