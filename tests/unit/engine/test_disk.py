"""What nodes are promised of the machine's disk, on a small file system."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.classroom.batch import machine
from grader.engine import disk, packages
from grader.errors import EngineFault

GIB = 1024**3
NODE = {"manager1": 1024, "manager1-files": 256}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data directory with 2 GiB of disk, of which nothing is really written."""
    if not disk.possible():
        pytest.skip("mounting needs root")
    file, place = tmp_path / "small.img", tmp_path / "home"
    with file.open("wb") as opened:
        opened.truncate(2 * GIB + 60 * disk.MIB)
    place.mkdir()
    format_ = ["mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-O", "^has_journal", file]
    subprocess.run(packages.as_root([str(word) for word in format_]), check=True)
    mounted = subprocess.run(["mount", "-o", "loop", file, place], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("nothing can be mounted here")
    monkeypatch.setenv("DRYDOCK_HOME", str(place))
    take(place / "excess", shutil.disk_usage(place).free - 2 * GIB)
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def take(path: Path, size: int) -> None:
    with path.open("ab") as file:
        os.posix_fallocate(file.fileno(), 0, size)


def size(run: str, name: str) -> float:
    """In MiB."""
    return (disk.folder(run) / f"{name}.img").stat().st_size / disk.MIB


def fill(run: str, name: str, mib: int) -> None:
    take(disk.folder(run) / f"{name}.img", mib * disk.MIB)


def test_what_one_run_was_promised_no_other_one_gets(home: Path) -> None:
    disk.reserve("first", NODE)
    assert (size("first", "manager1"), size("first", "manager1-files")) == (1024, 256)
    assert abs(disk.promised() - 1280 * disk.MIB) < disk.MIB
    assert abs(machine.free_disk(home) - (2 * GIB - 1280 * disk.MIB)) < disk.MIB
    disk.reserve("second", NODE)
    assert 100 < size("second", "manager1") < 256, "256 MiB are left, for both of its disks"
    with pytest.raises(EngineFault, match="promised to no other") as caught:
        disk.reserve("third", NODE)
    assert "DRYDOCK_HOME" in (caught.value.remedy or "")
    assert not disk.folder("third").exists()
    disk.remove_all("second")
    disk.remove_all("first")
    assert disk.promised() == 0
    disk.reserve("third", NODE)
    assert size("third", "manager1") == 1024


def test_what_is_written_is_not_promised_any_more(home: Path) -> None:
    disk.reserve("first", NODE)
    before = disk.free()
    fill("first", "manager1", 300)
    assert abs(disk.promised() - 980 * disk.MIB) < disk.MIB
    assert abs(disk.free() - before) < disk.MIB, "it was counted already"


def test_one_sandbox_can_be_made_with_little_disk(home: Path) -> None:
    swarm = {f"{name}{n}": mib for n in range(3) for name, mib in NODE.items()}
    disk.reserve("swarm", swarm)
    assert sum(size("swarm", name) for name in swarm) <= 1536
    assert disk.lost("swarm") is None


def test_want_of_space_on_a_smaller_disk_is_the_machines_fault(home: Path) -> None:
    disk.reserve("whole", NODE)
    disk.reserve("small", NODE)
    fill("whole", "manager1", 1024)
    assert disk.lost("whole") is None, "it had all that a node gets"
    assert disk.lost("small") is None, "there is still room on it"
    fill("small", "manager1", int(size("small", "manager1")))
    assert "too little free space" in (disk.lost("small") or "")


def test_a_full_disk_of_the_machine_is_nobodys_fault(home: Path) -> None:
    disk.reserve("whole", NODE)
    take(home / "others", shutil.disk_usage(home).free - 32 * disk.MIB)
    assert "is full" in (disk.lost("whole") or "")
