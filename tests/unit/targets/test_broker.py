"""What the process of checks may ask, and what becomes of what is no request. Without an engine."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import socket
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from grader.engine import archive
from grader.engine.client import Engine
from grader.engine.node import SandboxNode
from grader.engine.node_limits import LIMITS
from grader.engine.sandbox import Sandbox
from grader.engine.sandbox_target import SandboxTarget
from grader.errors import EngineFault
from grader.nodes import reach
from grader.targets import broker as brokers
from grader.targets import frames
from grader.targets.broker import Broker
from grader.targets.brokered import BrokeredNode, BrokeredTarget, Line

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="where the kit is root on Linux"
)

ANSWER = b"it is me"


@contextlib.contextmanager
def listening(family: int, address: Any) -> Iterator[socket.socket]:
    with socket.socket(family) as server:
        server.bind(address)
        server.listen()
        yield server


@dataclass
class Nested:
    """The socket of a node's engine, by its path: whose it is has tests of its own."""

    path: str

    def connect(self, timeout: float = 60) -> socket.socket:
        made = socket.socket(socket.AF_UNIX)
        made.connect(self.path)
        return made


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """Of a sandbox whose host has no engine any more; its node's socket is there."""
    engine = Engine(f"unix://{tmp_path}/gone.sock", "embedded", "userns", "20")
    nested = str(tmp_path / "engine.sock")
    node = SandboxNode("manager1", "0" * 64, "127.0.0.1", engine, Nested(nested))  # type: ignore[arg-type]
    target = SandboxTarget(Sandbox("id", engine, [node], "s1", LIMITS))
    with listening(socket.AF_UNIX, nested) as server, Broker(target) as made:
        made.nested = server  # type: ignore[attr-defined]
        yield made


@pytest.fixture
def node(broker: Broker) -> Iterator[BrokeredNode]:
    description = broker.describe()
    target = BrokeredTarget.attach({**description, "broker": os.dup(description["broker"])})
    (node,) = target.nodes
    assert isinstance(node, BrokeredNode)
    # Both sides are one process here: what this one hands over it must not ask itself for.
    reach.forget(node.address, node.open)
    yield node
    target.close()


def test_connections_come_open(broker: Broker, node: BrokeredNode) -> None:
    with listening(socket.AF_INET, ("127.0.0.1", 0)) as server:
        with node.open(server.getsockname()[1], 5) as made:
            there, address = server.accept()
            with there:
                there.sendall(ANSWER)
                assert made.recv(99) == ANSWER
                assert made.gettimeout() == 5
                assert made.getsockname() == address
        port = server.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        node.open(port, 5)
    with node._dial() as made, broker.nested.accept()[0] as there:  # type: ignore[attr-defined]
        there.sendall(ANSWER)
        assert made.recv(99) == ANSWER


