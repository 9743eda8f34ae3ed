"""The broker: does for the process of checks what it may do with its target.

    with Broker(target) as broker:
        subprocess.Popen(…, pass_fds=[broker.handle])
        broker.started()

The process of checks reads what strangers wrote. It holds no engine's socket, no address of the
host and no network: it holds one end of a socket pair, and over that asks for a program to be run
on a node, files to be put there, or a connection to a node's own engine or port. Connections are
opened here and handed over open, so what goes through them costs nothing more.

Each request says a node of this target by its name; there is no way to say anything else.
"""

from __future__ import annotations

import contextlib
import errno
import math
import select
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from docker.errors import DockerException
from requests.exceptions import RequestException

from grader.engine import archive
from grader.errors import EngineFault, KitError
from grader.nodes import commands, reach
from grader.targets import frames

if TYPE_CHECKING:
    from grader.engine.node import SandboxNode
    from grader.nodes.node import Target

RUN_OUT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL)
"""What keeps this machine from connecting, whoever is at the other end."""

SESSIONS = 128
"""How many requests may be under way at once."""

LONGEST_SECONDS = 24 * 3600.0
MAX_KEEP = 32_000_000
MAX_FILES = 10_000
MAX_FILES_BYTES = 512 * 1024**2

END_SECONDS = 30
"""How long the end waits for commands to be gone and nodes to go on."""


