"""The grader's HTTP client against servers that lead it away, hold it up or fill it."""

from __future__ import annotations

import errno
import gzip
import re
import socket
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import pytest

from grader import paths
from grader.errors import EngineFault
from grader.modules import http
from grader.modules.exchange import MAX_BODY, MAX_HEAD
from grader.nodes import reach
from tests.unit.raw_server import Connection, RawServer, page, sends, serving

HERE = "127.0.0.1"
SHORT = 0.4
GENEROUS = 20
"""Times the limit: a busy machine is no failure, a limit that does not hold is."""


@pytest.fixture
def canary() -> Iterator[RawServer]:
    with serving(lambda visitor: visitor.send(page(b"canary"))) as server:
        yield server
        assert server.visits == 0


# Time -------------------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def _after(start: bytes, then: bytes) -> Callable[[Connection], None]:
    def answer(visitor: Connection) -> None:
        visitor.send(start)
        visitor.drip(then)

    return answer


SLOW = {
    "silence": _after(b"", b""),
    "status line": _after(b"", b"HTTP/1.1 200 OK"),
    "headers": _after(HEAD, b"X: y\r\n"),
    "continue": _after(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": _after(HEAD + b"Content-Length: 9999\r\n\r\n", b"x"),
    "body without length": _after(HEAD + b"\r\n", b"x"),
    "chunks": _after(CHUNKED, b"1\r\nx\r\n"),
    "chunk extension": _after(CHUNKED + b"1;", b"x"),
    "trailers": _after(CHUNKED + b"0\r\n", b"X: y\r\n"),
    "gzip": _after(HEAD + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(b"x")),
}


@pytest.mark.parametrize("slow", SLOW)
def test_a_slow_answer_costs_the_time_limit_and_is_none(slow: str) -> None:
    with serving(SLOW[slow]) as server:
        began = time.monotonic()
        assert http.get(HERE, server.port, timeout=SHORT) is None
        assert time.monotonic() - began < SHORT * GENEROUS


def test_a_server_that_does_not_read_costs_the_time_limit() -> None:
    with serving(lambda visitor: visitor.drip(b""), read=False) as server:
        began = time.monotonic()
        large = {"text": "x" * 8_000_000}
        assert http.request("POST", HERE, server.port, form=large, timeout=SHORT) is None
        assert time.monotonic() - began < SHORT * GENEROUS


def test_a_slow_whole_answer_counts() -> None:
    def pauses(visitor: Connection) -> None:
        for each in page(b"at last"):
            visitor.send(bytes([each]))

    with serving(pauses) as server:
        answer = http.get(HERE, server.port, timeout=30)
        assert answer is not None
        assert answer.text == "at last"


# Size -------------------------------------------------------------------------------------------


def _floods(start: bytes, then: bytes) -> Callable[[Connection], None]:
    def answer(visitor: Connection) -> None:
        visitor.send(start)
        visitor.flood(then)

    return answer


@pytest.mark.parametrize(
    ("start", "then"),
    [
        (b"", b"x"),
        (HEAD, b"X: y\r\n"),
        (HEAD + b"X: ", b"y"),
        (HEAD + b"X: y", b"\r\n y"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (CHUNKED + b"1;", b"x"),
        (CHUNKED + b"0\r\n", b"X: y\r\n"),
        (CHUNKED, b"0"),
    ],
)
def test_more_headers_than_are_read_are_no_answer(start: bytes, then: bytes) -> None:
    with serving(_floods(start, then)) as server:
        assert http.get(HERE, server.port, timeout=30) is None
        assert server.sent < 16_000_000, "what the kernel keeps for a reader"


@pytest.mark.parametrize("count", [99, 101])
def test_the_number_of_headers_is_limited(count: int) -> None:
    several = [f"X-{number}: y" for number in range(count - 1)]
    with serving(lambda visitor: visitor.send(page(b"x", *several))) as server:
        answer = http.get(HERE, server.port, timeout=10)
        assert (answer is not None) == (count <= 100)


LONG = MAX_HEAD - 1000


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (LONG * "y", LONG * "y"),
        (LONG * " " + "\0", "\0"),
        ("a" + LONG * "\t" + "a", "a" + LONG * "\t" + "a"),
        (LONG // 2 * "a ", LONG // 2 * "a "),
        (LONG * '"', LONG * '"'),
        (LONG * ";", LONG * ";"),
        (LONG * "\r", ""),
    ],
    ids=["letters", "blanks", "tabs", "words", "quotes", "semicolons", "returns"],
)
@pytest.mark.parametrize("name", ["x", "content-type", "content-encoding", "connection"])
def test_headers_up_to_the_limit_are_read(sent: str, read: str, name: str) -> None:
    with serving(lambda visitor: visitor.send(page(b"x", f"{name}: {sent}"))) as server:
        answer = http.get(HERE, server.port, timeout=5)
        assert answer is not None
        assert answer.headers[name] == read.strip()
        assert answer.text == "x"


@pytest.mark.parametrize(
    ("start", "then"),
    [
        (HEAD + b"\r\n", b"x"),
        (HEAD + b"Content-Length: 99999999999\r\n\r\n", b"x"),
        (CHUNKED, b"100\r\n" + 256 * b"x" + b"\r\n"),
        (CHUNKED, b"FFFFFFFF\r\n" + 99 * b"x"),
    ],
)
def test_a_body_is_cut(start: bytes, then: bytes) -> None:
    with serving(_floods(start, then)) as server:
        answer = http.get(HERE, server.port, timeout=30)
        assert answer is not None
        assert MAX_BODY / 2 < len(answer.text) <= MAX_BODY
        assert server.sent < 16_000_000, "what the kernel keeps for a reader"


def test_a_body_that_is_all_framing_is_cut() -> None:
    with serving(_floods(CHUNKED, b"1\r\nx\r\n")) as server:
        answer = http.get(HERE, server.port, timeout=30)
        assert answer is not None
        assert 0 < len(answer.text) < MAX_BODY


BOMB = 16_000_000
PLAIN = b"<p>caf\xc3\xa9</p>"


def _raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("X-GZIP", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", _raw_deflate),
        ("identity", bytes),
    ],
)
def test_one_compression_is_undone(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    body = page(pack(PLAIN), f"Content-Encoding: {encoding}")
    with serving(lambda visitor: visitor.send(body)) as server:
        answer = http.get(HERE, server.port, timeout=10)
        assert answer is not None
        assert answer.text == "<p>café</p>"


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", _raw_deflate)],
)
def test_a_bomb_is_cut(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    bomb = page(pack(bytes(BOMB)), f"Content-Encoding: {encoding}")
    with serving(lambda visitor: visitor.send(bomb)) as server:
        tracemalloc.start()
        try:
            answer = http.get(HERE, server.port, timeout=30)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert answer is not None
    assert len(answer.text) == MAX_BODY
    assert peak < BOMB / 2


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "zstd", "gzip;x", "compress", "gzip\tx"])
def test_other_encodings_are_not_undone(encoding: str) -> None:
    body = gzip.compress(PLAIN)
    answered = page(body, f"Content-Encoding: {encoding}")
    with serving(lambda visitor: visitor.send(answered)) as server:
        answer = http.get(HERE, server.port, timeout=10)
        assert answer is not None
        assert answer.text == body.decode(errors="replace")


