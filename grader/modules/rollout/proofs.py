"""Promises about an update, judged by a trace: kept, broken, or undecided.

Each is a pure function over a trace, and all follow the same rule. A promise is broken only if the
observations allow no other explanation. It is kept only if the looks were close enough together to
show a violation. Otherwise the answer is None, and `found` says why. Nothing is assumed about what
the engine does between two looks.
"""

from __future__ import annotations

from collections.abc import Callable

from grader.modules.rollout.trace import Proof, Trace, Window
from grader.modules.rollout.updates import (
    FOREVER,
    Replacement,
    Span,
    alive_at_end,
    at_once,
    counting,
    replacements,
    way_back,
)
from grader.text import words

BLIND = 1.0
"""Seconds. If counts are uncertain for longer than this, the proof is undecided."""

MISSED = 5
"""This many requests in a row may be missing, if requests are sent less often than usual."""

WAYS = {
    "automatic": "The swarm rolled back by itself",
    "manual": "It was rolled back by hand (docker service rollback)",
    "set again": "The old image was set again: this is an update, not a rollback",
    "none": "It was not rolled back",
}


def final_version_and_count(trace: Trace, version: str, count: int) -> Proof:
    """At the end exactly `count` tasks run, one per slot, all of `version`."""
    promise = f"At the end {words.count(count, 'task')} of version {version} run, and no others."
    alive = alive_at_end(trace)
    found = ", ".join(
        f"{sum(task.version == one for task in alive)} of version {one}"
        for one in sorted({task.version for task in alive})
    )
    rows = {task.row for task in alive}
    right = len(alive) == len(rows) == count and all(task.version == version for task in alive)
    found = f"Running at the end: {found or 'no task'}."
    if len(rows) != len(alive):
        found += " Some slots have two running tasks."
    at = None if right else trace.seconds
    return Proof("final", right, promise, found, at, level=count)


def parallelism_kept(trace: Trace, most: int, version: str | None = None) -> Proof:
    """Never more than `most` slots are updated at a time."""
    promise = f"At most {_updated(most)} at a time."
    found = replacements(trace, version)
    if not found:
        return Proof("parallelism", None, promise, _nothing(version), level=most)
    spans = at_once(trace, found)
    over = _longest(spans, lambda span: span.least > most)
    seen = max(span.least for span in spans)
    if over:
        rows = [one.row for one in found if _surely(one, over)]
        told = f"{_updated(seen)} at a time: {_list(rows)}, at {_s(over.begin)}."
        return Proof("parallelism", False, promise, told, over.begin, over.end, most)
    unsure = _longest(spans, lambda span: span.most > most)
    if unsure and unsure.end - unsure.begin > BLIND:
        return _blind("parallelism", promise, unsure, most)
    told = f"{_updated(max(seen, 1))} at a time, in all {len(found)}."
    return Proof("parallelism", True, promise, told + _sharpness(unsure), level=most)


def delay_kept(trace: Trace, seconds: float, version: str | None = None) -> Proof:
    """After a slot is done, at least `seconds` pass before the next one begins.

    The slots that begin before the first one is done are updated at the same time. Each of them
    waits for itself: the n-th later slot begins the delay after the n-th slot was done.
    """
    promise = f"At least {_s(seconds)} pass after one batch before the next begins."
    found = replacements(trace, version)
    done = sorted(one.done for one in found if one.done)
    if not found or not done:
        return Proof("delay", None, promise, _nothing(version))
    side_by_side = sum(one.begun < done[0].by for one in found)
    later = found[side_by_side:]
    pauses = [
        (one, end, Window(one.begun - end.by - _unsure(trace), one.begun - end.after))
        for one, end in zip(later, done, strict=False)
    ]
    if not pauses:
        told = f"All {len(found)} slots were one batch, so there was no pause."
        return Proof("delay", None, promise, told)
    one, end, pause = min(pauses, key=lambda each: each[2].by)
    if pause.by < seconds:
        told = f"Only {_s(max(0.0, pause.by))} passed before slot {one.row} was begun."
        return Proof("delay", False, promise, told, end.after, one.begun)
    widest = max(pause.width for _, _, pause in pauses)
    if widest > seconds:
        told = f"Observations were up to {_s(widest)} apart: too far to tell."
        return Proof("delay", None, promise, told, end.after, one.begun)
    return Proof("delay", True, promise, f"The shortest pause was {_between(pause)}.")


