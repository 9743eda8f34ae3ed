"""What was seen of a rollout, and what it proves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from grader.checks import cannot_show, fail
from grader.modules.rollout import Proof, Trace


@dataclass(frozen=True)
class Seen:
    """`proofs` by their names; `state` is how the update ended, in the swarm's words."""

    trace: Trace
    proofs: Mapping[str, Proof]

    @classmethod
    def of(cls, trace: Trace, *proofs: Proof) -> Seen:
        return cls(trace, {proof.name: proof for proof in proofs})

    @property
    def state(self) -> str:
        last = self.trace.statuses[-1] if self.trace.statuses else None
        if last is None:
            return "The swarm reports no update."
        return f"The swarm says: {last.state} ({last.message})."


def judge(seen: Seen, name: str, reason: str, more: str = "") -> None:
    """End the check unless the proof says that its promise was kept.

    Where the looks were too far apart to tell, it is not graded.
    """
    proof = seen.proofs[name]
    if proof.ok is None:
        cannot_show(f"The recording does not prove it. {proof.found}")
    if not proof.ok:
        fail(reason, expected=proof.promise, actual=" ".join(filter(None, [proof.found, more])))
