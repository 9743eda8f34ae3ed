"""Requests that a node's own curl makes, a registry's too, against servers that lead it astray."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from grader.modules import http, registry
from grader.modules.exchange import MAX_BODY
from grader.nodes.node import Completed
from tests.unit.modules.test_http import CHUNKED, GENEROUS, HEAD, SHORT, SLOW
from tests.unit.raw_server import Connection, RawServer, page, sends, serving

pytestmark = pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("sh")), reason="asks by sh and curl"
)


class ThisMachine:
    """As much of a node as is asked here: it runs programs."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        cwd: str = "/",
        env: Mapping[str, str] | None = None,
        keep: int = 64_000,
    ) -> Completed:
        done = subprocess.run(
            argv,
            cwd=cwd,
            env={**os.environ, "HOME": str(self.home)},
            timeout=timeout,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        out = done.stdout.decode(errors="replace")
        assert len(out) <= keep
        return Completed(tuple(argv), done.returncode, out, 0.0)


@pytest.fixture
def node(tmp_path: Path) -> Any:
    return ThisMachine(tmp_path)


def ask(node: Any, server: RawServer, path: str = "/", **more: Any) -> http.Answer | None:
    return http.request_inside(node, "127.0.0.1", server.port, path, **{"timeout": 20, **more})


def test_an_answer_is_read(node: Any) -> None:
    answered = page("käse\n 28\n".encode(), "X-Version: 2", "Location: a: b")
    both = b"HTTP/1.1 100 Continue\r\n\r\n" + answered
    with serving(lambda visitor: visitor.send(both)) as server:
        answer = ask(node, server, "/a b", form={"text": "ü&@="}, headers={"Accept": "a, b"})
        assert answer is not None
        assert (answer.status, answer.text) == (200, "käse\n 28\n")
        assert answer.headers["x-version"] == "2"
        assert answer.headers["location"] == "a: b"
        assert server.heads[0].startswith(b"POST /a%20b HTTP/1.1\r\n")
        assert b"Accept: a, b\r\n" in server.heads[0]


@pytest.mark.parametrize("path", ["/..//x[1-9]{a,b}", "@elsewhere.test/", "//elsewhere.test/"])
def test_a_path_never_names_the_server(node: Any, path: str) -> None:
    with serving(lambda visitor: visitor.send(page(b"own"))) as server:
        answer = ask(node, server, path)
        assert answer is not None
        assert (answer.text, server.visits) == ("own", 1)


def test_redirects_and_settings_lead_nowhere(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda visitor: visitor.send(page(b"canary"))) as canary:
        elsewhere = f"http://127.0.0.1:{canary.port}/"
        (node.home / ".curlrc").write_text(f"proxy = {elsewhere}\nlocation\n", encoding="utf-8")
        monkeypatch.setenv("http_proxy", elsewhere)
        moved = page(b"", f"Location: {elsewhere}", status="302 Found")
        with serving(lambda visitor: visitor.send(moved)) as server:
            answer = ask(node, server)
            assert answer is not None
            assert (answer.status, answer.headers["location"]) == (302, elsewhere)
        assert canary.visits == 0


@pytest.mark.parametrize("slow", ["silence", "headers", "continue", "body", "chunks"])
def test_a_slow_answer_costs_the_time_limit_and_is_none(node: Any, slow: str) -> None:
    with serving(SLOW[slow]) as server:
        began = time.monotonic()
        assert ask(node, server, timeout=SHORT) is None
        assert time.monotonic() - began < SHORT * GENEROUS


@pytest.mark.parametrize(
    ("start", "then", "read"),
    [
        (HEAD + b"\r\n", b"x", True),
        (CHUNKED, b"40\r\n" + 64 * b"x" + b"\r\n", True),
        (HEAD, b"X: y\r\n", False),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", False),
        (b"", b"x", False),
    ],
)
def test_endless_answers_are_cut(node: Any, start: bytes, then: bytes, read: bool) -> None:
    def floods(visitor: Connection) -> None:
        visitor.send(start)
        visitor.flood(then)

    with serving(floods) as server:
        answer = ask(node, server)
        assert (answer is not None) == read
        assert answer is None or len(answer.text) == MAX_BODY
        assert server.sent < 32_000_000, "what the kernel keeps for a reader"


def test_what_is_not_a_whole_answer_is_none(node: Any) -> None:
    for answered in (b"", b"SSH-2.0\r\n\r\n", HEAD + b"Content-Length: 9\r\n\r\nx"):
        with serving(sends(answered)) as server:
            assert ask(node, server) is None


@pytest.mark.parametrize("host", ["10.0.0.1", "elsewhere.test", "0.0.0.0", "127.0.0.1@x"])
def test_only_the_node_itself_is_asked(node: Any, host: str) -> None:
    with pytest.raises(ValueError, match=host):
        http.request_inside(node, host, 80)


# A registry -------------------------------------------------------------------------------------

DIGEST = "sha256:" + 64 * "a"
MANIFEST = {"config": {"digest": DIGEST}}


def of_a_registry(pages: Mapping[str, bytes]) -> Callable[[Connection], None]:
    def answer(visitor: Connection) -> None:
        body = pages.get(visitor.target.removeprefix("/v2/"), b"{}")
        digest = f"Docker-Content-Digest: {DIGEST}"
        visitor.send(page(body, "Docker-Distribution-Api-Version: registry/2.0", digest))

    return answer


def listing(key: str, *names: str) -> bytes:
    return json.dumps({key: names}).encode()


def test_a_registry_tells_what_it_has(node: Any) -> None:
    pages = {
        f"_catalog?n={registry.MOST}": listing("repositories", "harbour/page"),
        "harbour/page/tags/list": listing("tags", "1.0"),
        "harbour/page/manifests/1.0": json.dumps(MANIFEST).encode(),
    }
    with serving(of_a_registry(pages)) as server:
        found = registry.look(node, server.port)
    assert found.answers
    assert found.tags("harbour/page") == {"1.0": registry.Manifest(DIGEST, DIGEST)}


@pytest.mark.parametrize(
    "body",
    [
        30_000 * b"[",
        b'{"repositories": ' + 30_000 * b"[",
        b'{"repositories": {}}',
        60_000 * b"1",
        listing("repositories", "../../x", "a b", "@elsewhere.test/x", "x?y"),
    ],
    ids=["lists", "lists in it", "no list", "a number", "names"],
)
def test_odd_answers_of_a_registry_are_an_empty_one(node: Any, body: bytes) -> None:
    with serving(of_a_registry({f"_catalog?n={registry.MOST}": body})) as server:
        found = registry.look(node, server.port)
        assert (found.answers, found.repositories) == (True, {})
        assert len(server.asked) == 2


def test_a_slow_registry_costs_the_time_of_one_look(
    node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "LOOK_SECONDS", SHORT)
    names = [f"name{number}" for number in range(registry.MOST)]
    pages = {f"_catalog?n={registry.MOST}": listing("repositories", *names)}
    quick = of_a_registry(pages)

    def slow_lists(visitor: Connection) -> None:
        if "tags" in visitor.target:
            visitor.drip(b"")
        quick(visitor)

    with serving(slow_lists) as server:
        began = time.monotonic()
        registry.look(node, server.port)
        assert time.monotonic() - began < SHORT * GENEROUS
        assert sum("tags" in target for target in server.asked) <= 1
