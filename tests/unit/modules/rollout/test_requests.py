"""The requests of a recording: what each server is written down as, and that none holds it up."""

from __future__ import annotations

import socket
import time

import pytest

from grader.modules.rollout import requests
from grader.modules.rollout.requests import Driver
from grader.modules.rollout.trace import Request
from grader.waiting import wait_until
from tests.unit.modules.test_http import GENEROUS, HEAD, SHORT, SLOW
from tests.unit.raw_server import page, serving


def first_request(port: int) -> Request:
    driver = Driver("manager1", "127.0.0.1", port, time.monotonic, every=60)
    driver.start()
    assert wait_until(lambda: driver.result().sent, within=30)
    driver.stop()
    return driver.result().sent[0]


def test_an_answer_is_written_down_with_version_and_host() -> None:
    said = page(b"version: 2.0, host: abc123" + 5000 * b" ", "Server: nginx")
    with serving(lambda visitor: visitor.send(said)) as server:
        request = first_request(server.port)
    assert (request.status, request.version, request.host) == (200, "2.0", "abc123")
    assert request.error == ""


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    with serving(lambda visitor: visitor.send(page(b"canary"))) as canary:
        moved = page(b"", f"Location: http://127.0.0.1:{canary.port}/", status="302 Found")
        with serving(lambda visitor: visitor.send(moved)) as server:
            assert first_request(server.port).status == 302
            assert len(server.asked) == 1
        assert canary.visits == 0


@pytest.mark.parametrize("slow", SLOW)
def test_a_slow_answer_is_a_failure_at_the_time_limit(
    slow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "TIMEOUT", SHORT)
    with serving(SLOW[slow]) as server:
        request = first_request(server.port)
    assert (request.status, request.error) == (0, f"no answer within {SHORT:g} s")
    assert request.ms < 1000 * SHORT * GENEROUS


@pytest.mark.parametrize(
    ("answered", "error"),
    [
        (b"", "connection reset"),
        (b"SSH-2.0\r\n\r\n", "not an HTTP answer"),
        (HEAD + 101 * b"X: y\r\n" + b"\r\n", "not an HTTP answer"),
        (HEAD + b"Content-Length: 9\r\n\r\nx", "connection reset"),
    ],
)
def test_no_answer_is_a_failure(answered: bytes, error: str) -> None:
    with serving(lambda visitor: visitor.send(answered)) as server:
        request = first_request(server.port)
    assert (request.status, request.error) == (0, error)


def test_a_closed_port_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert first_request(port).error == "connection refused"
