"""Whether packages are available where a submission runs: a student's build depends on it.

A build that could not fetch its packages is the student's fault only if another build could.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

from grader.errors import EngineFault
from grader.modules.explain import not_fetched, unreachable
from grader.modules.machine import Machine

if TYPE_CHECKING:
    from grader.nodes.node import Completed, Node

SOURCES = {
    "Debian packages": (
        "debian:bookworm",
        ["apt-get", "update", "-q", "-o", "APT::Update::Error-Mode=any"],
    ),
    "Python packages": (
        "python:3.11",
        ["pip", "download", "--no-deps", "--no-cache-dir", "--dest", "/tmp/packages", "redis"],
    ),
}
"""For each tool: an image of the lab, and a command that fetches something in a container of it."""

UNHEARD_OF = {
    "Debian packages": (
        "debian:bookworm",
        [
            "sh",
            "-c",
            'from=$(apt-get --print-uris update | sed -n "s|^\'\\(.*\\)/dists/.*|\\1|p" '
            "| head -n 1) && "
            "/usr/lib/apt/apt-helper -o Acquire::Retries=0 download-file "
            '"$from/pool/$0.deb" /tmp/x 2>&1',
        ],
    ),
    "Python packages": (
        "python:3.11",
        ["pip", "download", "--no-deps", "--no-cache-dir", "--dest", "/tmp/p"],
    ),
}
"""The same, for a name that does not exist (it is appended), so no cache can answer."""


NOT_STARTED = re.compile(
    r"unable to start container process: [a-z ]*: read init-p: connection reset by peer"
)
"""What runc says when the process that it has started itself is gone: no file can cause that."""


def blame_the_network(node: Node, done: Completed) -> None:
    """Raise the fault of network or engine if `done` failed because of it."""
    if not done.ok and NOT_STARTED.search(done.out):
        raise EngineFault("The engine could not start a container.", remedy="Grade again.")
    fault = network_fault(node, done)
    if fault is not None:
        raise fault


def network_fault(node: Node, done: Completed) -> EngineFault | None:
    """Why `done` failed, if no one can get its packages here; None if someone else could."""
    if done.ok or not unreachable(done.out):
        return None
    for what in SOURCES:
        if not come(node, what):
            return EngineFault(f"{what} cannot be reached from here: the network is down.")
    if not_fetched(done.out) and not all(reached(node, what) for what in UNHEARD_OF):
        return EngineFault(
            "The class mirror does not have all the packages that are needed here, and cannot "
            "reach their servers.",
            remedy="Connect this machine to the network, and grade again.",
        )
    return None


def come(node: Node, what: str, seconds: float = 90) -> bool:
    """Whether a new container, without any student's file, gets `what` (a key of SOURCES)."""
    return _in_a_container(node, *SOURCES[what], seconds).ok


def reached(node: Node, what: str, seconds: float = 90) -> bool:
    """Whether the server itself answers for `what`, even if it only says that it does not exist."""
    image, command = UNHEARD_OF[what]
    name = f"drydock-{secrets.token_hex(8)}"
    return not not_fetched(_in_a_container(node, image, [*command, name], seconds).out)


def _in_a_container(node: Node, image: str, command: list[str], seconds: float) -> Completed:
    machine = Machine.start(node, image)
    try:
        return node.run(["docker", "exec", machine.id, *command], timeout=seconds)
    finally:
        machine.remove()
