"""The sandbox as a target: nodes made for one submission, then removed."""

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
    """The common part of targets with sandbox nodes (see grader.nodes.node.Target)."""

    def __init__(
        self,
        kind: str,
        nodes: Sequence[Closable],
        *,
        read_only: bool = False,
        persistent: bool = False,
        timeout_factor: float = 1.0,
    ) -> None:
        self.kind = kind
        self.nodes: list[Node] = list(nodes)
        self.read_only = read_only
        self.persistent = persistent or read_only
        self.timeout_factor = timeout_factor
        self._cleanup = Cleanup(self.nodes, timeout_factor)
        self._closable = list(nodes)

    def node(self, name: str) -> Node:
        for node in self.nodes:
            if node.name == name:
                return node
        raise KitError(f"The target has no node {name!r}.")

    def prepare(self) -> None:
        if self.persistent and not self.read_only:
            self._cleanup.wipe()

    def restore(self) -> None:
        if self.persistent and not self.read_only:
            self._cleanup.restore()

    def close(self) -> None:
        for node in self._closable:
            node.close()


class SandboxTarget(NodesTarget):
    """See grader.nodes.node.Target.

    With `read_only` or `persistent` a sandbox represents a student's own machines, so tests of
    these take seconds.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        *,
        kind: str = "sandbox",
        read_only: bool = False,
        persistent: bool = False,
        timeout_factor: float = 1.0,
    ) -> None:
        self.sandbox = sandbox
        super().__init__(
            kind,
            sandbox.nodes,
            read_only=read_only,
            persistent=persistent,
            timeout_factor=timeout_factor,
        )

    @classmethod
    def attach(cls, description: dict[str, Any]) -> SandboxTarget:
        """The sandbox that another process made; only that process removes it."""
        return cls(
            Sandbox.attach(description["sandbox"]),
            kind=description["kind"],
            read_only=description["read_only"],
            persistent=description["persistent"],
            timeout_factor=description["timeout_factor"],
        )

    def describe(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "sandbox": self.sandbox.describe(),
            "read_only": self.read_only,
            "persistent": self.persistent,
            "timeout_factor": self.timeout_factor,
        }

    def describe_brokered(self, handle: int) -> dict[str, Any]:
        """For `attach` in a process that has only the broker's `handle`."""
        return {
            "kind": self.kind,
            "broker": handle,
            "nodes": [{"name": node.name, "address": node.address} for node in self.nodes],
            "read_only": self.read_only,
            "persistent": self.persistent,
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
            **({"live": True} if self.read_only else {}),
        }
