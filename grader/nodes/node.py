"""What a check may do with a node of a target, whatever the target is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import docker


@dataclass(frozen=True)
class Completed:
    """A command that was run on a node.

    `rc` is its exit code, None if it was stopped by the time limit.
    `out` holds standard output and error in order of arrival, the middle cut out where
    it was longer than the caller kept.
    """

    argv: tuple[str, ...]
    rc: int | None
    out: str
    seconds: float

    @property
    def ok(self) -> bool:
        return self.rc == 0

    @property
    def timed_out(self) -> bool:
        return self.rc is None

    def tail(self, lines: int = 12) -> str:
        """The last lines of the output, for a person to read."""
        kept = [line.rstrip() for line in self.out.splitlines() if line.strip()]
        return "\n".join(kept[-lines:])


class Node(Protocol):
    """A host with a Docker engine of its own."""

    name: str
    """`manager1`, `worker1`, `worker2`."""

    @property
    def workspace(self) -> Path | None:
        """Where the student's own files lie, on a node where what they have started from there is
        looked at. None where the grader brings the files."""
        ...

    @property
    def address(self) -> str:
        """IPv4 address to which the grader sends requests for published ports."""
        ...

    @property
    def docker(self) -> docker.DockerClient:
        """The Engine API of this node."""
        ...

    @property
    def host(self) -> Any:
        """The node itself as a testinfra host."""
        ...

    def machine(self, container: str) -> Any:
        """A container on this node's engine as a testinfra host (name or ID)."""
        ...

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        cwd: str = "/",
        env: Mapping[str, str] | None = None,
        keep: int = 64_000,
    ) -> Completed:
        """Run a program on the node, without a shell; `timeout` in seconds, `keep` in characters.

        The program and all it started are killed when the time is over.
        """
        ...

    def put(self, source: Path | Mapping[str, bytes], dest: str) -> None:
        """Copy a folder's regular files (with their rwx bits), or the given files, to `dest`."""
        ...

    def cut_off(self) -> AbstractContextManager[None]:
        """Stop the node with its engine and all that runs on it, as a power cut would.

        It goes on at the end of the block, and its engine answers again then.
        """
        ...


class Target(Protocol):
    """The place made for, or belonging to, one submission."""

    kind: str
    nodes: list[Node]

    read_only: bool
    """What runs there is the student's own: looked at, never changed. The grader starts only
    what carries its label (`drydock.role`), and takes it away again."""

    persistent: bool
    """The nodes are there after grading: what the grader made is taken away. So it is with
    read-only ones; the others are given up to the exercise by `prepare`."""

    timeout_factor: float
    """How many times longer than in a sandbox things may take: 1.0 there, more where machines are
    emulated. Waits are multiplied by it, times that are promised are not."""

    def node(self, name: str) -> Node: ...

    def prepare(self) -> None:
        """Make the nodes ready for an exercise: none of them is in a swarm. EngineFault.

        Persistent nodes leave the swarm they are in, and lose the volumes of its stacks. Nothing
        happens on a read-only target.
        """
        ...

    def restore(self) -> None:
        """Take away from persistent nodes what was made since `prepare`, the swarm first.

        Nothing happens on a read-only target, and on one that is thrown away.
        """
        ...

    def facts(self) -> dict[str, Any]:
        """The `target` part of a record."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...

    def describe(self) -> dict[str, Any]:
        """Plain data from which `grader.targets.attach` finds it again in another process."""
        ...
