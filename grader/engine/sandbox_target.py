"""The sandbox as a target: nodes made for one submission, thrown away afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import docker

from grader.engine.sandbox import Sandbox, SandboxNode
from grader.errors import EngineFault, KitError
from grader.nodes.cleanup import Slate
from grader.nodes.node import Completed, Node

FREEZES = 25
"""How often freezing a node is tried."""


class Closable(Node, Protocol):
    def close(self) -> None: ...


class Member:
    """A sandbox's node with the eyes of testinfra (see grader.nodes.node.Node)."""

    workspace: Path | None = None

    def __init__(self, node: SandboxNode) -> None:
        self.inner = node
        self.name = node.name

    def __repr__(self) -> str:
        return f"<node {self.name}>"

    @property
    def address(self) -> str:
        return self.inner.address

    @property
    def docker(self) -> docker.DockerClient:
        return self.inner.docker

    @property
    def host(self) -> Any:
        from grader.engine.testinfra_host import container_host

        return container_host(self.inner.engine.client(), self.inner.container_id)

    def machine(self, container: str) -> Any:
        from grader.engine.testinfra_host import container_host

        return container_host(self.docker, container)

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        cwd: str = "/",
        env: Mapping[str, str] | None = None,
        keep: int = 64_000,
    ) -> Completed:
        return self.inner.run(argv, timeout=timeout, cwd=cwd, env=env, keep=keep)

    def put(self, source: Path | Mapping[str, bytes], dest: str) -> None:
        self.inner.put(source, dest)

    def close(self) -> None:
        self.inner.close()

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Frozen from outside: nothing of it runs or answers, and nothing of it is lost."""
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        outer, container = self.inner.outer.api, self.inner.container_id
        try:
            _freeze(outer, container)
            try:
                yield
            finally:
                outer.unpause(container)
        except (DockerException, RequestException) as error:
            raise EngineFault(f"{self.name} cannot be stopped and started: {error}") from None
        self.inner.wait_ready()


def _freeze(api: Any, container: str) -> None:
    """Pause a container; where many processes begin just then, the kernel needs several tries."""
    from docker.errors import APIError

    for attempt in range(1, FREEZES + 1):
        try:
            api.pause(container)
        except APIError as error:
            if "unable to freeze" not in str(error) or attempt == FREEZES:
                raise
            time.sleep(0.2)
        else:
            return


class NodesTarget:
    """What targets of nodes that a sandbox has made share (see grader.nodes.node.Target)."""

    def __init__(
        self,
        kind: str,
        nodes: Sequence[Closable],
        *,
        live: bool = False,
        kept: bool = False,
        patience: float = 1.0,
    ) -> None:
        self.kind = kind
        self.nodes: list[Node] = list(nodes)
        self.live = live
        self.kept = kept or live
        self.patience = patience
        self._slate = Slate(self.nodes, patience)
        self._closable = list(nodes)

    def node(self, name: str) -> Node:
        for node in self.nodes:
            if node.name == name:
                return node
        raise KitError(f"The target has no node {name!r}.")

    def prepare(self) -> None:
        if self.kept and not self.live:
            self._slate.wipe()

    def restore(self) -> None:
        if self.kept and not self.live:
            self._slate.restore()

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
        patience: float = 1.0,
    ) -> None:
        self.sandbox = sandbox
        self.members = [Member(node) for node in sandbox.nodes]
        super().__init__(kind, self.members, live=live, kept=kept, patience=patience)

    @classmethod
    def attach(cls, description: dict[str, Any]) -> SandboxTarget:
        """The sandbox that another process made; it is that process's to remove."""
        return cls(
            Sandbox.attach(description["sandbox"]),
            kind=description["kind"],
            live=description["live"],
            kept=description["kept"],
            patience=description["patience"],
        )

    def describe(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "sandbox": self.sandbox.describe(),
            "live": self.live,
            "kept": self.kept,
            "patience": self.patience,
        }

    def describe_brokered(self, handle: int) -> dict[str, Any]:
        """For `attach` in a process that has the broker's `handle` and nothing else."""
        return {
            "kind": self.kind,
            "broker": handle,
            "nodes": [{"name": node.name, "address": node.address} for node in self.nodes],
            "live": self.live,
            "kept": self.kept,
            "patience": self.patience,
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
