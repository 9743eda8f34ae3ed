"""The socket of a node's engine, opened on the host without trusting the contents of its folder.

The folder is the node's own tmpfs, a volume of the host's engine. Root of the node can put anything
there: links, pipes, sockets with another program behind them. So the host opens the path to the
folder step by step, through folders that only its engine can write. Inside the folder it opens only
a socket, never a link's target. The process that listens there must be the engine that listened
when the node started.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import struct
import sys
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from grader.engine import orphans
from grader.errors import EngineFault

NAME = "engine.sock"
SIZE = "1m"
FILES = 16


def volume(run_id: str, name: str) -> str:
    """The name of the volume that is a node's socket folder."""
    return f"drydock-{run_id}-{name}-socket"


@dataclass(frozen=True)
class Process:
    """A process, identified for good: its number alone can be reused by others."""

    pid: int
    started: int

    @staticmethod
    def of(pid: int) -> Process | None:
        started = orphans.start_time(pid) if pid > 0 else None
        return None if started is None else Process(pid, started)


@dataclass
class NodeSocket:
    """Where a node's engine listens, as plain data.

    `host` is the host's engine; `path` leads to this socket for the user's own docker command;
    `mountpoint` is its folder as the host's engine sees it; `uid` is the host's user ID of the
    node's root; `first` is the node's first process; `engine` its engine, None until it was seen.
    """

    host: Process
    path: str
    mountpoint: str
    uid: int
    first: Process
    engine: Process | None = None

    @staticmethod
    def from_plain(plain: dict[str, Any]) -> NodeSocket:
        processes = {name: plain[name] for name in ("host", "first", "engine")}
        known = {name: Process(**each) if each else None for name, each in processes.items()}
        return NodeSocket(**{**plain, **known})

    def plain(self) -> dict[str, Any]:
        return asdict(self)

    def connect(self, timeout: float = 60) -> socket.socket:
        """A connection to the node's engine.

        Raises EngineFault: `bounded.Unanswered` if none listens, another one if something else has
        replaced it.
        """
        from grader.engine.bounded import Unanswered

        try:
            with contextlib.ExitStack() as handles:
                folder = self._folder(handles)
                made = _connect(folder, NAME, timeout)
        except OSError as error:
            if error.errno == errno.EPROTOTYPE:  # a socket of another kind
                raise replaced() from None
            why = error.strerror or error
            raise Unanswered(f"The node's engine does not answer ({why}).") from None
        try:
            self._check(made)
        except BaseException:
            made.close()
            raise
        return made

    @property
    def folder(self) -> str:
        """The folder's path on this machine, as long as the host's engine runs."""
        return f"/proc/{self.host.pid}/root{self.mountpoint}"

    def reachable(self) -> bool:
        """Whether this process can open the folder: as root, next to the host's engine."""
        with contextlib.ExitStack() as handles:
            try:
                self._folder(handles)
            except OSError:
                return False
        return True

    def _folder(self, handles: contextlib.ExitStack) -> int:
        """A handle of the folder. Raises OSError."""

        def step(name: str, above: int | None, flags: int = os.O_NOFOLLOW) -> int:
            handle = os.open(name, os.O_PATH | os.O_DIRECTORY | flags, dir_fd=above)
            handles.callback(os.close, handle)
            return handle

        # The engine's mounts are its own: the way leads through its eyes. The handle holds on to
        # the process; if its number still stands for the engine after that, it is the engine's.
        process = step(f"/proc/{self.host.pid}", None)
        if Process.of(self.host.pid) != self.host:
            raise ProcessLookupError(errno.ESRCH, "the host's engine was started again")
        folder = above = step("root", process, 0)
        for part in PurePosixPath(self.mountpoint).parts[1:]:
            above, folder = folder, step(part, folder)
        if os.fstat(folder).st_dev == os.fstat(above).st_dev:
            raise FileNotFoundError(errno.ENOENT, "the node does not run")
        return folder

    def _check(self, made: socket.socket) -> None:
        """Check that the listening process is the node's engine; the first time, remember it."""
        pid, uid = _peer(made)
        found = Process.of(pid)
        if uid != self.uid or found is None or (self.engine or found) != found:
            raise replaced()
        if self.engine is None:
            # A container's process inside the node counts otherwise.
            try:
                same = _namespace(found) == _namespace(self.first)
            except OSError:
                same = False
            if not same:
                raise replaced()
        self.engine = found


class Replaced(EngineFault):
    """Something other than the node's engine is at its socket."""


def replaced() -> Replaced:
    return Replaced(
        "Something replaced the socket of the node's engine; the kit does not open it.",
        remedy="Grade this submission again alone; if it happens again, check what the submission "
        "runs.",
    )


def _namespace(process: Process) -> int:
    """The process's PID namespace. Raises OSError if the process has ended."""
    number = Path(f"/proc/{process.pid}/ns/pid").stat().st_ino
    if Process.of(process.pid) != process:
        raise ProcessLookupError(errno.ESRCH, "the process has ended")
    return number


def below(folder: Path, name: str, timeout: float) -> socket.socket:
    """A connection to the socket `name` in a folder with a trusted path.

    Raises OSError if nothing listens, EngineFault if `name` is not a socket.
    """
    if not sys.platform.startswith("linux"):
        return by_path(str(folder / name), timeout)
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        return _connect(handle, name, timeout)
    finally:
        os.close(handle)


def by_path(path: str, timeout: float) -> socket.socket:
    """A connection to a socket with a trusted path, including links. Raises OSError."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.settimeout(timeout)
        made.connect(path)
    except BaseException:
        made.close()
        raise
    return made


def _connect(folder: int, name: str, timeout: float) -> socket.socket:
    """Connect to exactly the entry in the folder with that name, if it is a socket."""
    handle = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=folder)
    try:
        found = os.fstat(handle)
        if not stat.S_ISSOCK(found.st_mode) or found.st_dev != os.fstat(folder).st_dev:
            raise replaced()
        return by_path(f"/proc/self/fd/{handle}", timeout)
    finally:
        os.close(handle)


def _peer(connected: socket.socket) -> tuple[int, int]:
    """(process, user) of the process that began to listen at the other end."""
    told = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _gid = struct.unpack("3i", told)
    return int(pid), int(uid)


def listener(path: str) -> Process | None:
    """The process that listens at a socket of this machine. Raises OSError if none does."""
    with by_path(path, 10) as connected:
        return Process.of(_peer(connected)[0])
