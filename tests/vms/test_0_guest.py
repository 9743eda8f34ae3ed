"""A class graded in a virtual machine of the kit's own (`grade --inside vm`): before the room's
machines are up, which need the processors.

Its disk is built by `python -m tests.vms`, outside the namespaces: here is no network.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader import paths
from grader.checks import eventually
from grader.guest import disk, machine
from tests.engine import kit
from tests.engine.small_class import Class

START = """
import sys, threading
from grader.guest import disk, kit, machine
from grader import lab as labs
lab = labs.load(sys.argv[1])
made, images = disk.ensure()
files = kit.packed(lab.id, lab.folder, lab.templates)
media = machine.Media(made.root, made.kernel, made.initrd, images.file, files)
started = machine.Machine(media, machine.Size(1, 512), disk.folder())
print(started.pid, flush=True)
threading.Event().wait()
"""


@pytest.fixture(autouse=True)
def own_data(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The data directory in which the disk was built; nothing else is in it afterwards."""
    monkeypatch.setenv("DRYDOCK_HOME", os.environ["DRYDOCK_VMS_HOME"])
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


def emulated() -> bool:
    made, _ = disk.ensure()
    return machine.how(made.kernel).emulated


def test_it_grades_and_leaves_nothing(tmp_path: Path) -> None:
    one = Class(tmp_path, {"s0000001": "well"})
    done = one.grade("--inside", "vm", "--exercise", "one")
    assert done.returncode == 0, done.stderr
    (result,) = one.graded().values()
    assert (result.id, result.score) == ("one", 2)
    assert result.target["isolation"] == "vm"
    assert result.target["confined"] is True
    assert "KVM does not work here" in done.stderr or not emulated()
    again = one.grade("--exercise", "one")
    assert "1 graded already, their files are the same." in again.stderr, "keys are this machine's"


def test_it_ends_when_the_kit_is_killed(tmp_path: Path) -> None:
    one = Class(tmp_path, {})
    starter = subprocess.Popen(
        [sys.executable, "-c", START, str(one.lab.folder)],
        cwd=paths.KIT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    assert pid in qemus()
    assert Path(f"/proc/{pid}").stat().st_uid != 0
    starter.kill()
    starter.wait()
    assert eventually(lambda: pid not in qemus(), within=20)


def test_one_that_dies_loses_nothing(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if emulated() and not request.config.getoption("--everything"):
        pytest.skip("starts two machines, which are slow to start here: -- --everything")
    one = Class(tmp_path, {"s0000001": "well"})
    running = kit.Running(*one.where, "--inside", "vm", "--exercise", "one")
    running.until("The virtual machine grades")
    (pid,) = qemus()
    os.kill(pid, 9)
    running.until("Paused: The virtual machine is lost")
    out, _ = running.process.communicate(timeout=1500)
    assert running.process.returncode == 0, running.said + out
    assert [result.score for result in one.graded().values()] == [2]
