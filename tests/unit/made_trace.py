"""Traces made by hand: an update of four slots that keeps every promise, and what breaks one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from grader.modules.rollout.trace import Change, Request, Requests, Status, Task, Terms, Trace

RECORDED = Path(__file__).parent / "traces"
LOOK = 0.1


def recorded(name: str) -> Trace:
    """A trace that was recorded on a real swarm of three nodes."""
    data = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    return Trace.from_json(data)


def change(at: float, state: str, desired: str = "running", *, look: float = LOOK) -> Change:
    """A change that was seen at `at`, `look` seconds after the look before."""
    return Change(round(at - look, 3), at, state, desired)


def old(slot: int, stopped: float | None = None, *, node: str = "worker1") -> Task:
    """A task of 1.0 that ran from the start, told to stop at `stopped`, gone a second later."""
    changes = [Change(-20.0, -10.0, "running", "running")]
    if stopped is not None:
        changes.append(change(stopped, "running", "shutdown"))
        changes.append(change(stopped + 1, "shutdown", "shutdown"))
    return Task(f"old{slot}", slot, node, "app:1.0", "aaaa", -20.0, tuple(changes))


def new(slot: int, made: float, up: float | None, *, look: float = LOOK, **other: Any) -> Task:
    """A task of 2.0, made at `made`, started half a second later, running at `up` (or never)."""
    changes = [change(made + LOOK, "assigned"), change(made + 0.5, "starting")]
    if up is not None:
        changes.append(change(up, "running", look=look))
    values = {"node": "worker2", "image": "app:2.0", "spec": "bbbb", **other}
    return Task(id=f"new{slot}", slot=slot, created=made, changes=tuple(changes), **values)


def requests(node: str = "manager1", *, until: float = 20.0, every: float = 0.2) -> Requests:
    """Requests that were all answered, within ten milliseconds."""
    count = int(until / every)
    sent = tuple(Request(round(n * every, 3), 10.0, 200, "1.0", "h") for n in range(count))
    return Requests(node, 8080, every, sent)


def trace(*tasks: Task, **other: Any) -> Trace:
    """A trace of 20 s over these tasks."""
    terms = Terms(0.0, "app:1.0", 4, parallelism=2, delay=3.0, order="start-first")
    values: dict[str, Any] = {
        "service": "app",
        "title": "1.0 to 2.0",
        "started": "2026-11-24T09:00:00.000+01:00",
        "seconds": 20.0,
        "interval": LOOK,
        "looks": 200,
        "specs": (terms, replace(terms, at=1.0, image="app:2.0")),
        "tasks": tasks,
        "statuses": (Status(0.1, "", "", None), Status(19.0, "completed", "done", "1.0")),
        "requests": (requests(),),
        **other,
    }
    return Trace(**values)


def good(**other: Any) -> Trace:
    """Two batches of two, 3.1 s between them, start-first."""
    return trace(
        *(old(1, 4.2), old(2, 4.2), old(3, 10.2), old(4, 10.2)),
        *(new(1, 1.0, 4.0), new(2, 1.0, 4.0), new(3, 7.1, 10.0), new(4, 7.1, 10.0)),
        **other,
    )
