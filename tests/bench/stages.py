"""Where the time of grading goes: the solution of each exercise, alone, stage by stage."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from grader.engine.client import Engine
from grader.engine.engine_paths import current
from grader.errors import KitError
from grader.grading.progress import Progress
from grader.lab import labfile
from tests.bench import usage
from tests.bench.setting import Setting
from tests.bench.usage import Container, Sampler, Sums

START = "start of the checks"
BETWEEN = "between checks"
END = "end and removal"
LARGEST = 10
MB = 1e6


@dataclass(frozen=True)
class Span:
    """A stage or a check, from one time to another."""

    name: str
    begin: float
    end: float


@dataclass
class Timeline:
    """Follows an exercise. Times are of `clock`, in seconds."""

    clock: Callable[[], float] = time.monotonic
    begin: float = 0.0
    stages: list[Span] = field(default_factory=list)
    checks: list[Span] = field(default_factory=list)
    _since: float | None = None

    def progress(self) -> Progress:
        """To be told to the grader."""
        self.begin = self.clock()
        return Progress(
            doing=lambda _exercise, _title: self.started(),
            check=lambda _exercise, result: self.checked(result),
            stage=lambda _exercise, name, seconds: self.stage(name, seconds),
        )

    def started(self) -> None:
        self._since = self.clock()

    def checked(self, result: dict[str, Any]) -> None:
        if self._since is not None:
            name = str(result["id"]).partition(".")[2]
            self.checks.append(Span(f"check {name}", self._since, self.clock()))
            self._since = None

    def stage(self, name: str, seconds: float) -> None:
        now = self.clock()
        self.stages.append(Span(name, now - seconds, now))

    def pieces(self, end: float) -> list[Span]:
        """The whole time in pieces that do not overlap: a stage has its time alone, a check the
        rest of its own, and what is neither has a name, too."""
        edges = {self.begin, end}
        edges.update(t for one in (*self.stages, *self.checks) for t in (one.begin, one.end))
        inside = sorted(edge for edge in edges if self.begin <= edge <= end)
        return [
            Span(self._name((begin + after) / 2), begin, after)
            for begin, after in itertools.pairwise(inside)
        ]

    def _name(self, when: float) -> str:
        for spans in (self.stages, self.checks):
            for span in reversed(spans):
                if span.begin <= when < span.end:
                    return span.name
        if not self.checks or when < self.checks[0].begin:
            return START
        return END if when >= self.checks[-1].end else BETWEEN


def table(
    pieces: Sequence[Span], samples: Sequence[tuple[float, Sums]]
) -> dict[str, dict[str, float]]:
    """By stage, in the order in which they began: seconds, CPU seconds, megabytes."""
    found: dict[str, dict[str, float]] = {}
    for piece in pieces:
        row = found.setdefault(piece.name, {"wall": 0.0, **dict.fromkeys(usage.SUMS, 0.0)})
        first, last = usage.at(samples, piece.begin), usage.at(samples, piece.end)
        row["wall"] += piece.end - piece.begin
        for name in usage.SUMS:
            row[name] += last[name] - first[name]
    return {name: _columns(row) for name, row in found.items()}


def _columns(row: dict[str, float]) -> dict[str, float]:
    return {
        "wall s": row["wall"],
        "waiting s": row["waiting"],
        **{f"CPU {name}": row[name] for name in usage.CPU},
        "fetched MB": row["fetched"] / MB,
        "from mirror MB": row["served"] / MB,
    }


def profile(setting: Setting) -> None:
    """Each stage of each exercise of lab4, the sum of each exercise, and the ten largest stages."""
    if not setting.engine.local:
        raise KitError(
            "The profile reads control groups of this machine, and the engine is on another one.",
            remedy="Use an engine of this machine.",
        )
    rows: dict[str, dict[str, float]] = {}
    setting.get_ready()
    for exercise in labfile.load("lab4").exercises:
        timeline = Timeline()
        with _sampler(setting.engine) as sampler:
            progress = timeline.progress()
            setting.solve(exercise.id, progress)
            end = time.monotonic()
        found = table(timeline.pieces(end), sampler.samples)
        for name, columns in found.items():
            rows[f"{exercise.id}: {name}"] = columns
            setting.row(f"{exercise.id}: {name}", values=columns)
        whole = {name: sum(row[name] for row in found.values()) for name in found[END]}
        setting.row(f"{exercise.id}: all", values=whole)
    for place, name in enumerate(largest(rows), start=1):
        setting.row(f"{place}. {name}", values=rows[name])


def largest(rows: dict[str, dict[str, float]]) -> list[str]:
    """The stages that take longest."""
    return sorted(rows, key=lambda name: rows[name]["wall s"], reverse=True)[:LARGEST]


def _sampler(engine: Engine) -> Sampler:
    """A sampler that knows this data directory's nodes, and the engine's mirror."""
    from docker.errors import DockerException, NotFound
    from requests.exceptions import RequestException

    def who(container: str) -> Container | None:
        try:
            with contextlib.closing(engine.client()) as client:
                found = client.api.inspect_container(container)
        except NotFound:
            return None
        except (DockerException, RequestException):
            return Container()
        labels = found["Config"]["Labels"] or {}
        role = labels.get("drydock.role", "")
        if role != "mirror" and labels.get("drydock.home") != current().key:
            return None
        return Container(role, int(found["State"]["Pid"]))

    return Sampler(who, str(current().run) if engine.origin == "embedded" else "")
