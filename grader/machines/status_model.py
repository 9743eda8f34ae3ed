"""The state of a swarm as data: nodes, problems, and the connections between nodes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar

from grader.errors import KitError

if TYPE_CHECKING:
    from grader.nodes.node import Node


T = TypeVar("T")


LOOK_SECONDS = 20
"""A node that is silent for this long counts as not answering; the others are not delayed."""


Role = Literal["leader", "manager", "worker", "none", ""]


Passage = Literal["open", "free", "blocked", "unknown"]


@dataclass(frozen=True)
class Way:
    """A port of `dest` as seen from `source`.

    `open`: it answers (or, for UDP, packets arrive at a node of a swarm). `free`: packets arrive
    and no program listens, as before there is a swarm. `blocked`: packets do not arrive.
    """

    port: str
    source: str
    dest: str
    state: Passage


@dataclass(frozen=True)
class Mesh:
    """Whether a published port answers at each node, with its service's name.

    `state`: `no swarm`, `nothing published`, `no running task`, `no ip_vs` (in the kernel of a node
    where it does not answer), `asked`.
    """

    state: Literal["no swarm", "nothing published", "no running task", "no ip_vs", "asked"] = (
        "no swarm"
    )
    service: str = ""
    port: int = 0
    answers: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Clock:
    """How far a node's clock is ahead of the first node's, in seconds, with the uncertainty."""

    ahead: float
    uncertainty: float


@dataclass(frozen=True)
class NodeStatus:
    """One machine. Unknown values are empty.

    `trouble` says why it does not answer. `state` is the engine's own report about its swarm
    (inactive, pending, active, locked, error). `membership` is the managers' report (ready, down,
    unknown, disconnected; `stranger` if they do not know it).
    """

    name: str
    address: str = ""
    trouble: str = ""
    engine: str = ""
    state: str = ""
    error: str = ""
    role: Role = ""
    node_id: str = ""
    advertised: str = ""
    membership: str = ""
    availability: str = ""
    clock: Clock | None = None

    @property
    def answers(self) -> bool:
        return not self.trouble

    @property
    def in_swarm(self) -> bool:
        return self.state in ("active", "pending")


@dataclass(frozen=True)
class Problem:
    """What is wrong, as a sentence, and what to do."""

    what: str
    remedy: str


@dataclass(frozen=True)
class Status:
    """Everything that was found. `former` are members of the swarm that are not among these
    machines."""

    nodes: list[NodeStatus]
    ways: list[Way] = field(default_factory=list)
    mesh: Mesh = field(default_factory=Mesh)
    former: list[str] = field(default_factory=list)
    leaderless: bool = False
    problems: list[Problem] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def together(
    nodes: Sequence[Node], ask: Callable[[Node], T], seconds: float
) -> dict[str, T | Exception]:
    """Each node's answer to `ask`, or the exception; TimeoutError after `seconds`."""
    answers: dict[str, T | Exception] = {}

    def one(node: Node) -> None:
        try:
            answers[node.name] = ask(node)
        except Exception as error:  # whatever it is, it is about this node alone
            answers[node.name] = error

    # Not a pool: it would wait for a thread that hangs, at the latest when Python ends.
    threads = [threading.Thread(target=one, args=[node], daemon=True) for node in nodes]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = TimeoutError(f"no answer within {seconds:g} s")
    return {node.name: answers.get(node.name, late) for node in nodes}


def in_words(error: Exception) -> str:
    """An exception as the end of a sentence."""
    said = error.what if isinstance(error, KitError) else str(error)
    return said.strip().rstrip(".").split("\n")[0] or type(error).__name__
