"""A node: a container of the host's engine that is itself a Docker engine.

Sandboxes consist of nodes; the image set is built on one.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from socket import socket as Socket
from typing import IO, TYPE_CHECKING, Any

from grader.engine import (
    archive,
    node_socket,
)
from grader.engine.node_socket import NodeSocket, Process
from grader.errors import EngineFault
from grader.nodes import commands, reach
from grader.nodes.node import Completed

if TYPE_CHECKING:
    from docker import DockerClient

    from grader.engine.client import Engine

READY_SECONDS = 90.0
FREEZES = 25
"""How often freezing a node is tried."""
LOG_KEPT = 20_000
"""How many bytes of a node's log are shown: its root can fill it."""


@dataclass
class SandboxNode:
    """A running node, as the kit sees it (see grader.nodes.node.Node).

    `address` is its IPv4 address on the sandbox's network. `socket` is where the nested engine
    listens on this machine, None if the kit reaches it through the host's engine.
    """

    name: str
    container_id: str
    address: str
    engine: Engine
    socket: NodeSocket | None = None
    disk_limited: bool = False
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _outer: DockerClient | None = field(default=None, repr=False)
    _nested: DockerClient | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        plain: Any = self.socket
        if isinstance(plain, dict):  # as `describe` gives it to another process
            self.socket = NodeSocket.from_plain(plain)
        if not self.engine.local:
            reach.relay(self.address, self.open)

    def open(self, port: int, timeout: float) -> Socket:
        """A connection to a port of this node, made from inside it. Raises OSError."""
        from docker.errors import DockerException

        from grader.engine import stdio_transport

        try:
            return stdio_transport.tcp(self.outer, self.container_id, self.address, port, timeout)
        except DockerException as error:
            raise ConnectionError(f"no way to {self.name}: {error}") from error

    @property
    def outer(self) -> DockerClient:
        """The host's engine."""
        with self._lock:
            if self._outer is None:
                self._outer = self.engine.client()
            return self._outer

    @property
    def docker(self) -> DockerClient:
        """The engine in this node."""
        with self._lock:
            if self._nested is None:
                self._nested = self.connect()
            return self._nested

    def connect(self, timeout: float = 60) -> DockerClient:
        """A new client of the engine in this node; `timeout` in seconds per request."""
        from grader.engine import bounded

        return bounded.client(self.dial, timeout)

    def dial(self) -> Socket:
        """A connection to the engine in this node.

        Raises EngineFault: `bounded.Unanswered` if no engine listens.
        """
        if self.socket is not None:
            try:
                return self.socket.connect()
            except node_socket.Replaced:
                if not self._started_again(self.socket):
                    raise
                return self.socket.connect()
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        from grader.engine import bounded, stdio_transport

        try:
            return stdio_transport.stream(self.outer, self.container_id)
        except (DockerException, RequestException) as error:
            raise bounded.Unanswered(f"The node {self.name} does not answer: {error}") from None

    def _started_again(self, known: NodeSocket) -> bool:
        """Whether the host's engine has restarted the node: then its nested engine is a new one,
        too.

        Root of a node can end it, but cannot start it.
        """
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        try:
            state = self.outer.api.inspect_container(self.container_id)["State"]
        except (DockerException, RequestException):
            return False
        first = Process.of(int(state["Pid"]))
        if first is None or first == known.first:
            return False
        self.socket = replace(known, first=first, engine=None)
        return True

    @property
    def socket_path(self) -> str | None:
        """The socket's path for the user's own docker command; the kit itself never uses it."""
        return self.socket.path if self.socket is not None else None

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        cwd: str = "/",
        env: Mapping[str, str] | None = None,
        keep: int = 64_000,
    ) -> Completed:
        """Run a program on the node, without a shell; see `grader.nodes.node.Node.run`."""
        return commands.run(
            self.outer, self.container_id, argv, timeout=timeout, cwd=cwd, env=env, keep=keep
        )

    def put(self, source: Path | Mapping[str, bytes], dest: str) -> None:
        """Copy a folder's or mapping's regular files to the folder `dest`, made if missing."""
        with archive.pack(source) as tar:
            self.put_tar(tar, dest)

    def put_tar(self, tar: IO[bytes], dest: str) -> None:
        """Unpack what `archive` has packed in the folder `dest`, made if missing."""
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        made = self.run(["mkdir", "-p", "--", dest], timeout=60)
        if not made.ok:
            raise EngineFault(f"No folder {dest} on {self.name}: {made.out.strip()}")
        try:
            self.outer.api.put_archive(self.container_id, dest, tar)
        except (DockerException, RequestException) as error:
            raise EngineFault(f"Files could not be copied to {self.name}: {error}") from None

    @property
    def workspace(self) -> None:
        """The grader brings the files."""
        return None

    @property
    def host(self) -> Any:
        """The node itself as a testinfra host."""
        from grader.engine.testinfra_host import container_host

        return container_host(self.outer, self.container_id)

    def machine(self, container: str) -> Any:
        """A container in this node as a testinfra host (name or ID)."""
        from grader.engine.testinfra_host import container_host

        return container_host(self.docker, container)

    @contextlib.contextmanager
    def cut_off(self) -> Iterator[None]:
        """Freeze the node from outside: nothing of it runs or answers, and nothing of it is
        lost."""
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        outer = self.outer.api
        try:
            _freeze(outer, self.container_id)
            try:
                yield
            finally:
                outer.unpause(self.container_id)
        except (DockerException, RequestException) as error:
            raise EngineFault(f"{self.name} cannot be stopped and started: {error}") from None
        self.wait_ready()

    def log(self, lines: int = 30) -> str:
        """The end of the node's engine log."""
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        try:
            text = commands.log(self.outer, self.container_id, lines=lines, keep=LOG_KEPT)
        except (DockerException, RequestException, EngineFault) as error:
            return f"(no log: {error})"
        return text.decode("utf-8", errors="replace").strip()

    def wait_ready(self, seconds: float | None = None) -> None:
        """Wait until the nested engine answers. Raises EngineFault with its log if it does not."""
        from docker.errors import DockerException, NotFound
        from requests.exceptions import RequestException

        seconds = READY_SECONDS if seconds is None else seconds
        deadline = time.monotonic() + seconds
        pause = 0.02
        while True:
            with (
                contextlib.suppress(DockerException, RequestException, OSError),
                contextlib.closing(self.connect(timeout=5)) as client,
            ):
                if client.ping():
                    return
            try:
                state = self.outer.api.inspect_container(self.container_id)["State"]
            except NotFound:
                raise EngineFault(f"The node {self.name} was removed while it started.") from None
            except (DockerException, RequestException) as error:
                raise EngineFault(f"The engine does not answer: {error}") from None
            if not state["Running"]:
                raise EngineFault(
                    f"The node {self.name} ended while it started (exit code "
                    f"{state['ExitCode']}). The end of its log:\n{self.log()}",
                    remedy=remedy_for(self.engine),
                )
            if time.monotonic() > deadline:
                raise EngineFault(
                    f"The node {self.name} does not answer after {seconds:.0f} s. "
                    f"The end of its log:\n{self.log()}",
                    remedy=remedy_for(self.engine),
                )
            time.sleep(pause)
            pause = min(0.5, pause * 1.5)

    def close(self) -> None:
        """Close all connections."""
        reach.forget(self.address, self.open)
        with self._lock:
            for client in (self._nested, self._outer):
                if client is not None:
                    with contextlib.suppress(Exception):
                        client.close()
            self._nested = self._outer = None

    def describe(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "container_id": self.container_id,
            "address": self.address,
            "socket": self.socket.plain() if self.socket else None,
            "disk_limited": self.disk_limited,
        }


def _freeze(api: Any, container: str) -> None:
    """Pause a container; if many processes are just starting, the kernel needs several tries."""
    from docker.errors import APIError

    for attempt in range(1, FREEZES + 1):
        try:
            api.pause(container)
        except APIError as error:
            if "unable to freeze" not in str(error) or attempt == FREEZES:
                raise
            time.sleep(0.2)
        else:
            return


def remedy_for(engine: Engine) -> str | None:
    if engine.isolation == "userns":
        return None
    return (
        "This engine may not be able to host the kit's nodes. Use --engine embedded for the kit's "
        "own engine; `python -m grader doctor` shows what this machine has."
    )
