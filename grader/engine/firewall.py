"""The packet filter's rules for the embedded engine's networks, in chains of its own.

dockerd itself is kept away from the packet filter: when it starts it empties chains that
another dockerd on the machine (the user's) relies on, and leaves its own ones behind.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from grader.engine import packages
from grader.errors import EngineFault

BRIDGE_FILTER = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


def rules(pool: str, *, bridged: bool) -> tuple[list[list[str]], list[list[str]]]:
    """(rules for packets passing through, rules for their source address), in order.

    Nodes of one sandbox see each other, other sandboxes they do not; the way out is open
    to them and nobody comes in but this machine. `bridged` says whether the packet filter
    sees what stays on one bridge.
    """
    passing = [
        ["-s", pool, "-d", pool, "-j", "DROP"],
        ["-s", pool, "-j", "ACCEPT"],
        ["-d", pool, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"],
        ["-d", pool, "-j", "DROP"],
    ]
    if bridged:
        passing.insert(0, ["-m", "physdev", "--physdev-is-bridged", "-s", pool, "-j", "ACCEPT"])
    leaving = [["-s", pool, "!", "-d", pool, "-j", "MASQUERADE"]]
    return passing, leaving


def up(key: str, pool: str) -> None:
    """Put the rules of the engine `key` in place; EngineFault where the machine refuses."""
    down(key)
    bridged = BRIDGE_FILTER.is_file() and BRIDGE_FILTER.read_text("utf-8").strip() == "1"
    passing, leaving = rules(pool, bridged=bridged)
    chain = _chain(key)
    for table, hook, wanted in (("filter", "FORWARD", passing), ("nat", "POSTROUTING", leaving)):
        _iptables("-t", table, "-N", chain)
        for rule in wanted:
            _iptables("-t", table, "-A", chain, *rule)
        _iptables("-t", table, "-I", hook, "-j", chain)
    if FORWARDING.read_text("utf-8").strip() != "1":
        FORWARDING.write_text("1\n", encoding="utf-8")


def down(key: str) -> None:
    """Take them away, if they are there."""
    chain = _chain(key)
    for table, hook in (("filter", "FORWARD"), ("nat", "POSTROUTING")):
        for action in (("-D", hook, "-j", chain), ("-F", chain), ("-X", chain)):
            _try("-t", table, *action)


def present(key: str) -> bool:
    return _try("-t", "filter", "-L", _chain(key), "-n").returncode == 0


def _chain(key: str) -> str:
    return f"DRYDOCK-{key}"


def _iptables(*argv: str) -> None:
    done = _try(*argv)
    if done.returncode != 0:
        raise EngineFault(
            f"The packet filter refuses `iptables {' '.join(argv)}`: {done.stderr.strip()}",
            remedy="The kit's own engine needs iptables; another engine can be given by --engine.",
        )


def _try(*argv: str) -> subprocess.CompletedProcess[str]:
    iptables = packages.program("iptables") or "iptables"
    return subprocess.run(
        [iptables, "-w", "10", *argv], capture_output=True, encoding="utf-8", timeout=30
    )
