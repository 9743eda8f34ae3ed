"""A rollout in words: what a screen reader says of its picture, and what a terminal prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grader.modules.rollout.trace import Proof, Task, Trace, rows
from grader.modules.rollout.updates import FOREVER, Batch, batches, counting, way_back
from grader.reports.text import sentence, visible
from grader.text.words import count

SIGNS = {True: "✓", False: "✗", None: "–"}
ANSWERS = {True: "kept", False: "broken", None: "not graded"}
CANNOT_TELL = "cannot be told"
"""In place of "not graded", where nothing is graded."""

_WAYS = {
    "automatic": "the swarm rolled it back by itself",
    "manual": "it was rolled back by hand",
    "set again": "the old image was set again",
}


def read(data: Any) -> Trace | None:
    """The trace that a record holds, or None where it cannot be drawn."""
    try:
        trace = Trace.from_json(data)
        sane = 0 < trace.seconds < 86_400 and 0 < trace.interval < 3_600
        return trace if sane and len(trace.tasks) <= 2_000 else None
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return None


def span(seconds: float) -> str:
    """`0.35 s`, `2.1 s`, `37.8 s`."""
    return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"


def versions(trace: Trace) -> list[str]:
    """All versions, in the order in which they came."""
    tasks = sorted(trace.tasks, key=lambda task: task.created)
    return list(dict.fromkeys(task.version for task in tasks))


def headline(trace: Trace) -> str:
    return trace.title or f"Service {trace.service}"


def summary(trace: Trace) -> str:
    """The picture in a few sentences."""
    found = list(rows(trace.tasks))
    kinds = "slots" if any(task.slot for task in trace.tasks) else "nodes"
    said = [f"{len(found)} {kinds}, {span(trace.seconds)}, versions {listed(versions(trace))}."]
    groups = batches(trace)
    if groups:
        pauses = [group.pause.by for group in groups if group.pause]
        said.append(f"{count(len(groups), 'batch', 'batches')} of {_sizes(groups)}")
        said[-1] += f"; the shortest pause was {span(min(pauses))}." if pauses else "."
    way = way_back(trace)
    if way in _WAYS:
        said.append(f"Then {_WAYS[way]}.")
    spans = counting(trace)
    if spans:
        fewest, most = min(one.most for one in spans), max(one.least for one in spans)
        counted = f"Between {fewest} and {most}" if fewest < most else str(most)
        said.append(f"{counted} tasks counted at any time.")
    for change in trace.nodes:
        if change.state == "down" and change.by < FOREVER:
            said.append(f"{change.node} was seen down at {span(change.by)}.")
    sent = [one for requests in trace.requests for one in requests.sent]
    if sent:
        failed = sum(not one.ok for one in sent)
        said.append(f"{count(len(sent), 'request')}, {failed or 'none'} failed.")
    return " ".join(said)


def proof_line(proof: Proof, unknown: str = ANSWERS[None]) -> str:
    where = f" (at {span(proof.at)})" if proof.ok is False and proof.at is not None else ""
    answer = unknown if proof.ok is None else ANSWERS[proof.ok]
    return f"{answer}{where}: {sentence(proof.found)}"


def story(task: Task) -> str:
    """A task's life in a line: `version 2.0 on worker1: made 2.5 s, running 10.0 s, …`."""
    parts = [f"made {span(task.created)}"] if task.created > 0 else ["there from the start"]
    up, down, gone = task.up(), task.down(), task.gone()
    healthy = any(one.verdict == "healthy" for one in task.health)
    if up and up.by > 0 and task.created > 0:
        parts.append(f"{'healthy' if healthy else 'running'} {span(up.by)}")
    sick = next((one.at for one in task.health if one.verdict == "unhealthy"), None)
    if sick is not None:
        parts.append(f"unhealthy {span(sick)}")
    if down and (not gone or down.by < gone.by):
        parts.append(f"told to stop {span(down.by)}")
    if gone:
        parts.append(f"{task.state} {span(gone.by)}")
    elif not up:
        parts.append(f"never ran ({task.state})")
    error = f" ({sentence(task.error, width=160)})" if task.error else ""
    where = f" on {task.node}" if task.node else ""
    return visible(f"version {task.version}{where}: {', '.join(parts)}{error}")


def brief(trace: Trace, unknown: str = ANSWERS[None]) -> list[str]:
    """What happened and what was proven, without each task's life.

    `unknown` is said of a promise that is neither kept nor broken for certain.
    """
    told = [f"{headline(trace)} (service {trace.service}, {trace.started})", summary(trace), ""]
    for proof in trace.proofs:
        told.append(f"{SIGNS[proof.ok]} {sentence(proof.promise)}")
        told.append(f"    {proof_line(proof, unknown)}")
    told += ["", *_what_happened(trace)]
    return [visible(line) for line in told]


def lines(trace: Trace, unknown: str = ANSWERS[None]) -> list[str]:
    """The whole picture as text, for a terminal or to be read out; `unknown` as in `brief`."""
    told = [*brief(trace, unknown), ""]
    for row, tasks in rows(trace.tasks).items():
        told.append(f"slot {row}" if tasks[0].slot else row)
        told += [f"    {story(task)}" for task in tasks]
    told += ["", *_answers(trace)]
    looks = f"{count(trace.looks, 'look')}, planned every {span(trace.interval)}"
    longest = max((gap.width for gap in trace.gaps), default=0.0)
    gaps = f"{count(len(trace.gaps), 'gap')}, the longest {span(longest)}"
    told.append(f"{looks}; {gaps}." if trace.gaps else f"{looks}; no gaps.")
    return [visible(line) for line in told]


def _what_happened(trace: Trace) -> list[str]:
    """Marks, states of the update, nodes and batches, in order of time."""
    found = [(event.at, event.text) for event in trace.events if event.kind == "mark"]
    for status in trace.statuses:
        if status.state and status.at > 0 and status is not trace.statuses[0]:
            found.append((status.at, f"{status.state}: {status.message}"))
    for change in trace.nodes:
        if change.after > 0:
            found.append((change.by, f"{change.node} is {change.state} ({change.availability})"))
    for place, group in enumerate(batches(trace), start=1):
        pause = f", {span(group.pause.by)} after the one before" if group.pause else ""
        found.append((group.begun, f"batch {place}: {listed(group.rows)}{pause}"))
    return [f"{span(at):>8}  {sentence(text)}" for at, text in sorted(found)]


def _answers(trace: Trace) -> list[str]:
    told = []
    for requests in trace.requests:
        counts: dict[str, int] = {}
        for one in requests.sent:
            name = f"version {one.version or 'unknown'}" if one.ok else f"failed, {_why(one)}"
            counts[name] = counts.get(name, 0) + 1
        parts = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
        slowest = max((one.ms for one in requests.sent), default=0.0)
        told.append(f"{requests.node}, port {requests.port}: {parts}; slowest {slowest:.0f} ms")
    return told


def _why(request: Any) -> str:
    return request.error or f"status {request.status}"


def _sizes(groups: list[Batch]) -> str:
    sizes = [str(len(group.rows)) for group in groups]
    return sizes[0] if len(set(sizes)) == 1 else ", ".join(sizes)


def listed(names: Sequence[str]) -> str:
    """`1`, `1 and 2`, `1, 2 and 3`."""
    *most, last = names or ["none"]
    return f"{', '.join(most)} and {last}" if most else str(last)
