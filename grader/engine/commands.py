"""Programs in a container over the Engine API: streamed, capped, ended with all they started."""

from __future__ import annotations

import contextlib
import secrets
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from grader.errors import EngineFault
from grader.targets.node import Completed

if TYPE_CHECKING:
    import docker

ASK_SECONDS = 0.2
"""How often it is asked whether anyone still waits for a command."""

KILL_SECONDS = 20
"""How long a command may take to be gone once it is killed."""


class Kept:
    """Output of which only head and tail are kept, however much comes."""

    def __init__(self, characters: int) -> None:
        self.half = max(1, characters // 2)
        self.head = bytearray()
        self.tail = bytearray()
        self.total = 0
        self.lock = threading.Lock()

    def add(self, data: bytes) -> None:
        with self.lock:
            self.total += len(data)
            room = self.half - len(self.head)
            if room > 0:
                self.head += data[:room]
                data = data[room:]
            if data:
                self.tail += data
                # Cut now and then, not for every piece.
                if len(self.tail) > 4 * self.half:
                    del self.tail[: -self.half]

    def text(self) -> str:
        with self.lock:
            tail = bytes(self.tail[-self.half :])
            gap = self.total - len(self.head) - len(tail)
            middle = f"\n… {gap} bytes left out …\n".encode() if gap else b""
            return (bytes(self.head) + middle + tail).decode("utf-8", errors="replace")


class ExecStream:
    """A started exec: its output as frames, its input, its end.

    Reads through the buffer that HTTP's answer was read with: what the program said
    at once may already be in there.
    """

    def __init__(self, client: docker.DockerClient, exec_id: str, tty: bool = False) -> None:
        api: Any = client.api
        response = api._post_json(
            api._url("/exec/{0}/start", exec_id),
            headers={"Connection": "Upgrade", "Upgrade": "tcp"},
            data={"Tty": tty, "Detach": False},
            stream=True,
        )
        raw = api._get_raw_response_socket(response)
        api._disable_socket_timeout(raw)
        self._response = response
        self._reader = response.raw._fp.fp
        self._socket: Any = getattr(raw, "_sock", raw)

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """(1 for standard output or 2 for error, data), until the program closes both."""
        while True:
            header = self._read(8)
            if len(header) < 8:
                return
            stream, left = struct.unpack(">BxxxL", header)
            while left:
                data = self._read(min(left, 65536))
                if not data:
                    return
                left -= len(data)
                yield stream, data

    def screen(self) -> Iterator[bytes]:
        """What a program with a terminal writes, which is not in frames, as it comes."""
        with contextlib.suppress(OSError, ValueError):
            while data := self._reader.read1(65536):
                yield data

    def _read(self, size: int) -> bytes:
        try:
            return self._reader.read(size) or b""
        except (OSError, ValueError):
            return b""  # closed from the other thread

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def end_input(self) -> None:
        import socket

        with contextlib.suppress(OSError, AttributeError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End the stream, also under a reader that waits in another thread."""
        import socket

        with contextlib.suppress(OSError, AttributeError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError, ValueError):
            self._response.close()


def start(
    client: docker.DockerClient,
    container: str,
    argv: Sequence[str],
    *,
    cwd: str = "/",
    env: Mapping[str, str] | None = None,
    stdin: bool = False,
) -> tuple[str, ExecStream]:
    """Start a program in a container: (exec ID, its stream). Raises docker's APIError."""
    made = client.api.exec_create(
        container,
        list(argv),
        stdin=stdin,
        workdir=cwd,
        environment={name: str(value) for name, value in (env or {}).items()},
    )
    return made["Id"], ExecStream(client, made["Id"])


def run(
    client: docker.DockerClient,
    container: str,
    argv: Sequence[str],
    *,
    timeout: float,
    cwd: str = "/",
    env: Mapping[str, str] | None = None,
    keep: int = 64_000,
    given_up: Callable[[], bool] = lambda: False,
) -> Completed:
    """Run a program in a node (its image has `drydock-run` and `drydock-kill`).

    Never takes much longer than `timeout` seconds, and ends soon after `given_up`. Raises
    EngineFault where the engine or the node is gone; a program or folder that does not exist is
    exit code 126 or 127.
    """
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    token = secrets.token_hex(8)
    wrapped = ["drydock-run", token, *argv]
    began = time.monotonic()
    kept = Kept(keep)
    try:
        exec_id, stream = start(client, container, wrapped, cwd=cwd, env=env)
    except APIError as error:
        reason = str(error.explanation or error)
        if "is not running" in reason or error.status_code in (404, 409):
            raise EngineFault(
                f"The sandbox's node ended while it was needed: {reason}", where=container[:12]
            ) from None
        return Completed(tuple(argv), 126, reason, time.monotonic() - began)
    except (DockerException, RequestException) as error:
        raise EngineFault(f"The engine does not answer: {error}", where=container[:12]) from None

    def read() -> None:
        for _stream, data in stream.frames():
            kept.add(data)

    reader = threading.Thread(target=read, daemon=True, name=f"exec {token}")
    reader.start()
    over = False
    try:
        while reader.is_alive() and not given_up():
            left = timeout - (time.monotonic() - began)
            if left <= 0:
                break
            reader.join(min(left, ASK_SECONDS))
        over = reader.is_alive()
    finally:
        # Also on Ctrl-C: nothing that was started here goes on.
        if reader.is_alive():
            _kill(client, container, token)
            reader.join(KILL_SECONDS if over else 1)
        stream.close()
    rc = None if over else exit_code(client, exec_id)
    return Completed(tuple(argv), rc, kept.text(), time.monotonic() - began)


def _kill(client: docker.DockerClient, container: str, token: str) -> None:
    """Kill all that carries the token; a node that cannot even do this is removed soon anyway."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    with contextlib.suppress(DockerException, RequestException, OSError):
        _id, stream = start(client, container, ["drydock-kill", token])
        reader = threading.Thread(target=lambda: list(stream.frames()), daemon=True)
        reader.start()
        reader.join(KILL_SECONDS)
        stream.close()


def exit_code(client: docker.DockerClient, exec_id: str) -> int:
    """The exit code of an exec whose stream has ended (a moment before the engine knows it)."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    deadline = time.monotonic() + 10
    while True:
        try:
            code = client.api.exec_inspect(exec_id)["ExitCode"]
        except (DockerException, RequestException) as error:
            raise EngineFault(f"The engine does not answer: {error}") from None
        if code is not None:
            return int(code)
        if time.monotonic() > deadline:
            raise EngineFault("The engine does not say how a command ended.", where=exec_id[:12])
        time.sleep(0.01)
