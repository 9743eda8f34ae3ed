"""Requests at the nodes of a swarm while something happens to a service.

One thread per node sends requests at a fixed interval, each on its own connection, so that each one
is balanced again and none benefits from an old connection.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping

from grader.errors import KitError
from grader.modules.exchange import OURS, NotHTTP, exchange
from grader.modules.http import only_the_labs_own
from grader.modules.rollout.trace import Request, Requests

EVERY = 0.05
"""Seconds from one request at a node to the next: at most 20 a second."""

TIMEOUT = 5.0
"""Seconds for the whole of a request, from connecting to the end of the body."""

MAX_BODY = 4096

Read = Callable[[Mapping[str, str], str], tuple[str, str]]
"""From an answer's headers (lower-case names) and text to (version, host)."""

_VERSION = re.compile(r"\bversion\W{1,4}([\w.-]{1,40})")
_HOST = re.compile(r"\bhost\W{1,4}([\w.-]{1,64})")


def read_answer(headers: Mapping[str, str], text: str) -> tuple[str, str]:
    """Version and host from the answer of the lab's demo application; otherwise empty."""
    version = _VERSION.search(text)
    host = _HOST.search(text)
    told = headers.get("x-version", "")[:40]
    return told or (version[1] if version else ""), host[1] if host else ""


class Driver:
    """The requests at one node. `clock` gives the trace's time."""

    def __init__(
        self,
        node: str,
        address: str,
        port: int,
        clock: Callable[[], float],
        *,
        path: str = "/",
        every: float = EVERY,
        read: Read = read_answer,
    ) -> None:
        only_the_labs_own(address)
        self.node = node
        self.address = address
        self.port = port
        self.path = path
        self.every = every
        self._clock = clock
        self._read = read
        self._sent: list[Request] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name=f"requests {node}")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Send no more; a running request is waited for and counts."""
        self._stop.set()
        self._thread.join(TIMEOUT * 2)

    def result(self) -> Requests:
        return Requests(self.node, self.port, self.every, tuple(self._sent))

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            request = self._request()
            if request is not None:
                self._sent.append(request)
            # What was missed is not caught up on: the rate is a bound.
            due = max(due + self.every, time.monotonic())

    def _request(self) -> Request | None:
        at = self._clock()
        status, version, host, error = 0, "", "", ""
        try:
            answer = exchange(
                *(self.address, self.port, "GET", self.path),
                headers={"Accept-Encoding": "identity"},
                timeout=TIMEOUT,
                most=MAX_BODY,
            )
            version, host = self._read(answer.headers, answer.text)
            status = answer.status
        except OSError as problem:
            # What the grader's own machine is short of is no failure of the service.
            if problem.errno in OURS:
                return None
            error = _in_words(problem)
        except KitError:
            error = "not reachable"
        except NotHTTP:
            error = "not an HTTP answer"
        ms = (self._clock() - at) * 1000
        return Request(round(at, 3), round(ms, 1), status, version, host, error)


def _in_words(problem: OSError) -> str:
    if isinstance(problem, TimeoutError):
        return f"no answer within {TIMEOUT:g} s"
    if isinstance(problem, ConnectionRefusedError):
        return "connection refused"
    if isinstance(problem, (ConnectionResetError, BrokenPipeError)):
        return "connection reset"
    return (problem.strerror or type(problem).__name__).lower()
