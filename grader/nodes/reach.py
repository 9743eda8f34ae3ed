"""How the grader's own client gets to a node's ports.

Mostly there is nothing to it: the address is one of this machine's networks. Where the
nodes live in a virtual machine (Docker Desktop) or in a user's own network (rootless
engines), their addresses lead nowhere from here: those nodes hand in a way of their own.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

Opener = Callable[[int, float], socket.socket]
"""(port, seconds) -> a connected socket; raises OSError like socket.create_connection."""

_openers: dict[str, Opener] = {}
_lock = threading.Lock()


def relay(address: str, opener: Opener) -> None:
    """From now on connections to `address` are made by `opener`."""
    with _lock:
        _openers[address] = opener


def forget(address: str, opener: Opener) -> None:
    """Undo `relay`, if it is still this opener that serves the address."""
    with _lock:
        if _openers.get(address) == opener:
            del _openers[address]


def relayed(address: str) -> bool:
    """Whether connections to `address` take another way, which is a slower one."""
    with _lock:
        return address in _openers


def connect(address: str, port: int, timeout: float) -> socket.socket:
    """A TCP connection to a port of a node; OSError where there is none within `timeout` s."""
    with _lock:
        opener = _openers.get(address)
    if opener is not None:
        return opener(port, timeout)
    return socket.create_connection((address, port), timeout=timeout)
