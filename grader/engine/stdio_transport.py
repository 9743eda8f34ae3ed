"""Connections into a node through the host's engine, for nodes whose socket cannot be opened.

Each is an exec of `docker system dial-stdio` in the node; its standard streams are a connection to
the node's engine. It works wherever the host's engine does: in Docker Desktop's virtual machine,
for users who are not root, with remote engines.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

from grader.nodes import commands

if TYPE_CHECKING:
    from collections.abc import Sequence

    import docker

DIAL = ("docker", "system", "dial-stdio")


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
        # The program has ended, or no one listens any more.
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
    """A TCP connection as the node sees it. Raises OSError if there is none within `timeout` s."""
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
