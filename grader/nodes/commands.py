"""Programs in a container over the Engine API: streamed, capped, ended with all they started."""

from __future__ import annotations

import contextlib
import secrets
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

from grader.errors import EngineFault
from grader.nodes.node import Completed

if TYPE_CHECKING:
    import docker

LOG_SECONDS = 60
LOG_READ = 64_000_000
"""Bytes of a log that are read on the way to its end; a single line may be that long."""

ASK_SECONDS = 0.2
"""How often it is asked whether anyone still waits for a command."""

KILL_SECONDS = 20
"""How long a command may take to be gone once it is killed."""


until: ContextVar[float | None] = ContextVar("until", default=None)
"""When a streamed answer must have ended that begins now (of time.monotonic)."""


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Streamed answers that begin inside end `seconds` from now, if need be with EngineFault.

    They keep this limit where they are read on outside.
    """
    token = until.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        until.reset(token)


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


def frames(read: Callable[[int], bytes]) -> Iterator[tuple[int, bytes]]:
    """(1 for standard output or 2 for error, data) of a multiplexed stream, until it ends.

    In parts of 64 kB at most: a frame's header may promise 4 GB.
    """
    while len(header := read(8)) == 8:
        stream, left = struct.unpack(">BxxxL", header)
        while left:
            data = read(min(left, 65536))
            if not data:
                return
            left -= len(data)
            yield stream, data


class ExecStream:
    """A started exec: its output as frames, its input, its end.

    Reads through the buffer that HTTP's answer was read with: what the program said
    at once may already be in there.
    """

    def __init__(self, client: docker.DockerClient, exec_id: str, tty: bool = False) -> None:
        """Raises docker's errors, and EngineFault where an answer comes that is none."""
        api: Any = client.api
        response = api._post_json(
            api._url("/exec/{0}/start", exec_id),
            headers={"Connection": "Upgrade", "Upgrade": "tcp"},
            data={"Tty": tty, "Detach": False},
            stream=True,
        )
        try:
            raw = api._get_raw_response_socket(response)
            self._reader = response.raw._fp.fp
        except AttributeError:
            raise EngineFault("The engine does not behave like a Docker engine.") from None
        api._disable_socket_timeout(raw)
        self._response = response
        self._socket: Any = getattr(raw, "_sock", raw)

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """(1 for standard output or 2 for error, data), until the program closes both."""
        return frames(self._read)

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


def log(
    client: docker.DockerClient,
    container: str,
    *,
    lines: int | Literal["all"],
    keep: int,
    out: bool = True,
    err: bool = True,
) -> bytes:
    """The last `keep` bytes of the last lines of a container's log. Raises docker's errors.

    However much the container says, and however slowly its engine.
    """
    end = bytearray()
    taken = 0
    options: Any = {"tail": lines, "stdout": out, "stderr": err}
    with within(LOG_SECONDS):
        chunks: Any = client.api.logs(container, stream=True, follow=False, **options)
    try:
        for chunk in chunks:
            end += chunk
            taken += len(chunk)
            if len(end) > 2 * keep:
                del end[:-keep]
            if taken > LOG_READ:
                break
    finally:
        with contextlib.suppress(OSError, AttributeError):  # it came to its end by itself
            chunks.close()
    return bytes(end[-keep:])


def _kill(client: docker.DockerClient, container: str, token: str) -> None:
    """Kill all that carries the token; a node that cannot even do this is removed soon anyway."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    with contextlib.suppress(DockerException, RequestException, OSError):
        _id, stream = start(client, container, ["drydock-kill", token])
        # What it says is not kept: the node's root may have put another program in its place.
        reader = threading.Thread(target=lambda: deque(stream.frames(), maxlen=0), daemon=True)
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
            if code is not None:
                return int(code)
        except (DockerException, RequestException) as error:
            raise EngineFault(f"The engine does not answer: {error}") from None
        except (KeyError, TypeError, ValueError):
            raise EngineFault("The engine does not report how a command ended.") from None
        if time.monotonic() > deadline:
            raise EngineFault("The engine does not report how a command ended.", where=exec_id[:12])
        time.sleep(0.01)
