"""Whether packages can be had where a submission runs: what a student's build depends on.

A build that could not fetch its packages is the student's fault only if somebody else could.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.errors import EngineFault
from grader.explain import unreachable
from grader.modules.machine import Machine

if TYPE_CHECKING:
    from grader.targets.node import Completed, Node

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
"""What is fetched by whom: an image of the lab, and a command that fetches in a container of it."""


def blame_the_network(node: Node, done: Completed) -> None:
    """EngineFault if `done` failed for want of packages that nobody gets here."""
    if done.ok or not unreachable(done.out):
        return
    for what in SOURCES:
        if not come(node, what):
            raise EngineFault(f"{what} cannot be reached from here: the network is down.")


def come(node: Node, what: str, seconds: float = 90) -> bool:
    """Whether a fresh container, without any student's file, gets `what` (a key of SOURCES)."""
    image, command = SOURCES[what]
    machine = Machine.start(node, image)
    try:
        return node.run(["docker", "exec", machine.id, *command], timeout=seconds).ok
    finally:
        machine.remove()
