"""Servers on loopback that answer with whatever bytes a test wants, in its own time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

ENDLESS = 64 * 1024 * 1024
"""Bytes after which a server gives up that should have been left long before."""


class Connection:
    """One visitor: what it asked for, and how to answer."""

    def __init__(self, server: RawServer, wire: socket.socket) -> None:
        self.server = server
        self.wire = wire
        self.head = b""

    @property
    def target(self) -> str:
        return self.head.split(b" ")[1].decode() if self.head else ""

    def read_head(self) -> None:
        while b"\r\n\r\n" not in self.head and (data := self.wire.recv(4096)):
            self.head += data
        self.server.asked.append(self.target)
        self.server.heads.append(self.head)

    def send(self, data: bytes) -> None:
        self.wire.sendall(data)
        self.server.sent += len(data)

    def drip(self, data: bytes) -> None:
        """A byte now and then, over and over until the visitor leaves."""
        while not self.server.over.wait(0.05):
            for each in data:
                self.send(bytes([each]))
                if self.server.over.wait(0.05):
                    return

    def flood(self, data: bytes) -> None:
        """As fast as it goes, until the visitor leaves."""
        block = data * (1 + 65536 // len(data))
        while not self.server.over.is_set() and self.server.sent < ENDLESS:
            self.send(block)


class RawServer:
    """`asked`: targets of the requests; `sent`: bytes that visitors took or have in their queue."""

    def __init__(self, answer: Callable[[Connection], None], read: bool) -> None:
        self.asked: list[str] = []
        self.heads: list[bytes] = []
        self.visits = 0
        self.sent = 0
        self.over = threading.Event()
        self._answer = answer
        self._read = read
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                wire, _ = self.listener.accept()
                self.visits += 1
                threading.Thread(target=self._serve, args=(wire,), daemon=True).start()

    def _serve(self, wire: socket.socket) -> None:
        with suppress(OSError), wire:
            wire.settimeout(30)
            connection = Connection(self, wire)
            if self._read:
                connection.read_head()
            self._answer(connection)
            if self._read:
                # Closing with bytes unread would be a reset.
                wire.shutdown(socket.SHUT_WR)
                while wire.recv(65536):
                    pass


def sends(answered: bytes) -> Callable[[Connection], None]:
    """The same answer to each visitor."""
    return lambda visitor: visitor.send(answered)


@contextmanager
def serving(answer: Callable[[Connection], None], *, read: bool = True) -> Iterator[RawServer]:
    """A server that gives each visitor `answer`, after reading the head of a request or not."""
    server = RawServer(answer, read)
    try:
        yield server
    finally:
        server.over.set()
        # A thread that waits in accept does not notice a close.
        with suppress(OSError):
            server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()


def page(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
