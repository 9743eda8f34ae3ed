"""Measures what exercises really use, by observing their nodes from outside."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from grader.classroom.batch.capacity import Sample

if TYPE_CHECKING:
    from grader.engine.client import Engine

LOOK_SECONDS = 2.0
SHORTEST_SECONDS = 5.0
"""An exercise that was observed for less time gives no sample."""

KEPT = 60
"""How many of the last samples count."""


@dataclass
class _Seen:
    """One sandbox, as long as it exists."""

    first: float
    last: float
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    memory: int = 0
    disk: int = 0


class UsageSampler:
    """Observes this data directory's nodes in its own thread; `samples` has the results.

    It ignores engine faults; in that case it gives no samples.
    """

    def __init__(self, engine: Callable[[], Engine | None]) -> None:
        self._engine = engine
        self._seen: dict[str, _Seen] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, name="meter", daemon=True)
        self.samples: list[Sample] = []
        self.nodes = 0
        """How many nodes there were at the last look."""

    def __enter__(self) -> UsageSampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(timeout=30)

    def _work(self) -> None:
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        while not self._end.wait(LOOK_SECONDS):
            engine = self._engine()
            if engine is None:
                continue
            with (
                contextlib.suppress(DockerException, RequestException, OSError, ValueError),
                contextlib.closing(engine.client(timeout=10)) as client,
            ):
                self.look(client.api, time.monotonic())

    def look(self, api: Any, now: float) -> None:
        """Take one sample with docker-py's low-level client; `now` in seconds on a monotonic
        clock."""
        from grader.engine import engine_paths

        labels = [f"drydock.home={engine_paths.current().key}", "drydock.role=node"]
        nodes = api.containers(filters={"label": labels})
        self.nodes = len(nodes)
        here = set()
        for node in nodes:
            run = node["Labels"]["drydock.run"]
            here.add(run)
            seen = self._seen.setdefault(run, _Seen(now, now))
            self._read(api, node["Id"], seen, now)
            seen.disk = max(seen.disk, _disk(run))
        for run in self._seen.keys() - here:
            sample = _sample(self._seen.pop(run))
            if sample is not None:
                self.samples = [*self.samples, sample][-KEPT:]

    def _read(self, api: Any, node: str, seen: _Seen, now: float) -> None:
        stats = api.stats(node, stream=False, one_shot=True)
        memory = stats.get("memory_stats") or {}
        if "usage" not in memory:
            return
        details = memory.get("stats") or {}
        cache = details.get("total_inactive_file", details.get("inactive_file", 0))
        seen.memory = max(seen.memory, int(memory["usage"]) - int(cache))
        seen.cpu_seconds[node] = stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9
        seen.last = now


def _sample(seen: _Seen) -> Sample | None:
    seconds = seen.last - seen.first
    if seconds < SHORTEST_SECONDS:
        return None
    return Sample(sum(seen.cpu_seconds.values()) / seconds, seen.memory, seen.disk)


def _disk(run: str) -> int:
    """Bytes that the largest disk of the run's nodes really uses."""
    from grader.engine import disk

    taken = [0]
    for image in disk.folder(run).glob("*.img"):
        with contextlib.suppress(OSError):
            # Windows has no such disks, and no st_blocks.
            taken.append(int(getattr(image.stat(), "st_blocks", 0)) * 512)
    return max(taken)
