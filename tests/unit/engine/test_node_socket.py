"""Of what lies where a socket should, only a socket is opened, and nothing that a link leads to."""

from __future__ import annotations

import dataclasses
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from grader.engine import node_socket
from grader.engine.bounded import Unanswered
from grader.errors import EngineFault

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="handles of Linux")


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[tuple[Path, list[object]]]:
    """A socket of the host and who has connected to it."""
    path = tmp_path / "canary"
    seen: list[object] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def accept() -> None:
            try:
                while True:
                    taken, _ = listener.accept()
                    seen.append(taken)
                    taken.sendall(b"!")
            except OSError:
                return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield path, seen
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_socket_is_connected_to(canary: tuple[Path, list[object]]) -> None:
    path, seen = canary
    with node_socket.below(path.parent, path.name, 5) as made:
        assert made.getpeername() == str(path)
        assert made.recv(1) == b"!"
    assert len(seen) == 1


@pytest.mark.parametrize(
    "put",
    [
        lambda place, target: place.symlink_to(target),
        lambda place, target: place.symlink_to(os.path.relpath(target, place.parent)),
        lambda place, _target: os.mkfifo(place),
        lambda place, _target: place.mkdir(),
        lambda place, _target: place.write_text("x"),
    ],
    ids=["link", "relative link", "pipe", "folder", "file"],
)
def test_anything_else_is_a_fault(
    canary: tuple[Path, list[object]], tmp_path: Path, put: Callable[[Path, Path], None]
) -> None:
    target, seen = canary
    folder = tmp_path / "node"
    folder.mkdir()
    put(folder / "engine.sock", target)
    with pytest.raises(EngineFault, match="replaced the socket"):
        node_socket.below(folder, "engine.sock", 5)
    assert seen == []


def test_nothing_there_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        node_socket.below(tmp_path, "engine.sock", 5)
    with socket.socket(socket.AF_UNIX) as closed:
        closed.bind(str(tmp_path / "engine.sock"))
    with pytest.raises(ConnectionRefusedError):
        node_socket.below(tmp_path, "engine.sock", 5)


def test_what_lies_under_a_folder_that_is_not_mounted_is_not_opened(
    canary: tuple[Path, list[object]], tmp_path: Path
) -> None:
    """As after the node's end."""
    me = node_socket.listener(str(canary[0]))
    assert me is not None
    assert me.pid == os.getpid()
    folder = tmp_path / "node"
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / node_socket.NAME))
        listener.listen()
        where = node_socket.NodeSocket(me, "", str(folder), os.getuid(), me)
        with pytest.raises(Unanswered, match="does not run"):
            where.connect()
        with pytest.raises(Unanswered, match="started again"):
            dataclasses.replace(where, host=node_socket.Process(me.pid, 1)).connect()
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()
