"""Messages over a socket between the grader and its process of checks.

A message is eight bytes (lengths of header and body, big-endian), a JSON object, and bytes. Nothing
of it is code, and each length is checked before it is believed. Open sockets are handed over one
by one, each with one byte of its own.
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any, Protocol

HEADER_BYTES = 4_000_000
"""The longest header: the arguments of a command, or the names of a submission's files."""

BODY_BYTES = 80_000_000
"""The longest body: twice the longest output of a command."""

LENGTHS = struct.Struct(">II")
TAKE = b"+"
NONE = b"-"


class Channel(Protocol):
    """A socket, or what can be read and written like one."""

    def recv(self, size: int, /) -> bytes: ...

    def sendall(self, data: bytes, /) -> None: ...


class Ended(ConnectionError):
    """The other side is gone, or says what is no message."""


def send(channel: Channel, header: dict[str, Any], body: bytes = b"") -> None:
    """Send a message; raises Ended, and ValueError where it is too long."""
    said = json.dumps(header).encode()
    if len(said) > HEADER_BYTES or len(body) > BODY_BYTES:
        raise ValueError("A message between the grader's processes is too long.")
    send_bytes(channel, LENGTHS.pack(len(said), len(body)) + said + body)


def send_bytes(channel: Channel, data: bytes) -> None:
    try:
        channel.sendall(data)
    except OSError as error:
        raise Ended(str(error)) from None


def receive(channel: Channel) -> tuple[dict[str, Any], bytes]:
    """The next message; raises Ended."""
    said, more = LENGTHS.unpack(exactly(channel, LENGTHS.size))
    if said > HEADER_BYTES or more > BODY_BYTES:
        raise Ended("a message is too long")
    try:
        header = json.loads(exactly(channel, said))
    except (ValueError, RecursionError):
        raise Ended("a message cannot be read") from None
    if not isinstance(header, dict):
        raise Ended("a message is no object")
    return header, exactly(channel, more)


def exactly(channel: Channel, size: int) -> bytes:
    """That many bytes; raises Ended where the other side has no more."""
    got = bytearray()
    while len(got) < size:
        try:
            piece = channel.recv(min(size - len(got), 1 << 20))
        except OSError as error:
            raise Ended(str(error)) from None
        if not piece:
            raise Ended("the other side is gone")
        got += piece
    return bytes(got)


def hand_over(channel: socket.socket, given: socket.socket | None) -> None:
    """Give the other side an open socket, or say that there is none."""
    if given is None:
        channel.sendall(NONE)
    else:
        socket.send_fds(channel, [TAKE], [given.fileno()])


def take_over(channel: socket.socket) -> socket.socket | None:
    """The socket that the other side hands over; None if it has none. Raises Ended."""
    mark, handles, _flags, _address = socket.recv_fds(channel, 1, 1)
    if mark == NONE:
        return None
    if mark != TAKE or len(handles) != 1:
        raise Ended("no socket came")
    return socket.socket(fileno=handles[0])