def test_what_only_claims_to_be_compressed_is_shown_as_it_is() -> None:
    several = ("Content-Encoding: gzip", "Content-Encoding: gzip")
    for headers in (several, several[:1]):
        answered = page(PLAIN, *headers)
        with serving(sends(answered)) as server:
            answer = http.get(HERE, server.port, timeout=10)
            assert answer is not None
            assert answer.text == "<p>café</p>"


# Text -------------------------------------------------------------------------------------------

AS_UTF_8 = ["punycode", "idna", "unicode_escape", "raw-unicode-escape", "zlib", "rot13", "hex"]
AS_UTF_8 += ["utf-7", "bz2", "undefined", "mbcs", "no-such-codec", "../x", "", "utf-8", "x" * 5000]


@pytest.mark.parametrize("charset", AS_UTF_8, ids=lambda charset: charset[:20])
@pytest.mark.parametrize(
    "form", ["text/html; charset={}", 'text/html; charset="{}"', "multipart/x; boundary*={}''-"]
)
def test_other_charsets_are_read_as_utf_8(charset: str, form: str) -> None:
    body = b"caf\xc3\xa9 \\x41 +AGE- \xff" + 50_000 * b"a"
    answered = page(body, f"Content-Type: {form.format(charset)}")
    with serving(lambda visitor: visitor.send(answered)) as server:
        answer = http.get(HERE, server.port, timeout=10)
        assert answer is not None
        assert answer.text == body.decode(errors="replace")


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("ISO-8859-1", "latin-1"),
        ("latin1", "latin-1"),
        ("windows-1252", "cp1252"),
        ("us-ascii", "ascii"),
        ("UTF-16", "utf-16"),
        ("utf-16be", "utf-16-be"),
        ("utf-16le", "utf-16-le"),
    ],
)
def test_common_charsets_are_read(charset: str, codec: str) -> None:
    text = "Seite" if codec == "ascii" else "Grüße"
    answered = page(text.encode(codec), f'Content-Type: text/html; Charset = "{charset}"')
    with serving(lambda visitor: visitor.send(answered)) as server:
        answer = http.get(HERE, server.port, timeout=10)
        assert answer is not None
        assert answer.text == text


