"""A container as its node sees it: processes, sockets and files, without asking the container.

    inside = Inside(node, container_id)
    [p.program for p in inside.processes()]  # ['nginx', 'nginx', 'php-fpm', 'php-fpm']
    inside.listening()  # [Socket(address='0.0.0.0', port=80)]
    with inside.frozen("php-fpm"):
        get(node.address, port)  # None: the page needs PHP-FPM

Programs in a student's container can report false data; the node's kernel and engine do not.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.errors import EngineFault
from grader.modules.container import Container
from grader.modules.tree import Entry, entries
from grader.nodes import commands

if TYPE_CHECKING:
    from grader.nodes.node import Completed, Node

MAX_FILE = 20_000_000
"""Bytes of a file that `read` gives."""

SECONDS = 30
"""The time limit for one question to the node, in seconds."""

MAX_LOG = 200_000
"""Bytes of a log that are looked at."""


@dataclass(frozen=True)
class Process:
    """A process of the container; `pid` is its number on the node, `user` the user ID (0: root).

    `program` is the name without folder, version and arguments: `php-fpm`, `nginx`, `bash`.
    """

    pid: int
    user: int
    command: str

    @property
    def program(self) -> str:
        first = self.command.split(" ")[0].rstrip(":").rpartition("/")[2]
        return first.rstrip("0123456789.") or first

    @property
    def is_runtime(self) -> bool:
        """Whether its name is that of the container runtime, which will become the program that
        it starts."""
        return self.program == "runc" and self.command.split()[1:] == ["init"]


_COLUMNS = ("pidns", "pid", "ppid", "stat", "uid", "args")
"""The fields of `ps` for each process; the last one can contain blanks."""


def processes_of(table: str, first: int) -> list[Process]:
    """The processes in the process namespace of number `first`, without dead ones.

    When an engine starts something in a container (for example a health check), its runtime is
    there for a moment, as root: it is left out. A submission's program with that name counts,
    because its parent is in the container, or it is the container's first process.
    """
    rows = [line.split(None, 5) for line in table.splitlines()]
    named = {row[1]: row for row in rows if len(row) == 6}
    space = named[str(first)][0] if str(first) in named else "-"
    if space == "-":
        return []
    found: list[Process] = []
    for number, (own, _, parent, state, user, command) in named.items():
        if own != space or state.startswith("Z"):
            continue
        process = Process(int(number), int(user), command.strip())
        entered = parent not in named or named[parent][0] != space
        if entered and int(number) != first and process.is_runtime:
            continue
        found.append(process)
    return sorted(found, key=lambda p: p.pid)


@dataclass(frozen=True, order=True)
class Socket:
    """A TCP socket that listens."""

    address: str
    port: int

    @property
    def from_outside(self) -> bool:
        """Whether it can be reached from outside the container."""
        return not (self.address.startswith("127.") or self.address == "::1")


class Inside:
    """See the module's docstring."""

    def __init__(self, node: Node, container: str) -> None:
        self.node = node
        self.id = container

    def now(self) -> Container:
        """The container's present state, from the engine. Raises EngineFault if it is gone."""
        from docker.errors import NotFound

        try:
            return Container(self.node.docker.api.inspect_container(self.id))
        except NotFound:
            raise EngineFault("A container that the grader had started is gone.") from None

    def first_process(self) -> int:
        """Its first process's number on the node; 0 if it does not run."""
        state = self.now()
        return state.pid if state.running else 0

    def processes(self) -> list[Process]:
        """Its processes by number; none if it does not run.

        The Engine API's `top` needs control groups, which a sandbox's engine does not use. So the
        node lists all processes in the same process namespace.
        """
        first = self.first_process()
        if not first:
            return []
        columns = [word for name in _COLUMNS for word in ("-o", f"{name}=")]
        return processes_of(self._ask(["ps", "-e", *columns]).out, first)

    def listening(self) -> list[Socket]:
        """Its TCP sockets that listen, by address and port; none if it does not run."""
        first = self.first_process()
        if not first:
            return []
        tables = [f"/proc/{first}/net/{name}" for name in ("tcp", "tcp6")]
        rows = (line.split() for line in self._ask(["cat", *tables]).out.splitlines())
        found = {_socket(row[1]) for row in rows if len(row) > 3 and row[3] == "0A"}
        return sorted(s for s in found if s.address != "127.0.0.11")

    @contextmanager
    def frozen(self, program: str) -> Iterator[list[Process]]:
        """Stop all processes of a program without ending them; yields these processes.

        Because they still exist, no supervisor starts new ones.
        """
        held: dict[int, Process] = {}
        try:
            # Twice: what the first round missed was being forked meanwhile.
            for _ in range(2):
                fresh = [p for p in self.processes() if p.program == program and p.pid not in held]
                held.update({p.pid: p for p in fresh})
                self._signal("STOP", fresh)
            yield list(held.values())
        finally:
            self._signal("CONT", held.values())

    def files(self, trees: Iterable[str]) -> dict[str, Entry]:
        """Everything under these folders by path; a folder that does not exist is empty."""
        found: dict[str, Entry] = {}
        for tree in trees:
            found.update(entries(self.node, self.id, tree))
        return found

    def read(self, path: str) -> bytes:
        """A file's content, empty if there is none."""
        found = entries(self.node, self.id, path, keep=MAX_FILE).get(path)
        return (found.content if found else None) or b""

    def log(self, *, out: bool = True, err: bool = True, lines: int = 200) -> str:
        """The last lines of what its first process wrote to standard output, error, or both."""
        from docker.errors import APIError

        try:
            told = commands.log(
                self.node.docker, self.id, lines=lines, keep=MAX_LOG, out=out, err=err
            )
        except APIError:
            return ""
        return told.decode("utf-8", errors="replace")

    def remove(self) -> None:
        """Remove the container and its anonymous volumes; nothing happens if it is gone."""
        from docker.errors import APIError

        try:
            self.node.docker.api.remove_container(self.id, force=True, v=True)
        except APIError as error:
            if error.status_code not in (404, 409):
                raise EngineFault(f"A container cannot be removed: {error}") from error

    def _signal(self, name: str, processes: Iterable[Process]) -> None:
        numbers = [str(p.pid) for p in processes]
        if numbers:
            self._ask(["kill", "-s", name, *numbers])

    def _ask(self, argv: list[str]) -> Completed:
        done = self.node.run(argv, timeout=SECONDS, keep=1_000_000)
        if done.timed_out:
            raise EngineFault(f"The node does not answer: {argv[0]}")
        return done


def _socket(text: str) -> Socket:
    """`0100007F:0050` of /proc/net/tcp: address bytes in host order by four, then the port."""
    address, _, port = text.partition(":")
    words = [bytes.fromhex(address[i : i + 8])[::-1] for i in range(0, len(address), 8)]
    raw = b"".join(words)
    family = socket.AF_INET if len(raw) == 4 else socket.AF_INET6
    return Socket(socket.inet_ntop(family, raw), int(port, 16))
