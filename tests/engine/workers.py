"""A Dask cluster on this machine: its scheduler and workers, in processes of their own."""

from __future__ import annotations

import socket
from pathlib import Path

from grader import paths
from tests.engine import kit


class Cluster:
    """A scheduler and its workers."""

    def __init__(self, protocol: str = "tls") -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"{protocol}://127.0.0.1:{free.getsockname()[1]}"
        self.workers: list[kit.Running] = []
        self.schedule()

    def schedule(self) -> None:
        self.scheduler = kit.Running("worker", "--scheduler", self.address)
        self.scheduler.until("Scheduler at")

    def worker(self, folder: Path = paths.KIT, jobs: int | None = 1) -> kit.Running:
        """One more worker, which grades `jobs` submissions at a time (None: what fits)."""
        limit = [] if jobs is None else ["--jobs", str(jobs)]
        running = kit.Running("worker", self.address, *limit, folder=folder)
        self.workers.append(running)
        running.until("Grading for")
        return running

    def end(self) -> list[str]:
        """Ctrl-C for all that still run; what they said."""
        said = []
        for running in [*self.workers, self.scheduler]:
            if running.process.poll() is None:
                running.interrupt()
            said.append(running.said)
        return said
