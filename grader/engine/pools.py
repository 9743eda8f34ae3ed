"""Which addresses the embedded engine's networks get, and that no packet to them leaves the
machine."""

from __future__ import annotations

import ipaddress
import json
import secrets
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from grader.engine import packages
from grader.errors import EngineFault

CANDIDATES = (
    "172.31.0.0/16",
    "172.30.0.0/16",
    "172.29.0.0/16",
    "172.28.0.0/16",
    "10.231.0.0/16",
    "10.232.0.0/16",
)
POOL_PREFIX = 16
BRIDGE = "ddk"
"""The prefix of the bridges of sandboxes' networks on the kit's own engine."""
OUTER_BRIDGE = "ddo"
"""The prefix of the bridges of networks with a way out."""
HOME = "drydock.home="
"""The label of the kit's engines; the key of the data directory follows."""
METRIC = "4294967295"
"""The worst possible metric: every real route has priority over the kit's blackhole."""


def first_free(taken: Iterable[str]) -> str:
    """The first candidate that overlaps none of the addresses and networks in `taken`."""
    networks = [ipaddress.ip_network(entry, strict=False) for entry in taken]
    for pool in CANDIDATES:
        mine = ipaddress.ip_network(pool)
        if not any(network.version == 4 and mine.overlaps(network) for network in networks):
            return pool
    raise EngineFault(
        "All address ranges that the kit could use for its networks are in use on this machine: "
        + ", ".join(CANDIDATES),
        remedy="Stop what uses one of them, for example a VPN (`ip route` shows it).",
    )


def inner(pool: str) -> str:
    """The half of a pool for networks that have no way out: the sandboxes'."""
    return str(next(ipaddress.ip_network(pool).subnets()))


def outer(pool: str) -> str:
    """The other half, for networks that have one."""
    *_, half = ipaddress.IPv4Network(pool).subnets()
    return str(half)


def around(inner: str) -> str:
    """The pool that has `inner` as its inner half (or as all, for an older version's engine)."""
    network = ipaddress.IPv4Network(inner)
    return str(
        network.supernet(new_prefix=POOL_PREFIX) if network.prefixlen > POOL_PREFIX else network
    )


def outer_networks(pool: str) -> list[str]:
    """The half for networks with a way out, in /24 pieces."""
    half = ipaddress.ip_network(outer(pool))
    return [str(network) for network in half.subnets(new_prefix=24)]


def bridges(key: str, *, closed: bool) -> str:
    """The packet filter's pattern for the bridges of the engine `key`: of its networks without a
    way out, or with one."""
    return f"{BRIDGE if closed else OUTER_BRIDGE}{key[:6]}+"


def bridge(key: str, *, closed: bool) -> str:
    """A name for a new bridge of the engine `key`; devices' names have 15 characters at most."""
    return bridges(key, closed=closed).replace("+", secrets.token_hex(3))


def home(info: Mapping[str, Any]) -> str | None:
    """The key of an engine that is a kit's (also of another data directory), from the engine's
    data; otherwise None."""
    for label in info.get("Labels") or []:
        if str(label).startswith(HOME):
            return str(label).removeprefix(HOME)
    return None


def choose() -> str:
    """A pool that overlaps no route, address or name server of this machine."""
    taken = [route["dst"] for route in _routes() if route["dst"] != "default"]
    return first_free([*taken, *name_servers()])


def reserve() -> str:
    """`choose`, and reserve it: engines of several users that start at once get different pools.

    Until the engine's state is written, the caller must call `remove_blackhole`.
    """
    from filelock import FileLock

    with FileLock("/run/drydock-pools.lock", timeout=60):
        pool = choose()
        add_blackhole(pool)
    return pool


def name_servers() -> list[str]:
    """IPv4 name servers of this machine, without loopback ones."""
    found: list[str] = []
    for path in (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf")):
        if not path.is_file():
            continue
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            words = line.split()
            if len(words) == 2 and words[0] == "nameserver":
                try:
                    address = ipaddress.IPv4Address(words[1])
                except ValueError:
                    continue
                if not address.is_loopback and words[1] not in found:
                    found.append(words[1])
    return found


def default_mtu() -> int:
    """MTU of the device that the default route uses; 1500 if it is unknown."""
    for route in _routes():
        if route["dst"] == "default":
            path = Path("/sys/class/net") / str(route.get("dev", "")) / "mtu"
            if path.is_file():
                return int(path.read_text(encoding="utf-8"))
    return 1500


def _routes() -> list[dict[str, str]]:
    ip = packages.program("ip")
    if ip is None:
        return []
    done = subprocess.run(
        [ip, "-json", "-4", "route", "show"], capture_output=True, encoding="utf-8", timeout=20
    )
    routes: list[dict[str, str]] = json.loads(done.stdout) if done.stdout.strip() else []
    return [route for route in routes if "dst" in route]


def add_blackhole(pool: str) -> None:
    """Drop packets to the pool: when a network is gone, they would go to the default gateway."""
    _ip("route", "replace", "blackhole", pool, "metric", METRIC)


def remove_blackhole(pool: str) -> None:
    _ip("route", "del", "blackhole", pool, "metric", METRIC)


def remove_bridges(pool: str) -> None:
    """Remove bridges with addresses of `pool` that a killed engine left."""
    mine = ipaddress.ip_network(pool)
    for route in _routes():
        device = str(route.get("dev", ""))
        if device.startswith(("br-", BRIDGE, OUTER_BRIDGE)) and route["dst"] != "default":
            network = ipaddress.ip_network(route["dst"], strict=False)
            if network.version == 4 and mine.supernet_of(network):  # type: ignore[arg-type]
                _ip("link", "del", device)


def _ip(*argv: str) -> None:
    subprocess.run(packages.as_root(["ip", *argv]), capture_output=True, timeout=20)
