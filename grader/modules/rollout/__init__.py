"""Rollouts: recorded while they run, judged by the recording.

    with Recorder(target.nodes, "shop_app", ports={"manager1": 8080}) as recorder:
        …
    proof = parallelism_kept(recorder.trace, 2)

`trace` is the data, `recorder` makes it, `proofs` are pure functions over it. docs/rollouts.md
explains each promise and how it is proven.
"""

from grader.modules.rollout.recorder import Recorder
from grader.modules.rollout.trace import Proof, Trace

__all__ = ["Proof", "Recorder", "Trace"]
