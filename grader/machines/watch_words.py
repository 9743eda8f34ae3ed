"""What `swarm watch` shows while it records: one line on a terminal, a line per change "
"elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from grader.console import console, say
from grader.modules.rollout.trace import Trace
from grader.reports.text import visible

RATE_SECONDS = 2.0
"""Requests per second are counted over this time."""
LATE_SECONDS = 3.0
AT_LEAST_EVERY = 10.0
"""Seconds after which a line is written even if nothing changed."""

STATES = {
    "rollback_started": "rolling back",
    "rollback_completed": "rolled back",
    "rollback_paused": "rollback paused",
}


@contextmanager
def shown() -> Iterator[Callable[[Trace], None]]:
    """A function that shows what is known so far, until the block ends."""
    lines = Lines()
    if console.is_terminal:
        from rich.markup import escape

        with console.status("", spinner="dots") as status:
            yield lambda trace: status.update(
                escape(lines.line(trace)[: max(20, console.width - 3)])
            )
        return

    def write(trace: Trace) -> None:
        line = lines.changed(trace)
        if line is not None:
            say(line)

    yield write


class Lines:
    """The line for the present state; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._looks = -1
        self._looked = clock()
        self._before = ""
        self._written = 0.0

    def line(self, trace: Trace) -> str:
        parts = [_time(trace.seconds), self._late(trace), tasks(trace), requests(trace)]
        return visible("  ".join(part for part in parts if part))

    def changed(self, trace: Trace) -> str | None:
        """The line, if it contains something new, or if the last one is old."""
        failing = _failed_lately(trace) > 0
        now = f"{self._late(trace)[:5]} {tasks(trace)} {failing}"
        if now == self._before and trace.seconds - self._written < AT_LEAST_EVERY:
            return None
        self._before, self._written = now, trace.seconds
        return self.line(trace)

    def _late(self, trace: Trace) -> str:
        """The present state is unknown while the manager does not answer."""
        if trace.looks != self._looks:
            self._looks, self._looked = trace.looks, self._clock()
        late = self._clock() - self._looked
        if late < LATE_SECONDS:
            return ""
        manager = next(iter(trace.clocks), "the manager")
        return f"{manager} has not answered for {late:.0f} s!"


def tasks(trace: Trace) -> str:
    """`updating  5/6  manager1 1.0 · worker1 1.0×2 2.0×2 · worker2 down`."""
    states = {change.node: change for change in trace.nodes}
    running = [
        task for task in trace.tasks if task.up() and not task.down() and task.state == "running"
    ]
    parts = []
    for name, change in sorted(states.items()):
        if change.state == "down":
            parts.append(f"{name} down")
            continue
        count = Counter(task.version for task in running if task.node == name)
        said = " ".join(f"{v}×{n}" if n > 1 else v for v, n in sorted(count.items()))
        away = f" ({change.availability})" if change.availability != "active" else ""
        parts.append(f"{name}{away} {said or '–'}")
    wanted = trace.specs[-1].replicas if trace.specs else 0
    counted = sum(states[t.node].state != "down" for t in running if t.node in states)
    whole = f"{counted}/{wanted}" if wanted else f"{counted}"
    pieces = [_state(trace), f"{whole} run", " · ".join(parts)]
    return "  ".join(piece for piece in pieces if piece)


def _state(trace: Trace) -> str:
    """The engine's status of an update; one that ended before the recording is left out."""
    states = [status.state for status in trace.statuses]
    if not states or (len(states) == 1 and states[0] not in ("updating", "rollback_started")):
        return ""
    return STATES.get(states[-1], states[-1])


def requests(trace: Trace) -> str:
    """`59/s answered, 1/s failed (12 in all)`; empty if none are sent."""
    if not trace.requests:
        return ""
    seconds = min(RATE_SECONDS, max(trace.seconds, 0.1))
    answered = _lately(trace, ok=True) / seconds
    failed = _failed_lately(trace) / seconds
    in_all = sum(not one.ok for requests in trace.requests for one in requests.sent)
    told = f"{answered:.0f}/s answered, {_rate(failed)}/s failed"
    return f"{told} ({in_all} in all)" if in_all else told


def _rate(value: float) -> str:
    return f"{value:.1f}" if 0 < value < 1 else f"{value:.0f}"


def _failed_lately(trace: Trace) -> int:
    return _lately(trace, ok=False)


def _lately(trace: Trace, *, ok: bool) -> int:
    """How many requests ended in the last seconds; a request that is still open was sent long
    ago."""
    since = trace.seconds - RATE_SECONDS
    count = 0
    for each in trace.requests:
        for one in reversed(each.sent):
            if one.at + one.ms / 1000 <= since:
                break
            count += one.ok is ok
    return count


def _time(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
