"""Attaches to a target that another process made."""

from __future__ import annotations

from typing import Any

from grader.machines.target import Power
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

        return MachinesTarget.attach(description, power_of(kind))
    if kind == "local":
        from grader.targets.local import LocalTarget

        return LocalTarget.attach(description)
    raise ValueError(f"unknown kind of target: {kind!r}")


def power_of(kind: str) -> Power | None:
    """How the power of a provider's machines is cut; None where no one can."""
    if kind == "vagrant":
        from grader.machines.vagrant import power

        return power
    return None
