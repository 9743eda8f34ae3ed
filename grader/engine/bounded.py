"""A client of an untrusted Docker engine: all answers have limits.

    docker = client(lambda: node_socket.by_path("/var/run/docker.sock", 60), timeout=60)
    with commands.within(30):
        chunks, _ = docker.api.get_archive(container, "/etc")

docker-py reads without a limit on size or time. Here an answer has at most `ANSWER` bytes and
`VALUES` values, and all of it must arrive within the client's timeout. A streamed answer has no
limit as a whole (its reader has one). But no piece of it takes more memory than `PIECE`, and inside
`commands.within` all of it must arrive in time.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import docker
import docker.errors
import requests.adapters
import requests.exceptions
import urllib3.connection
import urllib3.connectionpool
from docker.constants import MINIMUM_DOCKER_API_VERSION
from docker.utils import version_lt
from docker.utils.socket import consume_socket_output, demux_adaptor

from grader.errors import EngineFault
from grader.nodes import commands
from grader.nodes.commands import frames

BASE = "http+docker://localhost"

HEADER = 256 * 1024
ANSWER = 16 * 1024**2
VALUES = 500_000
"""Of JSON: a value of two bytes takes a hundred bytes in memory."""
PIECE = 8 * 1024**2
LINE = 1024**2
"""The longest event of a stream."""
PART = 65536
EXPLANATION = 2_000
"""Characters of an engine's error message."""
EXEC_SECONDS = 300
NOT_TO_THE_END = "The engine does not finish its answer in time."

_streamed: ContextVar[bool] = ContextVar("streamed", default=False)


class Unanswered(EngineFault, docker.errors.DockerException):
    """Nothing listens where a node's engine should be: not yet, or no longer."""


class Late(EngineFault, requests.exceptions.ReadTimeout):
    """An engine that does not answer completely within its time."""


def client(connect: Callable[[], socket.socket], timeout: float) -> docker.DockerClient:
    """A client whose connections to its engine are made by `connect`.

    `timeout` in seconds applies to each answer as a whole. Raises what `connect` raises,
    DockerException or RequestException; EngineFault if an answer exceeds the limits.
    """
    made = docker.DockerClient.__new__(docker.DockerClient)
    made.api = Api(connect, timeout)
    return made


class Metered(socket.socket):
    """A connection that gives at most `left` more bytes (None: any number) until `deadline`."""

    left: int | None = None
    deadline: float | None = None
    _pause: float | None = None

    @classmethod
    def of(cls, plain: socket.socket, timeout: float | None) -> Metered:
        family, kind, protocol = plain.family, plain.type, plain.proto
        made = cls(family, kind, protocol, fileno=plain.detach())
        made.settimeout(timeout)
        return made

    def allow(self, size: int | None, deadline: float | None) -> None:
        self.left, self.deadline = size, deadline

    def settimeout(self, value: float | None, /) -> None:
        self._pause = value
        super().settimeout(value)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0, /) -> int:
        """Everything is read through this method: HTTP's headers and bodies, frames of an exec."""
        view = memoryview(buffer)
        size = nbytes or view.nbytes
        if self.left is not None:
            if self.left <= 0:
                raise _bad("an answer that is longer than the grader reads")
            size = min(size, self.left)
        if self.deadline is None:
            got = super().recv_into(view[:size], size, flags)
        else:
            rest = self.deadline - time.monotonic()
            if rest <= 0:
                raise TimeoutError("timed out")
            super().settimeout(rest if self._pause is None else min(rest, self._pause))
            try:
                got = super().recv_into(view[:size], size, flags)
            finally:
                super().settimeout(self._pause)
        if self.left is not None:
            self.left -= got
        return got


def _bad(what: str) -> EngineFault:
    return EngineFault(f"The engine sent {what}.")