# The rest ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answered",
    [
        b"",
        b"hello\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        HEAD + b"Content-Length: 100\r\n\r\nshort",
        HEAD + b"Content-Length: -5\r\n\r\nx",
        HEAD + b"Content-Length: " + 5000 * b"9" + b"\r\n\r\nx",
        CHUNKED + b"5\r\nxx",
        CHUNKED + b"-5\r\nxxxxx\r\n0\r\n\r\n",
        CHUNKED + b"2\r\nxxx\r\n0\r\n\r\n",
        CHUNKED + b"0x2\r\nxx\r\n0\r\n\r\n",
        CHUNKED + 4 * b" " + b"2\r\nxx\r\n0\r\n\r\n",
        CHUNKED + b"0\r\n",
        HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        HEAD + b"no colon\r\n\r\n",
        HEAD,
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
def test_what_is_not_a_whole_answer_is_none(answered: bytes) -> None:
    with serving(lambda visitor: visitor.send(answered)) as server:
        assert http.get(HERE, server.port, timeout=10) is None


@pytest.mark.parametrize(
    ("answered", "text"),
    [
        (b"HTTP/1.0 200\nX: y\n\nto the end", "to the end"),
        (HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nxx", "xx"),
        (CHUNKED + b"2;a=b\r\nxx\r\n00A \r\nxxxxxxxxxx\r\n0\r\nX: y\r\n\r\n", 12 * "x"),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", ""),
        (HEAD + b"X: a\r\n\tb\r\nX: c\r\n\r\nxx", "xx"),
    ],
)
def test_every_framing_is_read(answered: bytes, text: str) -> None:
    with serving(lambda visitor: visitor.send(answered)) as server:
        answer = http.get(HERE, server.port, timeout=10)
        assert answer is not None
        assert answer.text == text
        assert answer.headers.get("x", "y") in ("y", "a b, c")


def test_a_continue_is_passed_over() -> None:
    both = b"HTTP/1.1 100 Continue\r\n\r\n" + page(b"there")
    with serving(lambda visitor: visitor.send(both)) as server:
        answer = http.post(HERE, server.port, "/form", {"text": "ü&="}, timeout=10)
        assert answer is not None
        assert answer.text == "there"
        assert b"Content-Type: application/x-www-form-urlencoded\r\n" in server.heads[0]


def test_nothing_of_the_users_own_is_used(
    canary: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
    kept = page(b"own", "Set-Cookie: a=b")
    with serving(lambda visitor: visitor.send(kept)) as server:
        for _ in range(2):
            answer = http.get(HERE, server.port, "/x", timeout=10)
            assert answer is not None
            assert (answer.text, answer.url) == ("own", f"http://{HERE}:{server.port}/x")
        assert not any(b"cookie" in head.lower() for head in server.heads)


@pytest.mark.parametrize(
    "address",
    [
        *("8.8.8.8", "2001:4860::1", "localhost", "192.0.2.7@10.0.0.1"),
        *("169.254.169.254", "fe80::1", "0.0.0.0", "::"),
    ],
)
def test_only_addresses_of_the_lab_are_asked(address: str) -> None:
    for ask in (http.get, http.connects):
        with pytest.raises(ValueError, match="address"):
            ask(address, 80)


def test_a_closed_port_does_not_answer() -> None:
    with socket.create_server((HERE, 0)) as listener:
        port = listener.getsockname()[1]
    assert http.get(HERE, port, timeout=10) is None
    assert not http.connects(HERE, port)


def test_what_does_not_run_any_more_does_not_answer() -> None:
    """A container that ends between two looks has lost its port."""
    assert http.get("127.0.0.1", 0) is None


def test_a_fault_of_the_graders_own_machine_is_told() -> None:
    def none_left(port: int, timeout: float) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    reach.relay("127.0.0.9", none_left)
    try:
        for ask in (http.get, http.connects):
            with pytest.raises(EngineFault, match="Too many open files"):
                ask("127.0.0.9", 80)
    finally:
        reach.forget("127.0.0.9", none_left)


LIBRARIES = r"requests(?!\.exceptions)|urllib3|urllib\.request|http\.client|httpx|aiohttp"
OTHER_CLIENTS = re.compile(rf'^\s*(?:import|from) (?:{LIBRARIES})\b|"curl"', re.MULTILINE)
NOT_TO_STUDENTS = {
    "grader/modules/http.py": "this client",
    "grader/vetting/dockercli.py": "names of programs",
    "labs/lab4/checks/rollout/check_stack.py": "a hint",
    "labs/lab4/checks/swarm/probe.py": "tasks of the grader's own service",
}


def test_there_is_no_other_client() -> None:
    files = [file for folder in ("grader", "labs") for file in (paths.KIT / folder).rglob("*.py")]
    texts = {file.relative_to(paths.KIT): file.read_text(encoding="utf-8") for file in files}
    found = {
        name.as_posix()
        for name, text in texts.items()
        if OTHER_CLIENTS.search(text) and not {"examples", "engine"} & set(name.parts)
    }
    assert "grader/modules/http.py" in found
    assert found <= NOT_TO_STUDENTS.keys()
