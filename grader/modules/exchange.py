"""One HTTP request and its answer on one connection, within limits that no server can extend.

The caller chooses address and port; nothing that a server sends changes where the grader connects
to. The time limit applies to the whole exchange, not to each read: connecting, sending, headers and
body. Headers and body are limited in bytes, the body also after decompression.

This module reads the answer itself, line by line and each byte once. http.client passes the headers
to the email package, which lets the server choose a codec, and h11 takes seconds for one line of
blanks.
"""

from __future__ import annotations

import contextlib
import errno
import io
import re
import socket
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from grader.nodes import reach

MAX_HEAD = 64 * 1024
"""Bytes of everything before the body, including `100 Continue`."""

MAX_HEADERS = 100
"""Lines of headers."""

MAX_BODY = 1_000_000
"""The limit for an answer's body in bytes, before and after decompression."""

MAX_CHUNKS = 20_000
"""The limit for chunks of a body: each one takes time."""

OURS = {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM}
"""Errors of a socket that come from the grader's own machine, not from the server."""

_COMPRESSED = {"gzip": 31, "x-gzip": 31, "deflate": zlib.MAX_WBITS}
"""How zlib knows the encodings that are decompressed; others, and several, are left as they are."""

_CODECS = {
    "ascii": "ascii",
    "us-ascii": "ascii",
    "iso-8859-1": "latin-1",
    "latin-1": "latin-1",
    "latin1": "latin-1",
    "cp1252": "cp1252",
    "windows-1252": "cp1252",
    "utf-16": "utf-16",
    "utf-16be": "utf-16-be",
    "utf-16le": "utf-16-le",
}
"""Python's names of the charsets that are read as such; any other text is read as UTF-8. A server
must not choose among all of Python's codecs: some take minutes, some decompress."""

_CHARSET = re.compile(r"charset\s{0,9}=\s{0,9}[\"']?([\w-]{1,20})", re.IGNORECASE | re.ASCII)


_TARGET = re.compile(r"/[!-~]*")
_STATUS = re.compile(rb"HTTP/1\.\d (\d{3})(?!\S)")
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;|$)")


class NotHTTP(Exception):
    """The answer is not HTTP, or has too many headers."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer. `headers` have lower-case names; `text` is cut at MAX_BODY bytes."""

    status: int
    headers: Mapping[str, str]
    text: str
    url: str

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


def exchange(
    address: str,
    port: int,
    method: str,
    target: str,
    *,
    timeout: float,
    headers: Mapping[str, str],
    body: bytes = b"",
    most: int = MAX_BODY,
) -> Answer:
    """Send a request and read its answer, with the body cut at `most` bytes.

    `target` is a path with its query, in ASCII. Raises OSError (TimeoutError if everything together
    takes more than `timeout` seconds), NotHTTP, ValueError for a target or header that cannot be
    sent, and whatever the openers of `grader.nodes.reach` raise.
    """
    deadline = time.monotonic() + timeout
    named = {"Host": address if port == 80 else f"{address}:{port}", "Connection": "close"}
    if body or method != "GET":
        named["Content-Length"] = str(len(body))
    lines = [f"{name}: {value}" for name, value in {**named, **headers}.items()]
    if not _TARGET.fullmatch(target) or any(not line.isprintable() for line in lines):
        raise ValueError(f"no request can be made of {target!r} and {headers!r}")
    wanted = "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode() + body
    with contextlib.closing(reach.connect(address, port, timeout)) as connection:
        connection.settimeout(_left(deadline))
        connection.sendall(wanted)
        arriving = _Arriving(connection, deadline)
        reader = io.BufferedReader(arriving)
        status, told = _head(reader)
        while status < 200:
            status, told = _head(reader)
        # A body in small chunks has more bytes than it tells.
        arriving.left += 2 * most
        raw = _body(reader, status, told, most)
    text = _text(_decompressed(raw, told.get("content-encoding", ""), most), told)
    return Answer(status, told, text, f"http://{address}:{port}{target}")


