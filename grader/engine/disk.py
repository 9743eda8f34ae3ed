"""A node's disk with a limit: a sparse file with a file system of its own, on a loop device."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from grader.engine import embedded, leftovers, packages
from grader.errors import EngineFault


def folder(run_id: str) -> Path:
    return embedded.place().home / "disks" / run_id


def require(path: Path, needed: int, purpose: str) -> None:
    """EngineFault if less than `needed` bytes are free where `path` lies."""
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


def make(run_id: str, name: str, megabytes: int, owner: int) -> str:
    """Make a disk of a run, its top folder owned by `owner`; the device's path.

    The file takes next to no space until it is used. Raises EngineFault.
    """
    path = folder(run_id) / f"{name}.img"
    path.parent.mkdir(parents=True, exist_ok=True)
    make_file_system(path, megabytes, owner)
    return attach(path)


def make_file_system(path: Path, megabytes: int, owner: int, *, journal: bool = False) -> None:
    """A new sparse file with ext4 in it, its top folder owned by `owner`. Raises EngineFault."""
    lazy = f"lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner={owner}:{owner}"
    features = "has_journal" if journal else "^has_journal"
    mke2fs: list[str | Path] = ["mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-O", features]
    run([*mke2fs, "-E", lazy, path, f"{megabytes}M"])


def attach(path: Path, *, read_only: bool = False) -> str:
    """A loop device with the file, which the device itself keeps from writes if `read_only`."""
    how = ["--read-only"] if read_only else []
    return run(["losetup", "--find", "--show", *how, path]).strip()


def run(argv: list[str | Path], good: tuple[int, ...] = (0,)) -> str:
    """Run a program as root; what it printed. EngineFault if its exit code is not in `good`."""
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
        leftovers.detach_loops(folder(run_id))
        shutil.rmtree(folder(run_id), ignore_errors=True)


def remove(run_id: str, name: str) -> None:
    """Detach and delete the disk of one node, if it had one."""
    path = folder(run_id) / f"{name}.img"
    if path.exists():
        leftovers.detach_loops(path)
        path.unlink(missing_ok=True)