def order_kept(trace: Trace, order: str, version: str | None = None) -> Proof:
    """In each slot the new task runs before the old one is stopped, or the other way round.

    The engine removes the old task as soon as the new one runs, usually between the same two looks.
    But stop-first starts the new task only after the old one has stopped. So if the swarm still
    wanted the old task when the new one's container had started, that also shows start-first.
    """
    first = order == "start-first"
    says = "the new task runs before the old one is stopped"
    if not first:
        says = "the old task is stopped before the new one is started"
    promise = f"In each slot {says} ({order})."
    found = [one for one in replacements(trace, version) if one.done]
    shown = 0
    for one in found:
        started, done = one.new.started(), one.done
        if started is None or done is None:
            continue
        ended = one.ended or Window(trace.seconds, FOREVER)
        if (ended.by <= done.after) if first else (started.by <= ended.after):
            what = "the old task was stopped before the new one ran"
            if not first:
                what = "the new task was started before the old one was told to stop"
            at, until = sorted((min(ended.by, trace.seconds), done.by))
            return Proof("order", False, promise, f"In slot {one.row} {what}.", at, until)
        shown += (started.by <= ended.after) if first else (ended.by <= started.after)
    if not found:
        return Proof("order", None, promise, _nothing(version))
    if not shown:
        told = "In every slot both happened between the same two observations: too close to tell."
        return Proof("order", None, promise, told)
    told = f"Seen in {shown} of {len(found)} slots, and in no slot the other way round."
    return Proof("order", True, promise, told)


def never_below(trace: Trace, least: int) -> Proof:
    """At no moment fewer than `least` tasks count (run, and are not told to stop)."""
    promise = (
        f"At every moment at least {words.count(least, 'task')} {'runs' if least == 1 else 'run'}."
    )
    spans = counting(trace)
    below = _longest(spans, lambda span: span.most < least)
    if below:
        fewest = min(span.most for span in spans)
        told = f"Only {words.count(fewest, 'task')} ran, at {_s(below.begin)}"
        told += f" for {_s(below.end - below.begin)} or longer."
        return Proof("available", False, promise, told, below.begin, below.end, least)
    unsure = _longest(spans, lambda span: span.least < least)
    if unsure and unsure.end - unsure.begin > BLIND:
        return _blind("available", promise, unsure, least)
    fewest = max(least, min((span.least for span in spans), default=0))
    told = f"There were never fewer than {fewest}."
    return Proof("available", True, promise, told + _sharpness(unsure), level=least)


def no_failed_request(trace: Trace) -> Proof:
    """Every request at every node was answered (status 200 to 399).

    None if no request was sent to some node for longer than BLIND, or for MISSED of its intended
    intervals (slow nodes get fewer requests).
    """
    promise = "Every request at every node is answered."
    total = sum(len(requests.sent) for requests in trace.requests)
    failed = [
        (one.at, requests.node, one)
        for requests in trace.requests
        for one in requests.sent
        if not one.ok
    ]
    if failed:
        failed.sort(key=lambda each: each[0])
        at, node, first = failed[0]
        why = first.error or f"status {first.status}"
        told = f"{len(failed)} of {total} requests failed, the first at {node}: {why}."
        return Proof("requests", False, promise, told, at, failed[-1][0])
    if not total or any(not requests.sent for requests in trace.requests):
        return Proof("requests", None, promise, "No requests were sent.")
    pause, at, node = max(_pauses(trace))
    meant = max(requests.every for requests in trace.requests)
    if pause > max(BLIND, MISSED * meant):
        told = f"For {_s(pause)} no request was sent to {node}: too long to tell."
        return Proof("requests", None, promise, told, at, at + pause)
    told = f"{total:,} requests at {len(trace.requests)} nodes, none failed;"
    return Proof("requests", True, promise, f"{told} the longest pause was {_s(pause)}.")


