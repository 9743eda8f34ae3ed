"""The packet filter's rules for the embedded engine's networks, in chains of its own.

dockerd itself is kept away from the packet filter: when it starts it empties chains that
another dockerd on the machine (the user's) relies on, and leaves its own ones behind.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from grader.engine import packages, pools
from grader.errors import EngineFault

BRIDGE_FILTER = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
TABLES = {"FORWARD": "filter", "INPUT": "filter", "POSTROUTING": "nat"}


def rules(pool: str, *, bridged: bool) -> dict[str, list[list[str]]]:
    """Rules by hook, in order: FORWARD and POSTROUTING for packets that pass through,
    INPUT for those to this machine itself.

    Nodes of one sandbox see each other, other sandboxes they do not. The inner half of the
    pool has no way out, not even to this machine, and is told so at once; the outer half
    has one, and nobody comes in but this machine. `bridged` says whether the packet filter
    sees what stays on one bridge.
    """
    inner = pools.inner(pool)
    answers = ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"]
    refused = ["-j", "REJECT", "--reject-with", "icmp-net-unreachable"]
    passing = [
        ["-s", inner, *refused],
        ["-s", pool, "-d", pool, "-j", "DROP"],
        ["-s", pool, "-j", "ACCEPT"],
        ["-d", pool, *answers],
        ["-d", pool, "-j", "DROP"],
    ]
    if bridged:
        passing.insert(0, ["-m", "physdev", "--physdev-is-bridged", "-s", pool, "-j", "ACCEPT"])
    return {
        "FORWARD": passing,
        "INPUT": [["-s", inner, *answers], ["-s", inner, *refused]],
        "POSTROUTING": [["-s", pool, "!", "-d", pool, "-j", "MASQUERADE"]],
    }


def up(key: str, pool: str) -> None:
    """Put the rules of the engine `key` in place; EngineFault where the machine refuses."""
    down(key)
    bridged = BRIDGE_FILTER.is_file() and BRIDGE_FILTER.read_text("utf-8").strip() == "1"
    for hook, wanted in rules(pool, bridged=bridged).items():
        chain, table = _chain(key, hook), TABLES[hook]
        _iptables("-t", table, "-N", chain)
        for rule in wanted:
            _iptables("-t", table, "-A", chain, *rule)
        _iptables("-t", table, "-I", hook, "-j", chain)
    # Bridges have an IPv6 address of their own accord. No harm where there is no IPv6.
    chain = _chain(key, "INPUT")
    _try("-N", chain, program="ip6tables")
    _try("-A", chain, "-i", f"{pools.BRIDGE}+", "-j", "REJECT", program="ip6tables")
    _try("-I", "INPUT", "-j", chain, program="ip6tables")
    if FORWARDING.read_text("utf-8").strip() != "1":
        FORWARDING.write_text("1\n", encoding="utf-8")


def down(key: str) -> None:
    """Take them away, if they are there."""
    for hook, table in TABLES.items():
        chain = _chain(key, hook)
        for action in (("-D", hook, "-j", chain), ("-F", chain), ("-X", chain)):
            _try("-t", table, *action)
    chain = _chain(key, "INPUT")
    for action in (("-D", "INPUT", "-j", chain), ("-F", chain), ("-X", chain)):
        _try(*action, program="ip6tables")


def present(key: str) -> bool:
    """Whether all of them are there; not so with those of an older version of the kit."""
    return all(
        _try("-t", table, "-L", _chain(key, hook), "-n").returncode == 0
        for hook, table in TABLES.items()
    )


def _chain(key: str, hook: str) -> str:
    return f"DRYDOCK-{key}-IN" if hook == "INPUT" else f"DRYDOCK-{key}"


def _iptables(*argv: str) -> None:
    done = _try(*argv)
    if done.returncode != 0:
        raise EngineFault(
            f"The packet filter refuses `iptables {' '.join(argv)}`: {done.stderr.strip()}",
            remedy="The kit's own engine needs iptables; another engine can be given by --engine.",
        )


def _try(*argv: str, program: str = "iptables") -> subprocess.CompletedProcess[str]:
    found = packages.program(program)
    if found is None:
        return subprocess.CompletedProcess(argv, 127, "", f"there is no {program}")
    return subprocess.run(
        [found, "-w", "10", *argv], capture_output=True, encoding="utf-8", timeout=30
    )