class _Connection(urllib3.connection.HTTPConnection):
    def __init__(self, connect: Callable[[], socket.socket], timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._open = connect
        self._seconds = timeout

    def connect(self) -> None:
        # What a relay asks for on its way is none of the answers that `within` is about.
        token = commands.until.set(None)
        try:
            self.sock: Any = Metered.of(self._open(), self._seconds)
        finally:
            commands.until.reset(token)

    def getresponse(self) -> Any:
        sock = self.sock
        seconds = self.timeout if isinstance(self.timeout, (int, float)) else None
        deadline = None if seconds is None else time.monotonic() + seconds
        # Also an answer that is streamed begins in time.
        sock.allow(HEADER, deadline)
        response = super().getresponse()
        if _streamed.get():
            sock.allow(None, commands.until.get())
        else:
            sock.allow(ANSWER, deadline)
        return response


class _Pool(urllib3.connectionpool.HTTPConnectionPool):
    def __init__(self, connect: Callable[[], socket.socket], timeout: float) -> None:
        super().__init__("localhost", timeout=timeout, maxsize=10)
        self._how = (connect, timeout)

    def _new_conn(self) -> _Connection:
        return _Connection(*self._how)


class _Adapter(requests.adapters.HTTPAdapter):
    """Like docker-py's adapter for Unix sockets, with another way to connect."""

    def __init__(self, connect: Callable[[], socket.socket], timeout: float) -> None:
        self._how = (connect, timeout)
        self._the_pool = _Pool(*self._how)
        super().__init__()

    def get_connection_with_tls_context(self, *_args: Any, **_options: Any) -> Any:
        return self._the_pool

    def get_connection(self, *_args: Any, **_options: Any) -> Any:
        return self._the_pool

    def request_url(self, request: Any, proxies: Any) -> Any:
        return request.path_url

    def send(self, request: Any, stream: bool = False, **options: Any) -> Any:  # type: ignore[override]
        token = _streamed.set(stream)
        try:
            return super().send(request, stream=stream, **options)
        finally:
            _streamed.reset(token)

    def build_response(self, req: Any, resp: Any) -> Any:
        if resp.headers.get("Content-Encoding", "identity") != "identity":
            raise _bad("a compressed answer, which nothing had asked for")
        original = getattr(resp, "_original_response", None)
        if original is not None:
            for name in ("Set-Cookie", "Set-Cookie2"):
                del original.msg[name]
        response = super().build_response(req, resp)
        if response.is_redirect:
            raise _bad("the grader elsewhere (a redirect) instead of an answer")
        return response

    def close(self) -> None:
        super().close()
        # Who still has the client connects again.
        closed, self._the_pool = self._the_pool, _Pool(*self._how)
        closed.close()


class Api(docker.APIClient):
    """docker-py's client with the limits above."""

    def __init__(self, connect: Callable[[], socket.socket], timeout: float) -> None:
        seconds: Any = timeout  # whole or not
        # Asking for the version needs the adapter, which is put in place only below.
        super().__init__(base_url="http://localhost:1", version="1.41", timeout=seconds)
        me: Any = self
        # No other way leads anywhere: no proxies, no redirects, no password files, no cookies.
        me.trust_env = False
        me.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        me.headers["Accept-Encoding"] = "identity"
        me.adapters.clear()
        me._custom_adapter = _Adapter(connect, timeout)
        me.mount("http+docker://", me._custom_adapter)
        me.base_url = BASE
        try:
            me._version = self._ask_version()
        except BaseException:
            me.close()
            raise

    def _ask_version(self) -> str:
        told = self.version(api_version=False)
        version = told.get("ApiVersion") if isinstance(told, dict) else None
        if not isinstance(version, str) or not re.fullmatch(r"[0-9]{1,4}\.[0-9]{1,4}", version):
            raise docker.errors.DockerException("What answers is not a Docker engine.")
        if version_lt(version, MINIMUM_DOCKER_API_VERSION):
            raise docker.errors.InvalidVersion(
                f"The engine's API {version} is older than {MINIMUM_DOCKER_API_VERSION}."
            )
        return version

    def send(self, request: Any, **options: Any) -> Any:
        try:
            return super().send(request, **options)
        except (requests.exceptions.Timeout, requests.exceptions.ConnectionError) as error:
            if "timed out" not in str(error):
                raise
            raise Late("The engine does not answer in time.") from error

    def _raise_for_status(self, response: Any) -> None:
        if response.status_code < 400:
            return
        sampler = _sampler(response)
        if sampler is not None:
            sampler.allow(LINE, time.monotonic() + 10)
        said = _text(response.content)
        with contextlib.suppress(ValueError, RecursionError):
            told = json.loads(said)
            said = str(told["message"]) if isinstance(told, dict) and "message" in told else said
        # What docker-py makes its error of.
        response._content = json.dumps({"message": said[:EXPLANATION]}).encode()
        response.encoding = "utf-8"
        super()._raise_for_status(response)  # type: ignore[misc]

    def _result(self, response: Any, json: bool = False, binary: bool = False) -> Any:
        self._raise_for_status(response)
        if json:
            return _value(response.content)
        return response.content if binary else _text(response.content)

    def get_archive(self, *args: Any, **options: Any) -> Any:
        try:
            return super().get_archive(*args, **options)
        except docker.errors.DockerException:
            raise
        except (RecursionError, ValueError):  # a header of the answer is JSON, too
            raise _bad("files with a description that is none") from None

    def _stream_helper(self, response: Any, decode: bool = False) -> Iterator[Any]:
        if not getattr(response.raw, "chunked", False):
            sampler = _sampler(response)
            if sampler is not None:
                sampler.allow(ANSWER, sampler.deadline)
            yield self._result(response, json=decode)
            return
        pieces = _pieces(response, response.raw.read_chunked(PART, decode_content=False))
        if not decode:
            yield from pieces
            return
        line = bytearray()
        for piece in pieces:
            line += piece
            *whole, rest = line.split(b"\n")
            if len(rest) > LINE:
                raise _bad("an event that is longer than the grader reads")
            line = rest
            yield from (_value(bytes(each)) for each in whole if each.strip())
        if line.strip():
            yield _value(bytes(line))

    def _stream_raw_result(
        self, response: Any, chunk_size: int = 1, decode: bool = True
    ) -> Iterator[bytes]:
        self._raise_for_status(response)
        self._wait_for_ever(response)
        # Never as text: which charset that is in would be the engine's to say.
        size = min(chunk_size or PART, PIECE // 4)
        yield from _pieces(response, response.iter_content(size, decode_unicode=False))

    def _multiplexed_response_stream_helper(self, response: Any) -> Iterator[bytes]:
        self._wait_for_ever(response)
        yield from _pieces(response, (data for _, data in frames(response.raw.read)))

    def _read_from_socket(
        self, response: Any, stream: bool, tty: bool = True, demux: bool = False
    ) -> Any:
        self._raise_for_status(response)
        self._wait_for_ever(response)
        reader = response.raw._fp.fp
        plain = ((1, data) for data in iter(lambda: reader.read1(PART), b""))
        numbered = plain if tty else frames(reader.read)
        output: Iterator[Any] = (demux_adaptor(*frame) if demux else frame[1] for frame in numbered)
        if stream:
            return _pieces(response, output)
        sampler = _sampler(response)
        if sampler is not None:
            sampler.allow(ANSWER, sampler.deadline or time.monotonic() + EXEC_SECONDS)
        try:
            take: Any = consume_socket_output
            return take(output, demux=demux)
        except TimeoutError as error:
            raise EngineFault(NOT_TO_THE_END) from error
        finally:
            response.close()

    def _wait_for_ever(self, response: Any) -> None:
        """For what an engine streams: it may be silent for a long time. `within` still applies."""
        sampler = _sampler(response)
        if sampler is not None:
            sampler.settimeout(None)


def _sampler(response: Any) -> Metered | None:
    """The connection that an answer comes from; None when all of it has arrived."""
    source = getattr(getattr(response.raw, "_fp", None), "fp", None)
    sock = getattr(getattr(source, "raw", None), "_sock", None)
    return sock if isinstance(sock, Metered) else None


def _pieces(response: Any, source: Iterator[Any]) -> Iterator[Any]:
    """The pieces that `source` makes of the answer, with a limit on the bytes for each piece."""
    try:
        while True:
            sampler = _sampler(response)
            if sampler is not None:
                sampler.left = PIECE
            piece = next(source, None)
            if piece is None:
                return
            yield piece
    except (urllib3.exceptions.ReadTimeoutError, requests.exceptions.ConnectionError) as error:
        if "timed out" not in str(error):
            raise
        # Not `Late`: docker-py takes an OSError in a stream for its end.
        raise EngineFault(NOT_TO_THE_END) from error
    except requests.exceptions.ChunkedEncodingError as error:
        raise _bad("a broken answer") from error
    finally:
        response.close()


def _text(content: bytes) -> str:
    return content.decode("utf-8", errors="replace")


def _value(content: bytes) -> Any:
    """The JSON of an answer, always decoded as UTF-8."""
    if sum(map(content.count, (b",", b"[", b"{"))) > VALUES:
        raise _bad(f"an answer of more than {VALUES} values")
    try:
        return json.loads(_text(content))
    except RecursionError:
        raise _bad("an answer that is nested too deeply") from None
    except ValueError as error:
        raise requests.exceptions.InvalidJSONError(f"No JSON: {error}") from None