def rolled_back_by_itself(trace: Trace) -> Proof:
    """The update failed, and the swarm restored the old version without a command."""
    promise = "The swarm itself goes back to the previous version."
    way = way_back(trace)
    last = trace.statuses[-1] if trace.statuses else None
    told = WAYS[way]
    if last is not None and last.message and way != "set again":
        told += f" ({last.message})"
    at = last.at if last else None
    if way == "automatic" and last is not None and last.state != "rollback_completed":
        told = f"The swarm began to roll back by itself and did not finish ({last.state})"
        return Proof("rollback", False, promise, told + ".", at)
    return Proof("rollback", way == "automatic", promise, told + ".", at)


def rescheduled_within(trace: Trace, node: str, seconds: float, since: float) -> Proof:
    """Each slot that `node` had at `since` has a running task on another node `seconds` later."""
    promise = f"What ran on {node} runs again on other nodes within {_s(seconds)}."
    held = {
        task.row
        for task in trace.tasks
        if task.node == node
        and (up := task.up()) is not None
        and up.by <= since
        and ((down := task.down()) is None or down.after >= since)
    }
    if not held:
        told = f"Nothing ran on {node}, so nothing had to move."
        return Proof("failover", None, promise, told, since)
    again: dict[str, Window] = {}
    for task in trace.tasks:
        up = task.up()
        if task.row in held and task.node != node and up is not None and up.by > since:
            again[task.row] = min(up, again.get(task.row, up))
    limit = since + seconds
    late = sorted(row for row in held if row not in again or again[row].after > limit)
    if late:
        seen = min(limit, trace.seconds)
        if seen < limit and any(row not in again for row in late):
            told = f"The recording ended {_s(limit - seen)} too early."
            return Proof("failover", None, promise, told, since, seen)
        told = f"{_list(late)} did not run elsewhere within {_s(seconds)}."
        return Proof("failover", False, promise, told.capitalize(), since, limit)
    last = max(again.values(), key=lambda window: window.by)
    if last.by > limit:
        told = f"The looks were {_s(last.width)} apart at that moment: too far to tell."
        return Proof("failover", None, promise, told, since, last.by)
    told = f"{_list(sorted(held))} ran elsewhere after {_s(last.by - since)}."
    return Proof("failover", True, promise, told.capitalize(), since, last.by)


def _updated(slots: int) -> str:
    return words.count(slots, "slot is updated", "slots are updated")


def _nothing(version: str | None) -> str:
    return f"No task was replaced{f' by one of version {version}' if version else ''}."


def _surely(one: Replacement, span: Span) -> bool:
    return one.begun <= span.begin and (one.done is None or one.done.after >= span.end)


def _longest(spans: list[Span], wanted: Callable[[Span], bool]) -> Span | None:
    """The longest stretch of adjacent wanted spans; the first one if several are equal."""
    best: Span | None = None
    now: Span | None = None
    for span in spans:
        now = None if not wanted(span) else span if now is None else now._replace(end=span.end)
        if now and (best is None or now.end - now.begin > best.end - best.begin):
            best = now
    return best


def _blind(name: str, promise: str, span: Span, level: int) -> Proof:
    told = f"For {_s(span.end - span.begin)} the observations were too far apart to tell."
    return Proof(name, None, promise, told, span.begin, span.end, level)


def _sharpness(unsure: Span | None) -> str:
    """What a proof of counts leaves uncertain."""
    if unsure is None:
        return ""
    return f" (Moments shorter than {_s(unsure.end - unsure.begin)} are too short to judge.)"


def _unsure(trace: Trace) -> float:
    """How inexact a manager's time stamp may be on the trace's clock, in both directions."""
    return 2 * next((unsure for _, unsure in trace.clocks.values()), 0.0)


def _pauses(trace: Trace) -> list[tuple[float, float, str]]:
    """(seconds without a request, since when, node), the trace's beginning and end included."""
    found = []
    for requests in trace.requests:
        moments = [0.0, *(one.at for one in requests.sent), trace.seconds]
        ends = [0.0, *(one.at + one.ms / 1000 for one in requests.sent)]
        found += [
            (following - end, end, requests.node)
            for end, following in zip(ends, moments[1:], strict=True)
        ]
    return found


def _s(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds < 100 else f"{seconds:.0f} s"


def _between(window: Window) -> str:
    low, high = f"{window.after:.2f}", f"{window.by:.2f}"
    return f"{low} s" if low == high else f"{low} to {high} s"


def _list(rows: list[str]) -> str:
    return f"slot{'s' if len(rows) > 1 else ''} {words.both(rows)}"