class Broker:
    """See the module. At its end all commands that were started over it are killed."""

    def __init__(self, target: Target) -> None:
        from grader.engine.sandbox_target import SandboxTarget

        if not isinstance(target, SandboxTarget):
            raise TypeError("The broker is for sandboxes.")
        self._target = target
        self._nodes: dict[str, SandboxNode] = {node.name: node for node in target.sandbox.nodes}
        self._ours, self._theirs = socket.socketpair()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._sessions: dict[socket.socket, threading.Thread] = {}
        self._door = threading.Thread(target=self._serve, daemon=True, name="broker")

    @property
    def handle(self) -> int:
        """The descriptor to be inherited by the process of checks."""
        return self._theirs.fileno()

    def describe(self) -> dict[str, Any]:
        """What `grader.targets.attach` needs in the process of checks."""
        return self._target.describe_brokered(self.handle)

    def started(self) -> None:
        """The process has its end: once it lets go of it, no one else holds it."""
        self._theirs.close()

    def __enter__(self) -> Broker:
        self._door.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        with contextlib.suppress(OSError):
            self._ours.shutdown(socket.SHUT_RDWR)
        self._door.join()
        with self._lock:
            sessions = dict(self._sessions)
        for channel in sessions:
            with contextlib.suppress(OSError):
                channel.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + END_SECONDS
        for thread in sessions.values():
            thread.join(max(0.0, deadline - time.monotonic()))
        self._ours.close()
        self._theirs.close()

    def _serve(self) -> None:
        """Hand out a channel for each byte that comes; requests are made on these."""
        with contextlib.suppress(OSError):
            while not self._over.is_set() and self._ours.recv(1):
                with self._lock:
                    full = len(self._sessions) >= SESSIONS
                if full:
                    frames.hand_over(self._ours, None)
                    continue
                mine, theirs = socket.socketpair()
                with theirs:
                    thread = threading.Thread(target=self._session, args=(mine,), daemon=True)
                    with self._lock:
                        self._sessions[mine] = thread
                    thread.start()
                    frames.hand_over(self._ours, theirs)

    def _session(self, channel: socket.socket) -> None:
        try:
            with contextlib.suppress(OSError):
                while not self._over.is_set():
                    request, _ = frames.receive(channel)
                    self._answer(channel, request)
        finally:
            with self._lock:
                self._sessions.pop(channel, None)
            channel.close()

    def _answer(self, channel: socket.socket, request: dict[str, Any]) -> None:
        """Do what is asked; what went wrong is said. What is no request ends the channel."""
        operations: dict[str, Callable[[socket.socket, SandboxNode, dict[str, Any]], None]] = {
            "run": self._run,
            "execute": self._execute,
            "put": self._put,
            "engine": self._engine,
            "open": self._open,
            "cut off": self._cut_off,
        }
        try:
            operation = operations[request["do"]]
            node = self._nodes[request["node"]]
            operation(channel, node, request)
        except KitError as error:
            frames.send(channel, {"fault": [error.what, error.where, error.remedy]})
        except (DockerException, RequestException) as error:
            frames.send(channel, {"fault": [f"The engine does not answer: {error}", None, None]})
        except frames.Ended:
            raise
        except Exception as error:
            # No request, or a fault of this side: it is said, and the channel ends.
            frames.send(channel, {"fault": [f"The grader could not do it: {error!r}", None, None]})
            raise frames.Ended("a request failed") from None

    def _run(self, channel: socket.socket, node: SandboxNode, request: dict[str, Any]) -> None:
        asked: dict[str, Any] = {
            "argv": _words(request["argv"]),
            "timeout": _seconds(request["timeout"]),
            "cwd": _text(request["cwd"]),
            "env": {_text(k): _text(v) for k, v in request["env"].items()},
            "keep": min(int(request["keep"]), MAX_KEEP),
            "given_up": lambda: self._over.is_set() or _gone(channel),
        }
        done = commands.run(node.outer, node.container_id, **asked)
        # Of what came in other encodings some characters may have become longer.
        said = done.out.encode("utf-8", errors="replace")[: frames.BODY_BYTES]
        frames.send(channel, {"rc": done.rc, "seconds": done.seconds}, said)

    def _execute(self, channel: socket.socket, node: SandboxNode, request: dict[str, Any]) -> None:
        from grader.engine import testinfra_host

        argv, seconds = _words(request["argv"]), _seconds(request["seconds"])
        rc, out, err = testinfra_host.execute(node.outer, node.container_id, argv, seconds=seconds)
        frames.send(channel, {"rc": rc, "out": len(out)}, out + err)

    def _put(self, channel: socket.socket, node: SandboxNode, request: dict[str, Any]) -> None:
        dest = _text(request["dest"])
        entries = [archive.Entry(*entry) for entry in request["entries"]]
        if len(entries) > MAX_FILES or sum(e.size or 0 for e in entries) > MAX_FILES_BYTES:
            raise ValueError("too much to put on a node")
        with channel.makefile("rb") as content, archive.pack_entries(entries, content) as tar:
            node.put_tar(tar, dest)
        frames.send(channel, {})

    def _engine(self, channel: socket.socket, node: SandboxNode, request: dict[str, Any]) -> None:
        self._connect(channel, node.dial)

    def _open(self, channel: socket.socket, node: SandboxNode, request: dict[str, Any]) -> None:
        port, seconds = int(request["port"]), _seconds(request["timeout"])
        if not 0 < port < 65536:
            raise ValueError("no port")
        self._connect(channel, lambda: reach.connect(node.address, port, seconds))

    def _connect(self, channel: socket.socket, connect: Callable[[], socket.socket]) -> None:
        try:
            made = connect()
        except TimeoutError as error:
            frames.send(channel, {"timeout": str(error)})
        except OSError as error:
            if error.errno in RUN_OUT:
                raise EngineFault(f"The grader cannot connect: {error.strerror}") from None
            frames.send(channel, {"errno": error.errno, "error": error.strerror or str(error)})
        except (DockerException, RequestException) as error:
            frames.send(channel, {"errno": None, "error": str(error)})
        else:
            with made:
                made.setblocking(True)
                frames.send(channel, {})
                frames.hand_over(channel, made)

    def _cut_off(self, channel: socket.socket, node: SandboxNode, request: dict[str, Any]) -> None:
        """Until the channel says more, or is gone."""
        with node.cut_off():
            frames.send(channel, {})
            with contextlib.suppress(OSError):
                channel.recv(1)
        frames.send(channel, {})


def _gone(channel: socket.socket) -> bool:
    """Whether no one is at the other end any more."""
    poll = select.poll()
    poll.register(channel, select.POLLRDHUP if hasattr(select, "POLLRDHUP") else select.POLLHUP)
    return bool(poll.poll(0))


def _seconds(value: object) -> float:
    seconds = float(value)  # type: ignore[arg-type]
    if not math.isfinite(seconds) or not 0 <= seconds <= LONGEST_SECONDS:
        raise ValueError("no time")
    return seconds


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _words(values: object) -> list[str]:
    if not isinstance(values, list) or not values:
        raise TypeError("no command")
    return [_text(value) for value in values]