def test_a_machine_that_has_no_sockets_left_is_no_refusal(
    node: BrokeredNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_words: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(reach, "connect", full)
    with pytest.raises(EngineFault, match="Too many open files"):
        node.open(80, 5)


def test_an_engine_that_is_gone_is_a_fault_there_too(node: BrokeredNode) -> None:
    with pytest.raises(EngineFault, match="does not answer"):
        node.run(["true"], timeout=5)
    with pytest.raises(EngineFault, match="does not answer"):
        node.host.run("true")
    with pytest.raises(EngineFault, match="does not answer"):
        node.put({"a": b"1"}, "/b")
    with pytest.raises(EngineFault, match="does not answer"), node.cut_off():
        pass


GOOD = {"do": "run", "node": "manager1", "argv": ["a"], "timeout": 1, "cwd": "/", "env": {}}
NO_REQUESTS: list[dict[str, Any]] = [
    {},
    {"do": "_serve", "node": "manager1"},
    {"do": "run", "node": "worker1"},
    {"do": ["run"], "node": "manager1"},
    {**GOOD, "keep": "many"},
    {**GOOD, "keep": 1, "timeout": float("nan")},
    {**GOOD, "keep": 1, "timeout": 1e30},
    {**GOOD, "keep": 1, "argv": "rm -rf"},
    {**GOOD, "keep": 1, "argv": [1]},
    {**GOOD, "keep": 1, "env": ["A=1"]},
    {"do": "open", "node": "manager1", "port": 0, "timeout": 1},
    {"do": "open", "node": "manager1", "port": "80 ", "timeout": None},
    {"do": "put", "node": "manager1", "dest": "/a", "entries": [["../a", 0o644, 0, 1]]},
    {"do": "put", "node": "manager1", "dest": "/a", "entries": [["a", 0o644, 0, 1e12]]},
    {"do": "put", "node": "manager1", "dest": "/a", "entries": [["a", 0o644, 0, 10**12]]},
    {"do": "put", "node": "manager1", "dest": "/a", "entries": [["a", 1, 0, None]] * 20_000},
    {"do": "put", "node": "manager1", "dest": 7, "entries": []},
]


@pytest.mark.parametrize("request_", NO_REQUESTS)
def test_what_is_no_request_ends_its_channel_and_no_other(
    node: BrokeredNode, request_: dict[str, Any]
) -> None:
    with node._line.channel() as other, node._line._new() as channel:
        frames.send(channel, request_)
        assert "could not do it" in frames.receive(channel)[0]["fault"][0]
        with pytest.raises(frames.Ended):
            frames.receive(channel)
        frames.send(other, {**GOOD, "keep": 1})
        assert "does not answer" in frames.receive(other)[0]["fault"][0]


@pytest.mark.parametrize(
    "said",
    [
        frames.LENGTHS.pack(frames.HEADER_BYTES + 1, 0),
        frames.LENGTHS.pack(2, frames.BODY_BYTES + 1) + b"{}",
        frames.LENGTHS.pack(2, 0) + b"[]",
        frames.LENGTHS.pack(2, 0) + b"\xff\xff",
        frames.LENGTHS.pack(100_000, 0) + b"[" * 100_000,
    ],
)
def test_what_is_no_message_ends_its_channel(node: BrokeredNode, said: bytes) -> None:
    with node._line._new() as channel:
        channel.sendall(said)
        with pytest.raises(frames.Ended):
            frames.receive(channel)


def test_too_much_at_once_is_said_and_ends_with_what_is_let_go(
    node: BrokeredNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brokers, "SESSIONS", 3)
    line: Line = node._line
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(line.channel()) for _ in range(3)]
        with pytest.raises(EngineFault, match="too many requests at once"):
            line._new()
    assert len(held) == 3
    with pytest.raises(EngineFault, match="does not answer"):
        node.run(["true"], timeout=5)


def test_at_its_end_nothing_is_answered_any_more(broker: Broker, node: BrokeredNode) -> None:
    with node._line.channel() as channel:
        broker.__exit__(None, None, None)
        with pytest.raises(frames.Ended):
            frames.receive(channel)
    with pytest.raises(EngineFault, match=r"gone|no longer"):
        node.run(["true"], timeout=5)


def test_files_arrive_as_they_were_packed(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "in").mkdir(parents=True)
    (folder / "in/run.sh").write_text("#!/bin/sh\n", encoding="utf-8")
    (folder / "in/run.sh").chmod(0o755)
    (folder / "größer").write_bytes(b"x" * 70_000)
    (folder / os.fsdecode(b"latin-\xe9")).write_bytes(b"")
    with archive.pack(folder) as packed, tarfile.open(fileobj=packed) as tar:
        members = tar.getmembers()
        entries = [archive.Entry(*archive.entry_of(member)) for member in members]
        files = [tar.extractfile(member) for member in members if member.isreg()]
        content = io.BytesIO(b"".join(file.read() for file in files if file))
        packed.seek(0)
        before = packed.read()
    with archive.pack_entries(entries, content) as again:
        assert again.read() == before
    with pytest.raises(OSError, match="end of data"):
        archive.pack_entries(entries, io.BytesIO(b"short"))
