"""A docker command on a node that reads files of a submission, with a fixed environment.

    confined(node, ["docker", "compose", "version"], timeout=60, cwd="/").ok  # True

It runs on the sandbox's node: no program on the grading machine ever receives anything of a
submission. See grader.vetting.environment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from grader.vetting import environment

if TYPE_CHECKING:
    from grader.nodes.node import Completed, Node


def confined(
    node: Node, argv: Sequence[str], *, timeout: float, cwd: str, keep: int = 64_000
) -> Completed:
    """Like `Node.run`, with the fixed environment and no variable of the node.

    The result names the command as it was given.
    """
    command = environment.argv(list(argv), cwd)
    done = node.run(command, timeout=timeout, cwd=cwd, keep=keep)
    return replace(done, argv=tuple(argv))