class _Arriving(io.RawIOBase):
    """The data from a connection until a deadline; `left`: how many more bytes it may have."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self.left = MAX_HEAD

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.left <= 0:
            raise NotHTTP("more headers than the grader reads")
        self._connection.settimeout(_left(self._deadline))
        count = self._connection.recv_into(memoryview(buffer)[: self.left])
        self.left -= count
        return count


def _head(reader: BinaryIO) -> tuple[int, dict[str, str]]:
    """Status and headers; several headers of one name become one list."""
    found = _STATUS.match(_line(reader))
    if found is None or found[1] == b"101":
        raise NotHTTP("no status line, or a switch to another protocol")
    headers: dict[str, str] = {}
    name = ""
    for _ in range(MAX_HEADERS + 1):
        line = _line(reader)
        if not line:
            return int(found[1]), headers
        text = line.decode("utf-8", errors="replace")
        if text[0] in " \t" and name:
            headers[name] += f" {text.strip()}"
            continue
        key, colon, value = text.partition(":")
        name, value = key.strip().lower(), value.strip()
        if not name or not colon:
            raise NotHTTP("a header without a name")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    raise NotHTTP(f"more than {MAX_HEADERS} headers")


def _body(reader: BinaryIO, status: int, headers: Mapping[str, str], most: int) -> bytes:
    """The body's first `most` bytes. Raises ConnectionResetError if it is incomplete."""
    if status in (204, 304):
        return b""
    if (coding := headers.get("transfer-encoding")) is not None:
        if coding.lower() != "chunked":
            raise NotHTTP("a transfer encoding that is not chunked")
        return _chunks(reader, most)
    lengths = {each.strip() for each in headers.get("content-length", "").split(",")} - {""}
    if not lengths:
        return reader.read(most)
    length = lengths.pop()
    if lengths or not _LENGTH.fullmatch(length):
        raise NotHTTP("a length that is not a number")
    return _exactly(reader, min(int(length), most))


def _chunks(reader: BinaryIO, most: int) -> bytes:
    body = bytearray()
    for _ in range(MAX_CHUNKS):
        found = _CHUNK.match(_line(reader))
        if found is None:
            raise NotHTTP("a chunk without a length")
        size = int(found[1], 16)
        if size == 0:
            for _ in range(MAX_HEADERS + 1):
                if not _line(reader):
                    return bytes(body)
            raise NotHTTP(f"more than {MAX_HEADERS} trailers")
        body += _exactly(reader, min(size, most - len(body)))
        if len(body) >= most:
            break
        if _line(reader):
            raise NotHTTP("a chunk that is longer than announced")
    return bytes(body)


def _line(reader: BinaryIO) -> bytes:
    """The next line without its end."""
    line = reader.readline()
    if not line.endswith(b"\n"):
        raise ConnectionResetError(errno.ECONNRESET, "closed before the end of the answer")
    return line.rstrip(b"\r\n")


def _exactly(reader: BinaryIO, size: int) -> bytes:
    data = reader.read(size)
    if len(data) < size:
        raise ConnectionResetError(errno.ECONNRESET, "closed before the end of the answer")
    return data


def _left(deadline: float) -> float:
    """Seconds until then. Raises TimeoutError if there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError(errno.ETIMEDOUT, "the answer did not end in time")
    return left


def _decompressed(raw: bytes, encoding: str, most: int) -> bytes:
    """The body without one compression; a body that cannot be decompressed stays as it is."""
    bits = _COMPRESSED.get(encoding.strip().lower())
    if bits is None:
        return raw
    # Some servers send deflate without zlib's header, and browsers read that.
    for each in (bits, -zlib.MAX_WBITS) if bits == zlib.MAX_WBITS else (bits,):
        with contextlib.suppress(zlib.error):
            return zlib.decompressobj(each).decompress(raw, most)
    return raw


def _text(body: bytes, headers: Mapping[str, str]) -> str:
    found = _CHARSET.search(headers.get("content-type", "")[:200])
    codec = _CODECS.get(found[1].lower() if found else "", "utf-8")
    return body.decode(codec, errors="replace")
