"""Redirects and paths that would lead the grader's HTTP client away from the server it asks."""

from __future__ import annotations

from functools import partial

import pytest

from grader.modules import http
from tests.unit.modules.test_http import HERE, SHORT, canary
from tests.unit.raw_server import Connection, RawServer, page, serving

__all__ = ["canary"]

START = "/start/page"


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/there?x=1", "/there?x=1"),
        ("there", "/start/there"),
        ("../there", "/there"),
        ("?x=2", "/start/page?x=2"),
        ("/there#part", "/there"),
        ("http://127.0.0.1:{port}/there", "/there"),
        ("HTTP://LocalHost:{port}/there", "/there"),
        ("http://127.0.0.1/there", "/there"),
        ("http://127.0.0.1:{canary}/there", "/there"),
        ("http://127.0.0.1:{canary}", "/"),
        ("http:\\\\127.0.0.1:{canary}\\there", "/there"),
        ("//127.0.0.1:{canary}/there", "/there"),
        ("http:there", "/start/there"),
        ("http:/there", "/there"),
        ("  /th\tere", "/there"),
        ("/th\r\n ere", "/th%20ere"),
        ("/é", "/%C3%A9"),
        ('/a b"<>', "/a%20b%22%3C%3E"),
        ("/%2e%2e/x", "/%2e%2e/x"),
        ("@127.0.0.1:{canary}/x", "/start/@127.0.0.1:{canary}/x"),
        (":{canary}/x", "/start/:{canary}/x"),
        (".evil.test/x", "/start/.evil.test/x"),
        ("http://127.0.0.1:{port}\\@127.0.0.2:{canary}/x", "/@127.0.0.2:{canary}/x"),
        ("127.0.0.1:{canary}/x", "/start/127.0.0.1:{canary}/x"),
        ("/there\r\nLocation: //127.0.0.2:{canary}/x", "/there,%20//127.0.0.2:{canary}/x"),
    ],
)
def test_a_redirect_is_followed_to_the_same_address_and_port(
    location: str, target: str, canary: RawServer
) -> None:
    with serving(partial(_redirects, location, canary)) as server:
        answer = http.get(HERE, server.port, START, timeout=10, follow=True)
        assert answer is not None
        assert (answer.status, answer.text) == (200, "own")
        assert server.asked == [START, target.format(port=server.port, canary=canary.port)]


@pytest.mark.parametrize(
    "location",
    [
        "//127.0.0.2:{canary}/x",
        "///127.0.0.2:{canary}/x",
        "/\\127.0.0.2:{canary}/x",
        "\\\\127.0.0.2:{canary}\\x",
        "\t/\t/127.0.0.2:{canary}/x",
        "http://127.0.0.2:{canary}/x",
        "hTTp:///127.0.0.2:{canary}/x",
        "http:\\/127.0.0.2:{canary}/x",
        "ht\ttp://elsewhere.test:{canary}/x",
        "http://user@127.0.0.1:{canary}/x",
        "http://127.0.0.1:{port}@127.0.0.2:{canary}/x",
        "http://127.0.0.1.elsewhere.test:{canary}/x",
        "http://2130706433:{canary}/x",
        "http://127.1:{canary}/x",
        "http://0x7f.0.0.1:{canary}/x",
        "http://[::1]:{canary}/x",
        "http://[::ffff:127.0.0.1]:{canary}/x",
        "http://[::1:{canary}/x",
        "http://:{canary}/x",
        "http://１２７.0.0.1:{canary}/x",
        "https://127.0.0.1:{canary}/x",
        "https:127.0.0.1:{canary}",
        "localhost:{canary}/x",
        "ftp://127.0.0.1:{canary}/x",
        "file:///etc/hostname",
        "unix:///var/run/docker.sock",
        "javascript:alert(1)",
        "",
        "/" + 60_000 * "x",
        "http://127.0.0.1:{port}/" + 20_000 * "../",
    ],
    ids=lambda location: location[:40],
)
def test_a_redirect_elsewhere_is_the_answer(location: str, canary: RawServer) -> None:
    with serving(partial(_redirects, location, canary)) as server:
        answer = http.get(HERE, server.port, START, timeout=10, follow=True)
        assert answer is not None
        assert answer.status == 302
        assert server.asked == [START]


def _redirects(location: str, canary: RawServer, visitor: Connection) -> None:
    if visitor.target != START:
        visitor.send(page(b"own"))
        return
    to = location.replace("{canary}", str(canary.port)).replace("{port}", str(visitor.server.port))
    visitor.send(page(b"", f"Location: {to}", status="302 Found"))


def test_redirects_are_followed_only_where_that_is_asked_for() -> None:
    with serving(lambda visitor: visitor.send(_moved("/there"))) as server:
        answer = http.get(HERE, server.port, timeout=10)
        assert answer is not None
        assert (answer.status, answer.headers["location"]) == (302, "/there")
        assert len(server.asked) == 1


def test_the_number_of_redirects_is_limited() -> None:
    with serving(lambda visitor: visitor.send(_moved(visitor.target + "x"))) as server:
        answer = http.get(HERE, server.port, timeout=10, follow=True)
        assert answer is not None
        assert answer.status == 302
        assert len(server.asked) == 1 + http.MAX_REDIRECTS


def test_the_time_limit_is_for_all_redirects_together() -> None:
    def hesitates(visitor: Connection) -> None:
        visitor.server.over.wait(SHORT * 0.6)
        visitor.send(_moved("/again"))

    with serving(hesitates) as server:
        http.get(HERE, server.port, timeout=SHORT, follow=True)
        assert len(server.asked) <= 2


def _moved(to: str) -> bytes:
    return page(b"", f"Location: {to}", status="302 Found")


@pytest.mark.parametrize(
    "path",
    [
        "@127.0.0.1:{canary}/",
        ":{canary}/",
        "//127.0.0.2:{canary}/",
        "http://127.0.0.2:{canary}/",
        "\\\\127.0.0.2:{canary}",
        "/x HTTP/1.1\r\nHost: evil\r\n\r\n",
        "/é\ud800",
        "/#x",
        "",
    ],
)
def test_a_path_never_names_the_server(path: str, canary: RawServer) -> None:
    with serving(lambda visitor: visitor.send(page(b"own"))) as server:
        answer = http.get(HERE, server.port, path.format(canary=canary.port), {"n": 17}, timeout=10)
        assert answer is not None
        assert answer.text == "own"
        (head,) = server.heads
        assert head.count(b"\r\n\r\n") == 1
        assert head.startswith(b"GET /")
        assert b"evil" not in head.partition(b"\r\n")[2]
        assert server.asked[0].endswith("n=17")
