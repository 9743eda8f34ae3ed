"""What answers on a Unix socket as an engine does, and then does as an engine never would.

The container's ID in a request's path names the trick; see `TRICKS`.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import re
import socketserver
import tarfile
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MB = b"x" * 1024**2
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
RAW = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
FRAME = b"\x01\0\0\0\xff\xff\xff\xff"

Parts = Iterator[bytes]


def plain(body: bytes, head: bytes = JSON) -> Parts:
    yield head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def huge(head: bytes = JSON) -> Parts:
    yield head + b"Content-Length: %d\r\n\r\n" % (400 * len(MB))
    for _ in range(400):
        yield MB


def forever(first: bytes, then: bytes) -> Parts:
    yield first
    while True:
        yield then


def drip(first: bytes, then: bytes = b"x") -> Parts:
    """A byte now and then: an empty part stands for the pause."""
    yield first
    while True:
        yield b""
        yield then


def tar_of(size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    member = tarfile.TarInfo("tree/file")
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


def many_files() -> Parts:
    yield JSON + CHUNKED
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for number in range(1000):
            archive.addfile(tarfile.TarInfo(f"tree/{number}"))
    data = made.getvalue()[: 512 * 1000]
    while True:
        yield chunk(data)


ARCHIVE = JSON + CHUNKED
BIG = b"%x\r\n" % 2**33

TRICKS: dict[str, Callable[[], Parts]] = {
    "huge": huge,
    "huge_error": lambda: huge(b"HTTP/1.1 500 No\r\n"),
    "promise": lambda: drip(JSON + b"Content-Length: 99999999999\r\n\r\n{"),
    "chunks": lambda: forever(JSON + CHUNKED, chunk(MB)),
    "one_chunk": lambda: forever(JSON + CHUNKED + BIG, MB),
    "chunk_size": lambda: forever(JSON + CHUNKED, b"0" * len(MB)),
    "until_closed": lambda: forever(JSON + b"\r\n", MB),
    "headers": lambda: forever(JSON, b"X-More: " + b"x" * 1000 + b"\r\n"),
    "header_line": lambda: forever(JSON + b"X-Long: ", MB),
    "status_line": lambda: forever(b"HTTP/1.1 200 ", MB),
    "continue": lambda: forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "drip": lambda: drip(JSON + CHUNKED + b"f" * 6 + b"\r\n["),
    "drip_header": lambda: drip(JSON + b"X-Slow: "),
    "silent": lambda: drip(b"", b""),
    "deep": lambda: plain(b"[" * 400_000),
    "deep_error": lambda: plain(b"[" * 400_000, b"HTTP/1.1 500 No\r\n"),
    "values": lambda: plain(b"[" + b"{}," * 3_000_000 + b"{}]"),
    "gzip": lambda: plain(gzip.compress(MB * 20), JSON + b"Content-Encoding: gzip\r\n"),
    "redirect": lambda: plain(b"", b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n"),
    "charset": lambda: plain(
        b'{"Name": "caf\xc3\xa9"}',
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=punycode\r\n",
    ),
    "cookies": lambda: plain(b"{}", JSON + b"Set-Cookie: a=1; Path=/\r\n"),
    "frame": lambda: forever(RAW + FRAME, MB),
    "frame_drip": lambda: drip(RAW + FRAME),
    "log_frame": lambda: forever(JSON + CHUNKED + chunk(FRAME), chunk(MB)),
    "log_one_chunk": lambda: forever(JSON + CHUNKED + BIG + FRAME, MB),
    "log_drip": lambda: drip(JSON + CHUNKED + BIG + FRAME),
    "tree_stat": lambda: plain(
        b"", JSON + b"X-Docker-Container-Path-Stat: " + b64encode(b"[" * 40_000) + b"\r\n"
    ),
    "tree_file": lambda: forever(ARCHIVE + chunk(tar_of(2**32)), chunk(MB)),
    "tree_name": lambda: forever(
        ARCHIVE + chunk(tar_of(2**32, tarfile.GNUTYPE_LONGNAME)), chunk(MB)
    ),
    "tree_pax": lambda: forever(ARCHIVE + chunk(tar_of(2**32, tarfile.XHDTYPE)), chunk(MB)),
    "tree_one_chunk": lambda: forever(ARCHIVE + BIG + tar_of(2**32), MB),
    "tree_chunk_size": lambda: forever(ARCHIVE, b"0" * len(MB)),
    "tree_many": many_files,
    "tree_drip": lambda: drip(ARCHIVE + BIG),
    "events_line": lambda: forever(JSON + CHUNKED, chunk(MB)),
    "events_many": lambda: forever(
        JSON + CHUNKED, chunk(b'{"timeNano": 1, "Action": "a", "Actor": {"ID": "x"}}\n' * 1000)
    ),
    "events_deep": lambda: plain(b"[" * 400_000 + b"\n"),
    "events_drip": lambda: drip(JSON + CHUNKED + BIG),
}


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    closing = threading.Event()


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while self._one():
                pass

    def _one(self) -> bool:
        line = self.rfile.readline().decode()
        length = 0
        while (header := self.rfile.readline().strip().lower()) and line:
            if header.startswith(b"content-length:"):
                length = int(header.split(b":")[1])
        self.rfile.read(length)
        if not line:
            return False
        for part in _answer(line.split()[1]):
            if part:
                self.wfile.write(part)
            elif self.server.closing.wait(0.05):
                return False
        return True


def _answer(path: str) -> Parts:
    if path == "/version":
        return plain(b'{"ApiVersion": "1.41"}')
    if path.startswith("/v1.41/events"):
        return TRICKS[re.findall(r"events_\w+", path)[0]]()
    _, _, kind, name, *what = path.partition("?")[0].split("/")
    if kind == "containers" and what == ["exec"]:
        return plain(json.dumps({"Id": name}).encode())
    if what == ["json"] and name.startswith("log_"):
        return plain(b'{"Config": {"Tty": false}}')
    return TRICKS[name]()


@contextlib.contextmanager
def serving(path: Path) -> Iterator[str]:
    """The path of a Unix socket behind which it answers."""
    with _Server(str(path), _Handler) as server:
        server.closing.clear()
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield str(path)
        finally:
            server.closing.set()
            server.shutdown()
            thread.join()


def told(error: BaseException) -> dict[str, Any]:
    return {"kind": [k.__name__ for k in type(error).__mro__], "text": str(error)[:500]}
