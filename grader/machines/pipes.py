"""A local program's standard streams: read with limits, closed, or combined into one socket."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Sequence
from typing import IO, Any

from grader.machines import access
from grader.nodes.commands import Kept


def first_line(process: subprocess.Popen[bytes], seconds: float) -> str:
    """The first line of a process's output; empty if the output ends or `seconds` pass before
    it."""
    assert process.stdout is not None
    lines: list[bytes] = []
    reader = threading.Thread(
        target=lambda: lines.append(process.stdout.readline()),  # type: ignore[union-attr]
        daemon=True,
    )
    reader.start()
    reader.join(seconds)
    return lines[0].decode("utf-8", errors="replace").strip() if lines else ""


def read(source: IO[bytes] | None, kept: Kept) -> None:
    assert source is not None
    with contextlib.suppress(OSError, ValueError):
        while data := source.read1(65536):  # type: ignore[attr-defined]
            kept.add(data)


def drain(source: IO[bytes] | None) -> None:
    read(source, Kept(1))


def end(process: subprocess.Popen[Any]) -> None:
    """End the process before this returns; a process that has just ended keeps its exit code."""
    with contextlib.suppress(OSError):
        if process.stdin is not None:
            process.stdin.close()
    try:
        process.wait(timeout=1 if process.stdin is None else 3)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def through(argv: Sequence[str]) -> socket.socket:
    """A socket with its other end at a local program's standard streams."""
    process = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=access.multiplexed(),
    )
    mine, theirs = socket.socketpair()

    def outward() -> None:
        assert process.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            while data := theirs.recv(65536):
                process.stdin.write(data)
                process.stdin.flush()
        with contextlib.suppress(OSError):
            process.stdin.close()

    def inward() -> None:
        source: Any = process.stdout
        with contextlib.suppress(OSError, ValueError):
            while data := source.read1(65536):
                theirs.sendall(data)
        with contextlib.suppress(OSError):
            theirs.shutdown(socket.SHUT_RDWR)
        theirs.close()
        end(process)

    for pump in (outward, inward):
        threading.Thread(target=pump, daemon=True, name=f"ssh {pump.__name__}").start()
    return mine
