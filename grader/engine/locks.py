"""Locks for work that only one process on this machine may do at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from grader import paths
from grader.errors import EngineFault


@contextmanager
def alone(name: str, seconds: float, doing: str) -> Iterator[None]:
    """Others wait. After `seconds`, EngineFault says what the other run is `doing`."""
    from filelock import FileLock, Timeout

    home = paths.data_dir()
    home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home / f"{name}.lock", timeout=seconds, mode=0o666)
    try:
        lock.acquire()
    except Timeout:
        raise EngineFault(
            f"Another run of the kit has been {doing} for {seconds / 60:.0f} minutes.",
            where=lock.lock_file,
            remedy="Stop that run and try again.",
        ) from None
    try:
        yield
    finally:
        lock.release()
