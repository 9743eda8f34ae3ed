"""hosts.yaml: the user's own machines over SSH: cloud VMs, the PCs of a lab.

    user: student                  # for all hosts without their own value
    key: ~/.ssh/id_ed25519
    hosts:
      manager1: 203.0.113.11       # where SSH answers
      worker1:
        host: 203.0.113.12
        address: 10.0.0.12         # the machines' own network, if that is another one
        host_key: ssh-ed25519 AAAA…

The swarm is created on the first host.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader import paths
from grader.errors import KitError
from grader.lab.reader import Reader

DEFAULT = "hosts.yaml"
COMMON = {"user", "key", "port"}
OWN = {"address", "user", "key", "port", "host_key"}
NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


@dataclass(frozen=True)
class Host:
    """`address` is None if it is the address of `host`; `host_key` as in a .pub file, or None."""

    name: str
    host: str
    address: str | None
    user: str
    port: int
    key: str | None
    host_key: str | None

    def resolved(self) -> str:
        """The IPv4 address in the machines' own network. Raises KitError if the name is unknown."""
        if self.address is not None:
            return self.address
        try:
            return socket.getaddrinfo(self.host, None, socket.AF_INET)[0][4][0]  # type: ignore[return-value]
        except OSError:
            raise KitError(
                f"{self.name}: no address is known for {self.host}.",
                remedy="Check the spelling, or use the IP address.",
            ) from None


def read(file: Path | None = None) -> list[Host]:
    """The hosts in the file's order. Raises KitError with the line to correct."""
    file = file or paths.KIT / DEFAULT
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        raise KitError(
            "There is no list of hosts.",
            where=str(file),
            remedy="docs/machines.md shows one; --hosts FILE names another file.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise KitError(f"The list of hosts cannot be read: {error}.", where=str(file)) from None
    return _Hosts(file, text).hosts()


class _Hosts(Reader):
    def hosts(self) -> list[Host]:
        tree = self.data
        if not isinstance(tree, dict) or not isinstance(tree.get("hosts"), dict):
            self.wrong((), "It has no hosts.", "Write `hosts:` and below it `name: address`.")
        self.mapping(tree, (), {"hosts"}, COMMON)
        found = [self.host(name, own, tree) for name, own in tree["hosts"].items()]
        if not found:
            self.wrong(
                ("hosts",), "It has no hosts.", "Write one per line: `manager1: 203.0.113.11`."
            )
        return found

    def host(self, name: Any, own: Any, tree: dict[str, Any]) -> Host:
        key = ("hosts", str(name))
        if not isinstance(name, str) or not NAME.fullmatch(name):
            self.wrong(
                key,
                f"{name!r} is not a valid host name.",
                "Use only lower-case letters, digits and -.",
            )
        own = {"host": own} if isinstance(own, str) else own
        if not isinstance(own, dict) or not isinstance(own.get("host"), str):
            self.wrong(
                key, f"{name} has no `host`.", "Write where SSH answers: `host: 203.0.113.11`."
            )
        self.mapping(own, key, {"host"}, OWN)
        user = own.get("user", tree.get("user"))
        if not isinstance(user, str) or not user:
            self.wrong(
                key, f"{name} has no `user`.", "Write `user: NAME`, for this host or for all."
            )
        port = own.get("port", tree.get("port", 22))
        if not isinstance(port, int) or not 0 < port < 65536:
            place = (*key, "port") if "port" in own else ("port",)
            self.wrong(place, f"{name} has the port {port!r}.", "Give it a number from 1 to 65535.")
        private = own.get("key", tree.get("key"))
        return Host(
            name=name,
            host=own["host"],
            address=self.address(name, own),
            user=user,
            port=port,
            key=str(Path(str(private)).expanduser()) if private else None,
            host_key=self.host_key(name, own),
        )

    def address(self, name: str, own: dict[str, Any]) -> str | None:
        told = own.get("address")
        if told is None:
            return None
        try:
            return str(ipaddress.IPv4Address(told))
        except ValueError:
            self.wrong(
                ("hosts", name, "address"),
                f"{name} has the address {told!r}.",
                "It is a number such as 10.0.0.12.",
            )

    def host_key(self, name: str, own: dict[str, Any]) -> str | None:
        told = own.get("host_key")
        if told is None:
            return None
        words = str(told).split()
        if len(words) < 2:
            self.wrong(
                ("hosts", name, "host_key"),
                f"{name} has an incomplete host_key.",
                "It is a line of /etc/ssh/ssh_host_ed25519_key.pub on that machine.",
            )
        return " ".join(words[:2])
