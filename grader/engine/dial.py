"""A nested engine's API where its socket cannot be opened: through the host's engine.

Each connection is an exec of `docker system dial-stdio` in the node, whose standard
streams are a connection to the node's engine. Works wherever the host's engine does:
Docker Desktop's virtual machine, users who are not root, engines far away.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any

import docker
import requests.adapters
import urllib3.connection
import urllib3.connectionpool

from grader.engine import commands

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BASE = "http+docker://localhost"
DIAL = ("docker", "system", "dial-stdio")


def client(outer: docker.DockerClient, container: str, timeout: float) -> docker.DockerClient:
    """A client of the engine in `container`, which runs on the engine of `outer`.

    `outer` must stay open as long as the client is used. Raises docker's errors.
    """
    return client_over(lambda: stream(outer, container), timeout)


def client_over(connect: Callable[[], socket.socket], timeout: float) -> docker.DockerClient:
    """A client whose connections to its engine are made by `connect`. Raises docker's errors."""
    seconds: Any = timeout
    # Asking for the version would need the adapter, which is put in place only now.
    made = docker.DockerClient(base_url="http://localhost:1", version="1.41", timeout=seconds)
    api: Any = made.api
    adapter = _Adapter(connect, timeout)
    api.mount("http+docker://", adapter)
    api._custom_adapter = adapter
    api.base_url = BASE
    try:
        api._version = api._retrieve_server_version()
    except BaseException:
        made.close()
        raise
    return made


def stream(outer: docker.DockerClient, container: str, argv: Sequence[str] = DIAL) -> socket.socket:
    """A socket whose other end is the standard streams of a program run in the container."""
    _id, exec_stream = commands.start(outer, container, argv, stdin=True)
    mine, theirs = socket.socketpair()

    def outward() -> None:
        with contextlib.suppress(OSError):
            while data := theirs.recv(65536):
                exec_stream.send(data)
        exec_stream.end_input()

    def inward() -> None:
        with contextlib.suppress(OSError):
            for number, data in exec_stream.frames():
                if number == 1:
                    theirs.sendall(data)
        # The program has ended, or nobody listens any more.
        with contextlib.suppress(OSError):
            theirs.shutdown(socket.SHUT_RDWR)
        exec_stream.close()
        theirs.close()

    for pump in (outward, inward):
        threading.Thread(target=pump, daemon=True, name=f"dial {pump.__name__}").start()
    return mine


def tcp(
    outer: docker.DockerClient, container: str, address: str, port: int, timeout: float
) -> socket.socket:
    """A TCP connection as the node sees it; OSError where there is none within `timeout` s."""
    made = stream(outer, container, ["drydock-connect", address, str(port)])
    made.settimeout(timeout)
    try:
        # The node says so once the connection is there, and ends if there will be none.
        if made.recv(1) != b"+":
            raise ConnectionRefusedError(f"nothing at {address}:{port}")
    except BaseException:
        made.close()
        raise
    return made


class _Connection(urllib3.connection.HTTPConnection):
    def __init__(self, connect: Callable[[], socket.socket], timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._open = connect
        self._seconds = timeout

    def connect(self) -> None:
        self.sock = self._open()
        self.sock.settimeout(self._seconds)


class _Pool(urllib3.connectionpool.HTTPConnectionPool):
    def __init__(self, connect: Callable[[], socket.socket], timeout: float) -> None:
        super().__init__("localhost", timeout=timeout, maxsize=10)
        self._how = (connect, timeout)

    def _new_conn(self) -> _Connection:
        return _Connection(*self._how)


class _Adapter(requests.adapters.HTTPAdapter):
    """As docker-py's own for Unix sockets, with another way to connect."""

    def __init__(self, connect: Callable[[], socket.socket], timeout: float) -> None:
        self._the_pool = _Pool(connect, timeout)
        super().__init__()

    def get_connection_with_tls_context(self, *_args: Any, **_options: Any) -> Any:
        return self._the_pool

    def get_connection(self, *_args: Any, **_options: Any) -> Any:
        return self._the_pool

    def request_url(self, request: Any, proxies: Any) -> Any:
        return request.path_url

    def close(self) -> None:
        super().close()
        self._the_pool.close()
