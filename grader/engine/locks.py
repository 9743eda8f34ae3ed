"""Locks for work that only one process on this machine may do at a time."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from grader import paths
from grader.errors import EngineFault, Stopped


@contextmanager
def alone(
    name: str, seconds: float, doing: str, stop: threading.Event | None = None
) -> Iterator[None]:
    """Others wait, until `stop` is set (Stopped). After `seconds`, EngineFault says what the other
    run is `doing`."""
    from filelock import FileLock, Timeout

    home = paths.data_dir()
    home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home / f"{name}.lock", mode=0o666)
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(Timeout):
            lock.acquire(timeout=min(1, seconds), poll_interval=0.05)
            break
        if stop is not None and stop.is_set():
            raise Stopped
        if time.monotonic() >= deadline:
            raise EngineFault(
                f"Another run of the kit has been {doing} for {seconds / 60:.0f} minutes.",
                where=lock.lock_file,
                remedy="Stop that run and try again.",
            )
    try:
        yield
    finally:
        lock.release()
