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
    with path.open("wb") as file:
        file.truncate(megabytes * 1024 * 1024)
    lazy = f"lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner={owner}:{owner}"
    _run(["mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-O", "^has_journal", "-E", lazy, path])
    return _run(["losetup", "--find", "--show", path]).strip()


def _run(argv: list[str | Path]) -> str:
    words = [str(word) for word in argv]
    done = subprocess.run(
        packages.as_root(words), capture_output=True, encoding="utf-8", errors="replace", timeout=60
    )
    if done.returncode != 0:
        raise EngineFault(f"{words[0]} failed: {done.stderr.strip()}", where=words[-1])
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
