"""Orphans: processes and loop devices of an engine that died; found and ended by ID.

Linux only; everything is read from /proc.
"""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from grader.engine import packages
from grader.waiting import wait_until


def start_time(pid: int) -> int | None:
    """Clock ticks after boot at which the process started; None if there is none (or a zombie).

    Together with the ID this identifies one process for good, because IDs are reused.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])


def end(pid: int, started: int, seconds: float) -> None:
    """Send TERM, then KILL after `seconds`, if it is still the same process."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if start_time(pid) != started:
            return
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        wait_gone(pid, started, seconds)


def wait_gone(pid: int, started: int, seconds: float) -> bool:
    """Whether that process ends within `seconds`."""
    return bool(wait_until(lambda: start_time(pid) != started, within=seconds, every=0.05))


def kill_all(folder: str, containers: Iterable[str]) -> None:
    """Kill an engine's processes that run with `folder`, and everything in `containers`."""
    ids = set(containers)
    deadline = time.monotonic() + 20
    quiet = 0
    # Two looks: a container that is just being started may not be in its cgroup yet at the first.
    while time.monotonic() < deadline and quiet < 2:
        found = list(processes(folder, ids))
        quiet = 0 if found else quiet + 1
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue
            thaw(pid)
        time.sleep(0.05)


def thaw(pid: int) -> None:
    """Resume a frozen process (of a paused container or a node without power): with cgroups
    version 1, even KILL does not end a frozen one."""
    try:
        groups = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8", errors="replace")
        for line in groups.splitlines():
            _, controllers, path = line.split(":", 2)
            if "freezer" in controllers.split(","):
                state = Path("/sys/fs/cgroup/freezer", path.lstrip("/"), "freezer.state")
                if path.strip("/") and state.read_text(encoding="utf-8").strip() != "THAWED":
                    state.write_text("THAWED", encoding="utf-8")
    except OSError:
        return


def processes(folder: str, ids: set[str]) -> Iterable[int]:
    """IDs of the engine's processes that run with `folder`, and of those in containers `ids`."""
    mine = folder.encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            argv = (entry / "cmdline").read_bytes().split(b"\0")
            groups = (entry / "cgroup").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if start_time(int(entry.name)) is None:
            continue
        name = Path(os.fsdecode(argv[0])).name
        of_engine = name.startswith(("dockerd", "containerd", "docker-proxy", "runc")) and any(
            mine in word for word in argv[1:]
        )
        in_container = bool(ids) and any(part in ids for part in _words(groups))
        if of_engine or in_container:
            yield int(entry.name)


def _words(groups: str) -> Iterable[str]:
    """The container IDs that a cgroup file can name: `/docker/ID` or `docker-ID.scope`."""
    for line in groups.splitlines():
        for part in line.rsplit(":", 1)[-1].split("/"):
            yield part.removeprefix("docker-").removesuffix(".scope")


LOOP_GET_STATUS64 = 0x4C05
LOOP_INFO64_SIZE = 232
LOOP_NAME = slice(56, 120)


def loops(place: Path) -> list[str]:
    """The loop devices with a file at or below `place` (also if it is deleted)."""
    files = {(state.st_dev, state.st_ino) for state in _states(place)}
    return [
        f"/dev/{device.parent.name}"
        for device in sorted(Path("/sys/block").glob("loop*/loop"))
        if _backed_by(device, place, files)
    ]


def _states(place: Path) -> Iterable[os.stat_result]:
    for path in [place, *place.rglob("*")]:
        with contextlib.suppress(OSError):
            yield path.stat()


def _backed_by(device: Path, place: Path, files: set[tuple[int, int]]) -> bool:
    """Whether a device has one of `files`, or had one at `place`. The device itself is asked,
    because the kit hides the files' names from /sys (see disk.attach)."""
    import fcntl

    with contextlib.suppress(OSError):
        shown = (device / "backing_file").read_text(encoding="utf-8", errors="replace").strip()
        if f"{shown}/".startswith((f"{place}/", f"{place} (deleted)/")):
            return True
        found = bytearray(LOOP_INFO64_SIZE)
        with Path("/dev", device.parent.name).open("rb") as opened:
            fcntl.ioctl(opened, LOOP_GET_STATUS64, found)
        # It keeps only the beginning of a long name.
        name = os.fsdecode(bytes(found[LOOP_NAME]).split(b"\0")[0])
        inside = f"{name}/".startswith(f"{place}/")
        return inside or struct.unpack_from("QQ", found) in files
    return False


def detach_loops(place: Path) -> None:
    for device in loops(place):
        argv = packages.as_root(["losetup", "--detach", device])
        subprocess.run(argv, capture_output=True, timeout=20)
