"""The sandbox as a target: nodes made for one submission, thrown away afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from grader.engine.sandbox import Sandbox
from grader.errors import KitError
from grader.nodes.cleanup import Cleanup
from grader.nodes.node import Node


class Closable(Node, Protocol):
    def close(self) -> None: ...


class NodesTarget:
    """What targets of nodes that a sandbox has made share (see grader.nodes.node.Target)."""

    def __init__(
        self,
        kind: str,
        nodes: Sequence[Closable],
        *,
        live: bool = False,
        kept: bool = False,
        timeout_factor: float = 1.0,
    ) -> None:
        self.kind = kind
        self.nodes: list[Node] = list(nodes)
        self.live = live
        self.kept = kept or live
        self.timeout_factor = timeout_factor
        self._cleanup = Cleanup(self.nodes, timeout_factor)
        self._closable = list(nodes)

    def node(self, name: str) -> Node:
        for node in self.nodes:
            if node.name == name:
                return node
        raise KitError(f"The target has no node {name!r}.")

    def prepare(self) -> None:
        if self.kept and not self.live:
            self._cleanup.wipe()

    def restore(self) -> None:
        if self.kept and not self.live:
            self._cleanup.restore()

    def close(self) -> None:
        for node in self._closable:
            node.close()


class SandboxTarget(NodesTarget):
    """See grader.nodes.node.Target.

    With `live` or `kept` a sandbox stands for a student's own machines, which is how the
    treatment of these is tested in seconds.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        *,
        kind: str = "sandbox",
        live: bool = False,
        kept: bool = False,
        timeout_factor: float = 1.0,
    ) -> None:
        self.sandbox = sandbox
        super().__init__(kind, sandbox.nodes, live=live, kept=kept, timeout_factor=timeout_factor)

    @classmethod
    def attach(cls, description: dict[str, Any]) -> SandboxTarget:
        """The sandbox that another process made; it is that process's to remove."""
        return cls(
            Sandbox.attach(description["sandbox"]),
            kind=description["kind"],
            live=description["live"],
            kept=description["kept"],
            timeout_factor=description["timeout_factor"],
        )

    def describe(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "sandbox": self.sandbox.describe(),
            "live": self.live,
            "kept": self.kept,
            "timeout_factor": self.timeout_factor,
        }

    def describe_brokered(self, handle: int) -> dict[str, Any]:
        """For `attach` in a process that has the broker's `handle` and nothing else."""
        return {
            "kind": self.kind,
            "broker": handle,
            "nodes": [{"name": node.name, "address": node.address} for node in self.nodes],
            "live": self.live,
            "kept": self.kept,
            "timeout_factor": self.timeout_factor,
        }

    def facts(self) -> dict[str, Any]:
        engine = self.sandbox.nodes[0].engine
        version = self.nodes[0].docker.version()["Version"]
        return {
            "kind": self.kind,
            "isolation": engine.isolation,
            "host_engine": engine.version,
            "engine": version,
            "nodes": len(self.nodes),
            **({"live": True} if self.live else {}),
        }
