"""How to log in to a machine: data from Vagrant or a list of hosts, as OpenSSH's own file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONNECT_SECONDS = 30
"""Time for one attempt to connect; an emulated machine under load needs most of it."""

ALIVE_SECONDS = 10
ALIVE_COUNT = 6
"""The interval and the number of unanswered checks after which a connection is closed."""


@dataclass(frozen=True)
class Access:
    """`host` and `port` are where SSH answers. `address` is the IPv4 address in the nodes' own
    network, where they reach each other. `known_hosts` is a file with the host's keys."""

    name: str
    host: str
    address: str
    user: str
    known_hosts: str
    port: int = 22
    identity: str | None = None
    host_key_name: str | None = None
    """The name under which `known_hosts` has the keys, if it is not the host's."""
    reachable: bool = False
    """Whether requests from this computer get to `address`; else they go through SSH."""

    def describe(self) -> dict[str, Any]:
        return dict(vars(self))


def multiplexed() -> bool:
    """Whether one connection can serve many commands: OpenSSH for Windows cannot do that."""
    return os.name == "posix"


def write_config(
    file: Path, machines: Iterable[Access], sockets: Path | None = None, prefix: str = ""
) -> None:
    """Write an ssh_config for these machines, as `prefix` plus name; host keys are always checked.

    With `sockets` (a folder with a short path) commands share the connection with its socket there.
    Only the owner can read the file.
    """
    blocks = [_block(machine, sockets, prefix) for machine in machines]
    file.touch(mode=0o600)
    file.write_text("\n".join(blocks), encoding="utf-8")


def _block(machine: Access, sockets: Path | None, prefix: str) -> str:
    values: dict[str, object] = {
        "HostName": machine.host,
        "Port": machine.port,
        "User": machine.user,
        "UserKnownHostsFile": _quoted(machine.known_hosts),
        "StrictHostKeyChecking": "yes",
        # No one is there to type a password, or to say yes.
        "BatchMode": "yes",
        "ConnectTimeout": CONNECT_SECONDS,
        "ServerAliveInterval": ALIVE_SECONDS,
        "ServerAliveCountMax": ALIVE_COUNT,
        "LogLevel": "ERROR",
    }
    if machine.host_key_name:
        values["HostKeyAlias"] = machine.host_key_name
    if machine.identity:
        values["IdentityFile"] = _quoted(machine.identity)
        values["IdentitiesOnly"] = "yes"
    if sockets is not None and multiplexed():
        values["ControlPath"] = _quoted(str(control_path(sockets, machine.name)))
    lines = [
        f"Host {prefix}{machine.name}",
        *(f"  {name} {value}" for name, value in values.items()),
    ]
    return "\n".join(lines) + "\n"


def control_path(sockets: Path, name: str) -> Path:
    return sockets / f"{name}.ssh"


def _quoted(path: str) -> str:
    # OpenSSH takes % for one of its own names, on Windows too.
    return '"' + Path(path).as_posix().replace("%", "%%") + '"'
