"""The student's own engine as a target: the kit looks at what runs there and changes nothing.

    target = LocalTarget(engine, workspace)
    (here,) = target.nodes
    [c.name for c in containers(here, "counter")]  # ['counter-redis-1', 'counter-web-1']

Whatever would start, stop, make, build or run something ends the check as not graded, here and not
in the checks: a command, a file, a request of the Engine API that is no question.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import docker

from grader.checks import cannot_show
from grader.engine import user_engine
from grader.engine.client import Engine
from grader.errors import KitError
from grader.nodes.node import Completed, Node

KIND = "local"
WOULD_CHANGE = "It would change what is running. Without --target local it is tested in a sandbox."


def hands_off() -> NoReturn:
    """End a check that would change something as not graded."""
    cannot_show(WOULD_CHANGE)


class OwnComputer:
    """The student's engine and the ports it publishes (see grader.nodes.node.Node)."""

    name = "this computer"

    def __init__(self, engine: Engine, address: str, workspace: Path) -> None:
        self.engine = engine
        self.address = address
        self.workspace: Path | None = workspace
        self._lock = threading.Lock()
        self._client: docker.DockerClient | None = None

    def __repr__(self) -> str:
        return f"<node {self.name}>"

    @property
    def docker(self) -> docker.DockerClient:
        with self._lock:
            if self._client is None:
                self._client = user_engine.looking(self.engine, hands_off)
            return self._client

    @property
    def host(self) -> Any:
        hands_off()

    def machine(self, container: str) -> Any:
        hands_off()

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        cwd: str = "/",
        env: Mapping[str, str] | None = None,
        keep: int = 64_000,
    ) -> Completed:
        hands_off()

    def put(self, source: Path | Mapping[str, bytes], dest: str) -> None:
        hands_off()

    def cut_off(self) -> AbstractContextManager[None]:
        hands_off()

    def close(self) -> None:
        with self._lock:
            if self._client is not None:
                with contextlib.suppress(Exception):
                    self._client.close()
            self._client = None


class LocalTarget:
    """See grader.nodes.node.Target. `workspace` is where the student's files lie.

    `address` is where published ports answer; None: find out.
    """

    kind = KIND
    read_only = True
    persistent = True
    timeout_factor = 1.0

    def __init__(self, engine: Engine, workspace: Path, address: str | None = None) -> None:
        self.engine = engine
        self.workspace = workspace
        self.address = address or user_engine.address(engine)
        self._here = OwnComputer(engine, self.address, workspace)
        self.nodes: list[Node] = [self._here]

    @classmethod
    def attach(cls, description: dict[str, Any]) -> LocalTarget:
        return cls(
            Engine(**description["engine"]),
            Path(description["workspace"]),
            description["address"],
        )

    def describe(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "engine": asdict(self.engine),
            "workspace": str(self.workspace),
            "address": self.address,
        }

    def node(self, name: str) -> Node:
        if name != self._here.name:
            raise KitError(f"The target has no node {name!r}.")
        return self._here

    def prepare(self) -> None:
        """Nothing: it stays as it is."""

    def restore(self) -> None:
        """Nothing: it was not changed."""

    def facts(self) -> dict[str, Any]:
        return {"kind": self.kind, "engine": self.engine.version, "nodes": 1, "live": True}

    def close(self) -> None:
        self._here.close()
