"""Nodes whose addresses lead nowhere from here (a virtual machine's) are reached all the same."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator

import pytest

from grader.engine.client import Engine
from grader.engine.sandbox import Sandbox, SandboxNode
from grader.modules import http
from grader.nodes import reach

pytestmark = pytest.mark.engine

SERVE = (
    "use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalAddr => $ARGV[0], LocalPort => 8123,"
    " Listen => 9, ReuseAddr => 1) or die $!; print STDERR qq(up\\n); while (my $c = $s->accept) {"
    " my $line = <$c>; my $n = 0; while (<$c>) { $n = $1 if /^Content-Length: (\\d+)/i;"
    " last if /^\\r?$/ } read $c, my $body, $n;"
    " my $text = $line . length($body) . ('x' x 300000); print $c"
    " qq(HTTP/1.1 200 OK\\r\\nContent-Length: ) . length($text) . qq(\\r\\n\\r\\n$text); close $c }"
)


@pytest.fixture(scope="module")
def node(engine: Engine) -> Iterator[SandboxNode]:
    elsewhere = dataclasses.replace(engine, name="docker-desktop")
    assert not elsewhere.local
    with Sandbox.create(elsewhere) as made:
        (node,) = made.nodes
        assert node.socket is None
        server = threading.Thread(
            target=node.run,
            args=[["perl", "-e", SERVE, node.address]],
            kwargs={"timeout": 600},
            daemon=True,
        )
        server.start()
        waiting = ["sh", "-c", "until grep -q :1FBB /proc/net/tcp; do sleep 0.1; done"]
        assert node.run(waiting, timeout=30).ok
        yield node


def test_its_engine_answers(node: SandboxNode) -> None:
    assert node.docker.info()["Name"] == "manager1"


def test_its_ports_answer_requests(node: SandboxNode) -> None:
    answer = http.get(node.address, 8123, "/page", {"n": 17}, timeout=20)
    assert answer is not None
    assert answer.status == 200
    assert answer.text.startswith("GET /page?n=17 HTTP/1.1\r\n0x")
    assert len(answer.text) > 300_000
    answer = http.post(node.address, 8123, "/form", {"text": "y" * 200_000})
    assert answer is not None
    assert answer.text.startswith("POST /form HTTP/1.1\r\n200005x")


def test_a_port_where_nothing_listens_does_not_connect(node: SandboxNode) -> None:
    assert http.connects(node.address, 8123, timeout=20)
    assert not http.connects(node.address, 8124, timeout=20)
    assert http.get(node.address, 8124, timeout=20) is None


def test_a_port_bound_to_loopback_is_not_published(node: SandboxNode) -> None:
    local = threading.Thread(
        target=node.run,
        args=[["perl", "-e", SERVE.replace("8123", "8125"), "127.0.0.1"]],
        kwargs={"timeout": 600},
        daemon=True,
    )
    local.start()
    waiting = ["sh", "-c", "until grep -q 0100007F:1FBD /proc/net/tcp; do sleep 0.1; done"]
    assert node.run(waiting, timeout=30).ok
    assert not http.connects(node.address, 8125, timeout=20)


def test_the_detour_ends_with_the_node(engine: Engine) -> None:
    elsewhere = dataclasses.replace(engine, name="docker-desktop")
    with Sandbox.create(elsewhere) as made:
        address = made.nodes[0].address
        assert address in reach._openers
    assert address not in reach._openers
