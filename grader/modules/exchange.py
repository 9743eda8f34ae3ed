"""One HTTP request and its answer on one connection, within limits that no server can stretch.

The address and the port are the caller's; nothing that a server sends changes where the grader
connects to. The time limit counts for the whole exchange, not for each read: connecting, sending,
headers and body. Headers and body are limited in bytes, the body also after decompression.
"""

from __future__ import annotations

import contextlib
import errno
import re
import socket
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import h11

from grader.targets import reach

MAX_HEAD = 64 * 1024
"""Bytes of all that comes before the body, `100 Continue` included."""

MAX_HEADERS = 100

MAX_BODY = 1_000_000
"""Bytes of an answer's body that are read, and that it may have once it is decompressed."""

MAX_PIECES = 20_000
"""Pieces of a body that is sent in chunks which are read: each one costs time."""

OURS = {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM}
"""Errors of a socket that tell of the grader's own machine, not of the server."""

_READ = 16 * 1024

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


class NotHTTP(Exception):
    """What came is not an HTTP answer, or one with more headers than are read."""


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
    """Send a request and read its answer, the body cut at `most` bytes.

    `target` is a path with its query, in ASCII. Raises OSError (TimeoutError where the whole takes
    more than `timeout` seconds), NotHTTP, and what the openers of `grader.targets.reach` raise.
    """
    deadline = time.monotonic() + timeout
    client = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
    named = {"Host": address if port == 80 else f"{address}:{port}", "Connection": "close"}
    if body or method != "GET":
        named["Content-Length"] = str(len(body))
    request = h11.Request(method=method, target=target, headers=list({**named, **headers}.items()))
    wanted = client.send(request) or b""
    if body:
        wanted += client.send(h11.Data(data=body)) or b""
    client.send(h11.EndOfMessage())
    with contextlib.closing(reach.connect(address, port, timeout)) as connection:
        connection.settimeout(_left(deadline))
        connection.sendall(wanted)
        try:
            response, raw = _receive(client, connection, deadline, most)
        except h11.RemoteProtocolError:
            raise NotHTTP("the answer breaks the rules of HTTP") from None
    told: dict[str, str] = {}
    for key, value in response.headers:
        name, text = key.decode("ascii"), value.decode("utf-8", errors="replace")
        told[name] = f"{told[name]}, {text}" if name in told else text
    text = _text(_decompressed(raw, told.get("content-encoding", ""), most), told)
    return Answer(response.status_code, told, text, f"http://{address}:{port}{target}")


def _receive(
    client: h11.Connection, connection: socket.socket, deadline: float, most: int
) -> tuple[h11.Response, bytes]:
    response: h11.Response | None = None
    body = bytearray()
    received = pieces = 0
    while len(body) < most and pieces < MAX_PIECES:
        event = client.next_event()
        if event is h11.NEED_DATA:
            # A body in small chunks has more bytes than it tells.
            limit = MAX_HEAD if response is None else MAX_HEAD + 2 * most
            if received >= limit:
                break
            connection.settimeout(_left(deadline))
            data = connection.recv(min(_READ, limit - received))
            if not data and not received:
                raise ConnectionResetError(errno.ECONNRESET, "closed without an answer")
            received += len(data)
            client.receive_data(data)
        elif isinstance(event, h11.Response):
            if len(event.headers) > MAX_HEADERS:
                raise NotHTTP(f"more than {MAX_HEADERS} headers")
            response = event
        elif isinstance(event, h11.Data):
            body += event.data
            pieces += 1
        elif not isinstance(event, h11.InformationalResponse):
            break
    if response is None:
        raise NotHTTP(f"more than {MAX_HEAD} bytes of headers")
    return response, bytes(body[:most])


def _left(deadline: float) -> float:
    """Seconds until then; TimeoutError where there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError(errno.ETIMEDOUT, "the time for the whole answer is over")
    return left


def _decompressed(raw: bytes, encoding: str, most: int) -> bytes:
    """The body as it was before one compression; what cannot be decompressed stays as it is."""
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
