"""A node's disk with a size limit: a sparse file with its own file system, on a loop device."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from grader.console import say
from grader.engine import engine_paths, locks, orphans, packages
from grader.errors import EngineFault

MIB = 1024**2
SPARE = 512 * MIB
"""Free space that is not promised to a node: for results, logs, and what others write meanwhile."""

LEAST = 1 / 16
"""On a small disk nodes get less than their limit, but at least this much of it."""

LOWERED = "lowered"
"""A file beside the disks of a run that marks that they got less."""

FULL = 64 * MIB
"""With less free space than this on the machine's disk, what a node writes may be lost."""

USED_UP = 0.9

LOCK_SECONDS = 60


def folder(run_id: str) -> Path:
    return engine_paths.current().home / "disks" / run_id


def require(path: Path, needed: int, purpose: str) -> None:
    """Raise EngineFault if less than `needed` bytes are free at `path`."""
    free = shutil.disk_usage(path).free
    if free < needed:
        raise EngineFault(
            f"Only {free / 1024**3:.1f} GiB are free for {purpose}, "
            f"{needed / 1024**3:.0f} GiB at least are needed.",
            where=str(path),
            remedy="Free some space, or set DRYDOCK_HOME to a folder on a larger disk.",
        )


def possible() -> bool:
    return packages.is_root() and not packages.missing(["losetup", "mke2fs"])


def reserve(run_id: str, wanted: Mapping[str, int]) -> None:
    """Promise a run's disks their sizes: megabytes, by name.

    A file takes no space until it is used, so what other runs were promised counts as taken. If
    there is too little space, all disks get the same share of it, and the kit prints this. Raises
    EngineFault if even that would be too small.
    """
    total = sum(wanted.values()) * MIB
    with locks.alone("disks", LOCK_SECONDS, "reserving disks"):
        room = max(0, free())
        part = min(1.0, room / total)
        if part < LEAST:
            raise EngineFault(
                f"A sandbox needs {total * LEAST / 1024**3:.1f} GiB of disk that are free and "
                f"promised to no other one. There are {room / 1024**3:.1f} GiB.",
                where=str(engine_paths.current().home),
                remedy="Free some space, wait until other sandboxes are gone, "
                "or set DRYDOCK_HOME to a folder on a larger disk.",
            )
        folder(run_id).mkdir(parents=True, exist_ok=True)
        if part < 1:
            (folder(run_id) / LOWERED).touch()
        for name, megabytes in wanted.items():
            with (folder(run_id) / f"{name}.img").open("wb") as file:
                file.truncate(int(megabytes * part) * MIB)
    if part < 1:
        say(f"There is little free disk: nodes get {part:.0%} of their limit.")


def free() -> int:
    """Bytes on the data directory's disk that are free and neither promised to a node nor SPARE;
    negative if more is promised than there is."""
    home = engine_paths.current().home
    home.mkdir(parents=True, exist_ok=True)
    return shutil.disk_usage(home).free - promised() - SPARE


def promised() -> int:
    """Bytes that the existing nodes may still write."""
    total = 0
    for path in (engine_paths.current().home / "disks").glob("*/*.img"):
        with contextlib.suppress(OSError):
            state = path.stat()
            # Windows has no such disks, and no st_blocks.
            total += max(0, state.st_size - getattr(state, "st_blocks", 0) * 512)
    return total


def lost(run_id: str) -> str | None:
    """Why what the nodes of a run wrote may be lost through the machine's fault; None if it is
    safe.

    Either the machine's disk is full, or the nodes have filled disks that were smaller than their
    limit.
    """
    home = engine_paths.current().home
    left = shutil.disk_usage(home).free if home.is_dir() else FULL
    if left < FULL:
        return f"The disk of {home} is full: {left // MIB} MiB are free"
    if (folder(run_id) / LOWERED).exists():
        for path in folder(run_id).glob("*.img"):
            state = path.stat()
            if getattr(state, "st_blocks", 0) * 512 > state.st_size * USED_UP:
                return f"The disk of {home} has too little free space for nodes of full size"
    return None


def make(run_id: str, name: str, megabytes: int, owner: int) -> str:
    """Make a disk of a run, with its top folder owned by `owner`; return the device's path.

    Its size is what was reserved for it, otherwise `megabytes`. Raises EngineFault.
    """
    path = folder(run_id) / f"{name}.img"
    if not path.exists():
        reserve(run_id, {name: megabytes})
    make_file_system(path, path.stat().st_size // MIB, owner)
    return attach(path, nameless=True)


def make_file_system(path: Path, megabytes: int, owner: int, *, journal: bool = False) -> None:
    """Make a sparse file with ext4 in it, with its top folder owned by `owner`. Raises
    EngineFault."""
    lazy = f"lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner={owner}:{owner}"
    features = "has_journal" if journal else "^has_journal"
    mke2fs: list[str | Path] = ["mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-O", features]
    run([*mke2fs, "-E", lazy, path, f"{megabytes}M"])


NAMELESS = 'mount --bind "$1" "$1" && shift && exec "$@"'
"""The file is opened by a mount that is gone afterwards: /sys, which each node sees, then says
"/" of it instead of where it lies. `orphans.loops` finds the device by what it keeps itself."""


def attach(path: Path, *, read_only: bool = False, nameless: bool = False) -> str:
    """A loop device with the file. If `read_only`, the device itself refuses writes; `nameless`
    hides the file's path."""
    how = ["--read-only"] if read_only else []
    losetup: list[str | Path] = ["losetup", "--find", "--show", *how, path]
    if not nameless:
        return run(losetup).strip()
    apart: list[str | Path] = ["unshare", "--mount", "--propagation", "private"]
    return run([*apart, "sh", "-c", NAMELESS, "sh", path, *losetup]).strip()


def run(argv: list[str | Path], good: tuple[int, ...] = (0,)) -> str:
    """Run a program as root; return its output. Raises EngineFault if its exit code is not in
    `good`."""
    words = [str(word) for word in argv]
    done = subprocess.run(
        packages.as_root(words),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=300,
    )
    if done.returncode not in good:
        said = done.stderr.strip() or done.stdout.strip()
        raise EngineFault(f"{words[0]} failed: {said}", where=words[-1])
    return done.stdout


def remove_all(run_id: str) -> None:
    """Detach and delete the disks of a run, if it had any."""
    if folder(run_id).exists():
        orphans.detach_loops(folder(run_id))
        shutil.rmtree(folder(run_id), ignore_errors=True)


def remove(run_id: str, name: str) -> None:
    """Detach and delete the disks of one node, if it had any."""
    for path in (folder(run_id) / f"{one}.img" for one in (name, files(name))):
        if path.exists():
            orphans.detach_loops(path)
            path.unlink(missing_ok=True)


def files(node: str) -> str:
    """The name of a node's second disk: for submitted files."""
    return f"{node}-files"
