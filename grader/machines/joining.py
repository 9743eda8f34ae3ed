"""Forms one swarm of nodes: the first is the manager, the others are workers. Safe to repeat.

vagrant/provision/swarm.sh has the commands for a node, as with `SWARM=1 vagrant up`. This module
decides when and where it runs: only a program that talks to both nodes can pass a token on.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from docker.errors import DockerException
from requests.exceptions import RequestException

from grader import paths
from grader.errors import KitError
from grader.machines.status_model import LOOK_SECONDS, together

if TYPE_CHECKING:
    from grader.machines.provider import Progress
    from grader.nodes.node import Node

SCRIPT = paths.KIT / "vagrant" / "provision" / "swarm.sh"
MANAGER = "manager1"
SECONDS = 300
"""For one call of the script: emulated machines are slow, and the script waits for the engine."""
FORGET_SECONDS = 40
"""After this time a manager has noticed that a replaced node is down."""


@dataclass(frozen=True)
class Failure:
    """A node that is not in the swarm, and its error message."""

    node: str
    what: str


class _Refused(Exception):
    """The script ended with an error; the message is the script's."""


def join(nodes: Sequence[Node], progress: Progress, pause: float = 2.0) -> list[Failure]:
    """Form the swarm, or add nodes that are not in it yet; return the nodes that failed.

    A node that fails does not stop the others. `pause` in seconds is how long the script waits
    before it asks an unready engine again.
    """
    manager = next((node for node in nodes if node.name == MANAGER), nodes[0])
    workers = [node for node in nodes if node is not manager]
    try:
        said = _script(manager, pause, "init", manager.address)
        progress(f"{manager.name}: {said}")
    except (KitError, _Refused) as error:
        others = [Failure(node.name, f"not tried, since {manager.name} failed") for node in workers]
        return [Failure(manager.name, str(error)), *others]

    token = _Once(lambda: _found(_script(manager, pause, "token"), r"SWMTKN-\S+"))
    came: list[str] = []

    def take_in(node: Node) -> Failure | None:
        try:
            own = _found(_script(node, pause, "id"), r"[a-z0-9]{25}|-")
            known = own != "-" and _found(_script(manager, pause, "knows", own), "yes|no") == "yes"
            # A token is a secret; a node that is a member already needs none.
            key = "-" if known else token()
            said = _script(node, pause, "join", manager.address, node.address, key)
        except (KitError, _Refused) as error:
            return Failure(node.name, str(error))
        progress(f"{node.name}: {said}")
        if not known:
            came.append(node.name)
        return None

    with ThreadPoolExecutor(max(1, len(workers))) as pool:
        failed = [failure for failure in pool.map(take_in, workers) if failure]
    try:
        _tidy(manager, _ids(nodes), progress, pause, wait=bool(came))
    except (KitError, _Refused) as error:
        failed.append(Failure(manager.name, f"cannot say who is in the swarm: {error!s}"))
    return failed


class _Once:
    """Asks once, for whichever caller needs the answer first."""

    def __init__(self, ask: Callable[[], str]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._answer: str | None = None

    def __call__(self) -> str:
        with self._lock:
            if self._answer is None:
                self._answer = self._ask()
            return self._answer


def _ids(nodes: Sequence[Node]) -> set[str]:
    """The IDs of these nodes as members now."""

    def own(node: Node) -> str:
        return str((node.docker.api.info().get("Swarm") or {}).get("NodeID") or "")

    answers = together(nodes, own, LOOK_SECONDS).values()
    return {answer for answer in answers if isinstance(answer, str)}


def _tidy(
    manager: Node, present: set[str], progress: Progress, pause: float, *, wait: bool
) -> None:
    """Make the managers forget nodes that were replaced by one of the same name.

    With `wait`, some were replaced just now: managers notice late that a node is down.
    """
    deadline = time.monotonic() + (FORGET_SECONDS if wait else 0)
    while names := _replaced(manager, present):
        for name in names:
            for line in _script(manager, pause, "tidy", name).splitlines():
                progress(f"{manager.name}: {line}")
        if time.monotonic() > deadline:
            return
        time.sleep(min(1.0, pause))


def _replaced(manager: Node, present: set[str]) -> list[str]:
    """Host names of members with a former member of the same name in the list."""
    try:
        listed = manager.docker.api.nodes()
    except (DockerException, RequestException) as error:
        raise _Refused(str(error)) from None
    names = {
        str(member["ID"]): str((member.get("Description") or {}).get("Hostname") or "")
        for member in listed
    }
    living = {name for member, name in names.items() if member in present}
    return sorted(living & {name for member, name in names.items() if member not in present})


def _script(node: Node, pause: float, *words: str) -> str:
    """The script's answer on a node. Raises KitError or _Refused."""
    # Line ends of a Windows checkout would break it. Nothing of it stays on the node.
    script = SCRIPT.read_text(encoding="utf-8").replace("\r\n", "\n")
    done = node.run(
        ["bash", "-c", script, "drydock-swarm", *words],
        timeout=SECONDS,
        env={"DRYDOCK_PAUSE": f"{pause:g}"},
    )
    if done.timed_out:
        raise _Refused(f"`swarm.sh {words[0]}` has not ended after {SECONDS} s")
    if not done.ok:
        raise _Refused(done.tail(6) or f"`swarm.sh {words[0]}` ended with exit code {done.rc}")
    return done.out.strip()


def _found(answer: str, pattern: str) -> str:
    """The matching line of an answer; docker may have printed warnings before it."""
    for line in reversed(answer.splitlines()):
        if re.fullmatch(pattern, line.strip()):
            return line.strip()
    raise _Refused(f"an answer that cannot be read: {answer[-200:]}")
