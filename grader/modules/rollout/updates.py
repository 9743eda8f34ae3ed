"""What a trace's tasks show: replacements, batches, and how many tasks counted at each time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from grader.modules.rollout.trace import RUNNING, Task, Trace, Window, rank, rows

FOREVER = float("inf")


@dataclass(frozen=True)
class Replacement:
    """In one slot a task replaced one with other settings.

    `begun` is when the new task was made; `done` when it began to run, None if it never did;
    `ended` when the old one stopped counting, None if it never did.
    """

    row: str
    old: Task
    new: Task
    begun: float
    done: Window | None
    ended: Window | None


@dataclass(frozen=True)
class Batch:
    """Replacements that overlapped in time, and the pause before them (None: the first)."""

    rows: tuple[str, ...]
    begun: float
    done: float | None
    pause: Window | None


class Span(NamedTuple):
    """A period in which a number was between `least` and `most`."""

    begin: float
    end: float
    least: int
    most: int


def replacements(trace: Trace, version: str | None = None) -> list[Replacement]:
    """All replacements by tasks of `version` (default: of the first new spec), in order.

    Replacements of an update that was rolled back and those of its rollback differ in their
    version.
    """
    found = [one for one in all_replacements(trace) if version in (None, one.new.version)]
    if version is None and found:
        found = [one for one in found if one.new.spec == found[0].new.spec]
    return found


def all_replacements(trace: Trace) -> list[Replacement]:
    """Those of every update and every rollback, in order."""
    found = []
    for row, tasks in rows(trace.tasks).items():
        for place, new in enumerate(tasks):
            older = [task for task in tasks[:place] if task.spec != new.spec]
            if not older or tasks[place - 1].spec == new.spec:
                continue
            if new.created < 0:
                continue
            old = older[-1]
            found.append(Replacement(row, old, new, new.created, new.up(), old.down()))
    return sorted(found, key=lambda one: (one.begun, one.row))


def batches(trace: Trace, version: str | None = None) -> list[Batch]:
    """The replacements in groups: a new group begins when some of the one before had ended."""
    groups: list[list[Replacement]] = []
    for one in replacements(trace, version):
        done = [other.done for other in groups[-1]] if groups else []
        if not groups or any(window and window.by <= one.begun for window in done):
            groups.append([])
        groups[-1].append(one)
    made: list[Batch] = []
    for group in groups:
        ends = [one.done for one in group]
        last = None if None in ends else max(window.by for window in ends if window)
        begun = group[0].begun
        pause = None
        if made:
            # An instance of the updater takes its next slot after its own last one.
            before = sorted(w for one in groups[len(made) - 1] if (w := one.done))
            pause = Window(begun - before[0].by, begun - before[0].after) if before else None
        made.append(Batch(tuple(one.row for one in group), begun, last, pause))
    return made


def at_once(trace: Trace, found: Iterable[Replacement]) -> list[Span]:
    """How many of these replacements were in progress, over the whole trace."""
    return count(
        trace,
        (
            (
                Window(one.begun, one.begun),
                one.done or Window(trace.seconds, FOREVER),
            )
            for one in found
        ),
    )


def counting(trace: Trace, version: str | None = None) -> list[Span]:
    """How many tasks (of `version`) counted: running, desired to run, on a node that is not
    down."""
    lives = []
    for task in trace.tasks:
        up = task.up()
        if up is None or (version is not None and task.version != version):
            continue
        ends = [w for w in (task.down(), lost(trace, task)) if w is not None and w.by > up.after]
        lives.append((up, min(ends, default=Window(FOREVER, FOREVER))))
    return count(trace, lives)


def lost(trace: Trace, task: Task) -> Window | None:
    """When the task's node was found down while the task was running on it."""
    up = task.up()
    for change in trace.nodes:
        if change.node == task.node and change.state == "down" and up and change.by > up.after:
            return Window(change.after, change.by)
    return None


def count(trace: Trace, lives: Iterable[tuple[Window, Window]]) -> list[Span]:
    """From the (begin, end) of several things: how many existed at each time, at least and at
    most."""
    steps: dict[float, list[int]] = {0.0: [0, 0], trace.seconds: [0, 0]}

    def step(at: float, least: int, most: int) -> None:
        if at <= trace.seconds:
            known = steps.setdefault(max(0.0, at), [0, 0])
            known[0] += least
            known[1] += most

    for begin, end in lives:
        step(begin.after, 0, 1)
        step(end.by, 0, -1)
        if begin.by < end.after:
            step(begin.by, 1, 0)
            step(end.after, -1, 0)
    spans: list[Span] = []
    least = most = 0
    moments = sorted(steps)
    for at, following in pairwise(moments):
        least += steps[at][0]
        most += steps[at][1]
        if spans and (spans[-1].least, spans[-1].most) == (least, most):
            spans[-1] = spans[-1]._replace(end=following)
        else:
            spans.append(Span(at, following, least, most))
    return spans


def alive_at_end(trace: Trace) -> list[Task]:
    """Tasks at the trace's end that run, are desired to run, and are on nodes that are not down."""
    states = {change.node: change.state for change in trace.nodes}
    return [
        task
        for task in trace.tasks
        if task.state == "running"
        and rank(task.changes[-1].desired) <= RUNNING
        and states.get(task.node, "ready") != "down"
    ]


def way_back(trace: Trace) -> str:
    """How the service returned to its previous state: `automatic`, `manual`, `set again`, `none`.

    The engine removes the previous spec when it rolls back by itself, and keeps one after a command
    to roll back. A service that is set to the old image again shows no rollback at all.
    """
    if not trace.specs or trace.specs[-1].image != trace.specs[0].image or len(trace.specs) < 2:
        return "none"
    last = trace.statuses[-1] if trace.statuses else None
    if last is None or not last.state.startswith("rollback"):
        return "set again"
    told = any("manually" in status.message for status in trace.statuses)
    return "automatic" if last.previous is None and not told else "manual"
