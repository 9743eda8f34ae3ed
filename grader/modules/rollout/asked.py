"""The update settings of a service, and whether an update kept them; without a lab.

    trace = with_proofs(recorder.trace)

Marks say what was changed, from the service's spec. Proofs compare each update with the settings
(parallelism, delay, order) that the service had when the update began.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from grader.modules.rollout import proofs
from grader.modules.rollout.trace import RUNNING, Event, Proof, Terms, Trace, rank
from grader.modules.rollout.updates import Replacement, all_replacements

UNDER_WAY = ("updating", "rollback_started")


@dataclass(frozen=True)
class Update:
    """Replacements by tasks of one spec, and the service's settings at that time.

    `back` is true for a rollback by the swarm (automatic or requested).
    """

    found: tuple[Replacement, ...]
    back: bool
    parallelism: int
    delay: float
    order: str

    @property
    def name(self) -> str:
        return f"{'Rollback' if self.back else 'Update'} to {self.found[0].new.version}"


def updates(trace: Trace) -> list[Update]:
    """All updates and rollbacks of the trace, in order."""
    groups: list[list[Replacement]] = []
    for one in all_replacements(trace):
        if not groups or groups[-1][0].new.spec != one.new.spec:
            groups.append([])
        groups[-1].append(one)
    return [_update(trace, group) for group in groups]


def _update(trace: Trace, group: list[Replacement]) -> Update:
    first = group[0].new
    # The look that saw the first new task saw its service just before.
    seen = first.changes[0].by + 2 * trace.interval
    known = [terms for terms in trace.specs if terms.at <= seen] or list(trace.specs[:1])
    terms = known[-1] if known else Terms(0.0, first.image, 0)
    back = _state_at(trace, seen).startswith("rollback")
    values = (terms.parallelism, terms.delay, terms.order)
    if back:
        values = (terms.rollback_parallelism, terms.rollback_delay, terms.rollback_order)
    return Update(tuple(group), back, *values)


def _state_at(trace: Trace, at: float) -> str:
    return next((s.state for s in reversed(trace.statuses) if s.at <= at), "")


def with_proofs(trace: Trace) -> Trace:
    """The trace with marks of what was changed and proofs of the service's settings."""
    events = (*trace.events, *_marks(trace))
    return replace(
        trace,
        events=tuple(sorted(events, key=lambda event: event.at)),
        proofs=tuple(_proofs(trace)),
    )


def _marks(trace: Trace) -> Iterator[Event]:
    for before, now in pairwise(trace.specs):
        yield Event(now.at, "mark", _in_words(trace, before, now))


def _in_words(trace: Trace, before: Terms, now: Terms) -> str:
    told = []
    back = _state_at(trace, now.at + 2 * trace.interval).startswith("rollback")
    if now.image != before.image and back:
        told.append(f"the service goes back from {before.version} to {now.version}")
    elif now.image != before.image:
        told.append(f"the service is updated from {before.version} to {now.version}")
    if now.replicas != before.replicas:
        told.append(f"it is scaled from {before.replicas} to {now.replicas}")
    if not told:
        told.append("the settings of the service are changed")
    sentence = "; ".join(told)
    return f"{sentence[0].upper()}{sentence[1:]} ({_settings(now, back)})"


def _settings(terms: Terms, back: bool) -> str:
    values = (terms.parallelism, terms.delay, terms.order)
    if back:
        values = (terms.rollback_parallelism, terms.rollback_delay, terms.rollback_order)
    parallelism, delay, order = values
    return f"parallelism {parallelism or 'all'}, delay {delay:g} s, {order}"


def _proofs(trace: Trace) -> Iterator[Proof]:
    found = updates(trace)
    for number, update in enumerate(found):
        until = found[number + 1].found[0].begun if number + 1 < len(found) else trace.seconds
        for proof in _kept(trace, update, until):
            first, rest = proof.promise[0].lower(), proof.promise[1:]
            yield replace(proof, promise=f"{update.name}: {first}{rest}")
    last = trace.specs[-1] if trace.specs else None
    if last and last.replicas and _state_at(trace, trace.seconds) not in UNDER_WAY:
        yield proofs.final_version_and_count(trace, last.version, last.replicas)
    if trace.requests:
        yield proofs.no_failed_request(trace)


def _kept(trace: Trace, update: Update, until: float) -> Iterator[Proof]:
    """The proofs of one update, without settings that do not apply to it.

    If tasks failed, the swarm continues, tries again or rolls back; its settings do not cover that.
    """
    if any(one.done is None and rank(one.new.state) > RUNNING for one in update.found):
        return
    # Each of them alone: what came before and later in these slots is not about this update.
    pairs = ((replace(one.old, created=-1.0), one.new) for one in update.found)
    alone = replace(trace, tasks=tuple(task for pair in pairs for task in pair))
    if update.parallelism:
        yield proofs.parallelism_kept(alone, update.parallelism)
    if update.delay:
        yield proofs.delay_kept(alone, update.delay)
    # An old task that had failed, or never ran, was not there to be stopped first or last.
    if all(one.old.up() and one.old.state not in ("failed", "rejected") for one in update.found):
        yield proofs.order_kept(alone, update.order)
