"""Where a submission runs: targets give nodes, and checks ask nodes.

`node.py` says what every node can do; each target module (sandbox,
machines, local) says how its nodes are reached.
"""

from __future__ import annotations

from typing import Any

from grader.nodes.node import Target


def attach(description: dict[str, Any]) -> Target:
    """The target that another process made and described."""
    kind = description["kind"]
    if "broker" in description:
        from grader.targets.brokered import BrokeredTarget

        return BrokeredTarget.attach(description)
    if kind in ("sandbox", "containers"):
        from grader.engine.sandbox_target import SandboxTarget

        return SandboxTarget.attach(description)
    if kind in ("vagrant", "hosts"):
        from grader.machines.target import MachinesTarget

        return MachinesTarget.attach(description)
    if kind == "local":
        from grader.targets.local import LocalTarget

        return LocalTarget.attach(description)
    raise ValueError(f"unknown kind of target: {kind!r}")
