"""What every provider of machines can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from grader.errors import KitError

if TYPE_CHECKING:
    from grader.nodes.node import Node, Target

UP = "nox -s swarm -- up"

Progress = Callable[[str], None]
"""Called with a line for the user whenever something begins or is found."""

Shell = list[str] | Callable[[], int]
"""A command to run in the foreground on this terminal; or a function that does everything and
returns the exit code."""


@dataclass(frozen=True)
class Options:
    """`engine_url` as in DOCKER_HOST, for `containers`; `hosts_file` for `hosts`."""

    engine_url: str | None = None
    hosts_file: Path | None = None


class Provider(Protocol):
    """Makes, finds and removes machines with engines. All methods raise KitError."""

    kind: str

    def up(self, progress: Progress) -> None:
        """Start all machines and wait until their engines answer. Prints what it does, and
        changes nothing if all machines already run."""
        ...

    def nodes(self) -> list[Node]:
        """The machines that run, the first manager first. Raises KitError if there are none."""
        ...

    def target(self, nodes: int, *, read_only: bool) -> Target:
        """The first `nodes` machines as a target for checks; see `grader.nodes.node.Target`."""
        ...

    def missing(self) -> Mapping[str, str]:
        """Machines that should run and do not: name, and why (a sentence without its end)."""
        ...

    def remarks(self) -> list[str]:
        """Other things that a user of the machines should know, one sentence each."""
        ...

    def down(self) -> None:
        """Remove the machines (or only disconnect from them, if they do not belong to the kit)."""
        ...

    def shell(self, name: str, command: Sequence[str]) -> Shell:
        """A login on a machine; or one command there, as its argv.

        Uses this process's terminal if standard input and output are one.
        """
        ...

    def docker_host(self, name: str) -> str:
        """DOCKER_HOST for a docker command on this computer that uses that machine."""
        ...


def none_there() -> KitError:
    return KitError("No machines are up.", remedy=f"First: {UP}")


def no_such(name: str, known: Sequence[str]) -> KitError:
    return KitError(f"There is no node {name!r}.", remedy=f"There are: {', '.join(known)}.")
