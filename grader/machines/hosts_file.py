"""hosts.yaml: machines of one's own that are logged in to over SSH: cloud VMs, the PCs of a lab.

    user: student                  # what holds for all that do not say otherwise
    key: ~/.ssh/id_ed25519
    hosts:
      manager1: 203.0.113.11       # where SSH answers
      worker1:
        host: 203.0.113.12
        address: 10.0.0.12         # the machines' own network, if that is another one
        host_key: ssh-ed25519 AAAA…

The first is the one that the swarm is made on.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from grader import paths
from grader.errors import KitError

DEFAULT = "hosts.yaml"
COMMON = {"user", "key", "port", "hosts"}
OWN = {"host", "address", "user", "key", "port", "host_key"}
NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


@dataclass(frozen=True)
class Host:
    """`address` is None where it is that of `host`; `host_key` as in a .pub file, or None."""

    name: str
    host: str
    address: str | None
    user: str
    port: int
    key: str | None
    host_key: str | None

    def resolved(self) -> str:
        """The IPv4 address in the machines' own network. KitError if the name is unknown."""
        if self.address is not None:
            return self.address
        try:
            return socket.getaddrinfo(self.host, None, socket.AF_INET)[0][4][0]  # type: ignore[return-value]
        except OSError:
            raise KitError(
                f"{self.name}: no address is known for {self.host}.",
                remedy="Look for a typing error, or name the IP address.",
            ) from None


def read(file: Path | None = None) -> list[Host]:
    """The hosts in the file's order. KitError says which line of it to fix."""
    file = file or paths.KIT / DEFAULT
    try:
        tree: Any = yaml.safe_load(file.read_text("utf-8"))
    except FileNotFoundError:
        raise KitError(
            "There is no list of hosts.",
            where=str(file),
            remedy="docs/machines.md shows one; --hosts FILE names another file.",
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        first = str(error).splitlines()[0]
        raise KitError(f"The list of hosts cannot be read: {first}.", where=str(file)) from None
    return _Reading(file).hosts(tree)


@dataclass(frozen=True)
class _Reading:
    file: Path

    def hosts(self, tree: Any) -> list[Host]:
        if not isinstance(tree, dict) or not isinstance(tree.get("hosts"), dict):
            self.wrong("There are no hosts in it.", "Write `hosts:` and below it `name: address`.")
        self.known("the file", tree, COMMON)
        found = [self.host(name, own, tree) for name, own in tree["hosts"].items()]
        if not found:
            self.wrong("There are no hosts in it.", "Write one a line: `manager1: 203.0.113.11`.")
        return found

    def host(self, name: Any, own: Any, tree: dict[str, Any]) -> Host:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            self.wrong(f"{name!r} is no name for a host.", "Small letters, digits and - only.")
        own = {"host": own} if isinstance(own, str) else own
        if not isinstance(own, dict) or not isinstance(own.get("host"), str):
            self.wrong(f"{name} has no `host`.", "Say where SSH answers: `host: 203.0.113.11`.")
        self.known(name, own, OWN)
        user = own.get("user", tree.get("user"))
        if not isinstance(user, str) or not user:
            self.wrong(f"{name} has no `user`.", "Say `user: NAME`, for it or for all.")
        port = own.get("port", tree.get("port", 22))
        if not isinstance(port, int) or not 0 < port < 65536:
            self.wrong(f"{name} has the port {port!r}.", "Give it a number from 1 to 65535.")
        key = own.get("key", tree.get("key"))
        return Host(
            name=name,
            host=own["host"],
            address=self.address(name, own),
            user=user,
            port=port,
            key=str(Path(str(key)).expanduser()) if key else None,
            host_key=self.host_key(name, own),
        )

    def address(self, name: str, own: dict[str, Any]) -> str | None:
        told = own.get("address")
        if told is None:
            return None
        try:
            return str(ipaddress.IPv4Address(told))
        except ValueError:
            self.wrong(f"{name} has the address {told!r}.", "It is a number such as 10.0.0.12.")

    def host_key(self, name: str, own: dict[str, Any]) -> str | None:
        told = own.get("host_key")
        if told is None:
            return None
        words = str(told).split()
        if len(words) < 2:
            self.wrong(
                f"{name} has no whole host_key.",
                "It is a line of /etc/ssh/ssh_host_ed25519_key.pub on that machine.",
            )
        return " ".join(words[:2])

    def known(self, where: str, table: dict[str, Any], keys: set[str]) -> None:
        for stranger in table.keys() - keys:
            self.wrong(
                f"`{stranger}` in {where} is not known.", f"Known are: {', '.join(sorted(keys))}."
            )

    def wrong(self, what: str, remedy: str) -> NoReturn:
        raise KitError(what, where=str(self.file), remedy=remedy)
