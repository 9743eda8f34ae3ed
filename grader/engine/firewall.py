"""The packet filter's rules for the embedded engine's networks, in its own chains.

Packets are judged by the bridge that they come from, never by the source address that they claim: a
program that may send raw packets can claim any address. `pools` names the bridges.

dockerd itself does not use the packet filter. Otherwise, when it starts, it would empty chains that
another dockerd on the machine (the user's) needs, and it would leave its own ones behind.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from grader.engine import engine_paths, engine_state, packages, pools
from grader.errors import EngineFault

if TYPE_CHECKING:
    from grader.engine.client import Engine

BRIDGE_FILTER = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
IPV6 = Path("/proc/net/if_inet6")

Rules = Mapping[str, Sequence[Sequence[str]]]
"""Rules in order, by the hook that they belong to."""

TABLES = {"PREROUTING": "raw", "FORWARD": "filter", "INPUT": "filter", "POSTROUTING": "nat"}
HOOKS = {"iptables": tuple(TABLES), "ip6tables": ("FORWARD", "INPUT")}
CHAINS = {"PREROUTING": "-PRE", "FORWARD": "", "INPUT": "-IN", "POSTROUTING": ""}

STRICT = ("-m", "rpfilter", "--invert")
UNTRACKED = ("-j", "CT", "--notrack")
OPTIONAL = (STRICT, UNTRACKED)
"""What not every kernel has. The first is what `harden` sets for each bridge as well."""

SETTINGS = {
    "ipv4/conf/{}/rp_filter": 1,
    "ipv4/conf/{}/route_localnet": 0,
    "ipv4/conf/{}/accept_redirects": 0,
    "ipv4/conf/{}/proxy_arp": 0,
    "ipv4/conf/{}/arp_ignore": 1,
    "ipv6/conf/{}/accept_ra": 0,
    "ipv6/conf/{}/accept_redirects": 0,
}
"""Settings of a bridge, below /proc/sys/net. arp_ignore: do not reveal this machine's other
addresses."""


def rules(
    pool: str, key: str, *, bridged: bool, optional: Sequence[Sequence[str]] = OPTIONAL
) -> Rules:
    """The IPv4 rules of the engine `key` by hook: PREROUTING for everything from a bridge, FORWARD
    and POSTROUTING for what passes through, INPUT for what is sent to this machine.

    Nodes of one sandbox see each other but not other sandboxes. The inner networks have no way out,
    not even to this machine; such packets are rejected at once. They can only answer this machine.
    The outer networks have a way out, and nothing but answers comes in. `bridged` says whether the
    packet filter sees packets that stay on one bridge; `optional` is what the kernel has of
    OPTIONAL.
    """
    closed, open_ = pools.bridges(key, closed=True), pools.bridges(key, closed=False)
    inner, outer = pools.inner(pool), pools.outer(pool)
    refused = ["-j", "REJECT", "--reject-with", "icmp-net-unreachable"]
    answers = ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"]
    arriving: list[list[str]] = []
    for bridge, half in ((closed, inner), (open_, outer)):
        arriving += [
            ["-i", bridge, "!", "-s", half, "-j", "DROP"],
            # This machine's own addresses: else a made-up question from it, which stays on
            # the bridge, makes what a node sends to it an answer.
            ["-i", bridge, "-m", "addrtype", "--src-type", "LOCAL", "-j", "DROP"],
            ["-i", bridge, "-d", "127.0.0.0/8", "-j", "DROP"],
        ]
        if STRICT in optional:
            arriving.append(["-i", bridge, *STRICT, "-j", "DROP"])
    if UNTRACKED in optional:
        # What stays on a bridge is accepted without a look at its state. Not noting it, no
        # node can fill this machine's table of connections.
        elsewhere = ["-m", "addrtype", "!", "--dst-type", "LOCAL"]
        arriving.append(["-i", closed, *elsewhere, *UNTRACKED])
    passing: list[list[str]] = []
    if bridged:
        stays = ["-m", "physdev", "--physdev-is-bridged", "-j", "ACCEPT"]
        passing = [["-i", closed, *stays], ["-i", open_, *stays], ["-s", pool, "-d", pool, *stays]]
    passing += [
        ["-i", closed, *refused],
        ["-o", closed, "-j", "DROP"],
        ["-i", open_, "-d", pool, "-j", "DROP"],
        ["-i", open_, "-o", open_, "-j", "DROP"],
        ["-i", open_, "-j", "ACCEPT"],
        ["-o", open_, *answers],
        # What is left are bridges that another version of the kit has made.
        ["-s", inner, *refused],
        ["-s", pool, "-d", pool, "-j", "DROP"],
        ["-i", "br-+", "-s", outer, "-j", "ACCEPT"],
        ["-o", "br-+", "-d", outer, *answers],
        ["-s", pool, "-j", "DROP"],
        ["-d", pool, "-j", "DROP"],
    ]
    return {
        "PREROUTING": arriving,
        "FORWARD": passing,
        "INPUT": [
            ["-i", closed, "-m", "conntrack", "--ctstate", "ESTABLISHED", "-j", "ACCEPT"],
            # No other message of ICMP: some of them change routes.
            ["-i", closed, "-p", "icmp", "--icmp-type", "destination-unreachable", *answers],
            ["-i", closed, *refused],
            ["!", "-i", "lo", "-s", inner, *answers],
            ["!", "-i", "lo", "-s", inner, *refused],
        ],
        "POSTROUTING": [["-s", outer, "!", "-d", pool, "-j", "MASQUERADE"]],
    }


def rules_ipv6(key: str) -> Rules:
    """No network of the kit uses IPv6, but each bridge gets an IPv6 address automatically."""
    closed, open_ = pools.bridges(key, closed=True), pools.bridges(key, closed=False)
    passing = [[way, bridge, "-j", "DROP"] for bridge in (closed, open_) for way in ("-i", "-o")]
    return {
        "FORWARD": passing,
        "INPUT": [["-i", closed, "-j", "REJECT"], ["-i", open_, "-j", "DROP"]],
    }


def up(key: str, pool: str) -> None:
    """Install the rules of the engine `key`, or replace them without a moment without rules.
    Raises EngineFault if the machine refuses."""
    optional = [rule for rule in OPTIONAL if _kernel_has(key, rule)]
    _replace(key, rules(pool, key, bridged=_bridged(), optional=optional))
    if IPV6.is_file():
        _replace(key, rules_ipv6(key), program="ip6tables")
    if FORWARDING.read_text("utf-8").strip() != "1":
        FORWARDING.write_text("1\n", encoding="utf-8")


def down(key: str) -> None:
    """Remove the rules, if they exist."""
    for program, hooks in HOOKS.items():
        for hook in hooks:
            chain, table = _chain(key, hook), TABLES[hook]
            # There are two where two processes were mending at once.
            while _try("-t", table, "-D", hook, "-j", chain, program=program).returncode == 0:
                pass
            for action in ("-F", "-X"):
                _try("-t", table, action, chain, program=program)


def present(key: str) -> bool:
    """Whether all rules are in force. They are not if they are from an older version of the kit,
    or if someone has emptied the packet filter (as some firewalls do when they start)."""
    for program, hooks in HOOKS.items():
        if program == "ip6tables" and not IPV6.is_file():
            continue
        for table in sorted({TABLES[hook] for hook in hooks}):
            said = _try("-t", table, "-S", program=program).stdout.splitlines()
            for hook in (hook for hook in hooks if TABLES[hook] == table):
                chain = _chain(key, hook)
                mine = [line for line in said if line.startswith(f"-A {chain} ")]
                if not mine or f"-A {hook} -j {chain}" not in said:
                    return False
                if (program, hook) == ("iptables", "FORWARD"):
                    # It may have begun to see what stays on a bridge only after `up`.
                    seen = any("--physdev-is-bridged" in line for line in mine)
                    if seen != _bridged():
                        return False
    return True


def ensure(engine: Engine) -> None:
    """Call `up` if the rules of the kit's own engine are not in force; only root can."""
    if engine.origin == "embedded" and packages.is_root():
        where = engine_paths.current()
        state = engine_state.read_state(where)
        if state is not None and not present(where.key):
            up(where.key, state.pool)


def harden(bridge: str) -> None:
    """Settings of a new bridge that apply whatever the packet filter does; only root can set
    them."""
    if not packages.is_root():
        return
    for name, value in SETTINGS.items():
        # A machine without IPv6, or one whose /proc/sys is read-only: the rules are left.
        with contextlib.suppress(OSError):
            Path("/proc/sys/net", name.format(bridge)).write_text(f"{value}\n", encoding="utf-8")


def _bridged() -> bool:
    return BRIDGE_FILTER.is_file() and BRIDGE_FILTER.read_text("utf-8").strip() == "1"


def _chain(key: str, hook: str) -> str:
    return f"DRYDOCK-{key}{CHAINS[hook]}"


def _kernel_has(key: str, words: Sequence[str]) -> bool:
    """Whether a rule with `words` can be made; tried in an unused chain."""
    chain = f"DRYDOCK-{key}-TRY"
    verdict = [] if "-j" in words else ["-j", "DROP"]
    _try("-t", "raw", "-N", chain)
    try:
        return _try("-t", "raw", "-A", chain, *words, *verdict).returncode == 0
    finally:
        for action in ("-F", "-X"):
            _try("-t", "raw", action, chain)


def _replace(key: str, wanted: Rules, program: str = "iptables") -> None:
    """Fill the chains, each table in one step, and connect them to their hooks."""
    lines: list[str] = []
    for table in sorted({TABLES[hook] for hook in wanted}):
        hooks = [hook for hook in wanted if TABLES[hook] == table]
        lines.append(f"*{table}")
        lines += [f":{_chain(key, hook)} - [0:0]" for hook in hooks]
        lines += [
            " ".join(["-A", _chain(key, hook), *rule]) for hook in hooks for rule in wanted[hook]
        ]
        lines.append("COMMIT")
    text = "\n".join([*lines, ""])
    _must(_try("--noflush", program=f"{program}-restore", told=text), f"{program}-restore")
    for hook in wanted:
        jump = ("-t", TABLES[hook], "-{}", hook, "-j", _chain(key, hook))
        check, insert = ([word.format(letter) for word in jump] for letter in "CI")
        if _try(*check, program=program).returncode != 0:
            _must(_try(*insert, program=program), f"{program} {' '.join(insert)}")


def _must(done: subprocess.CompletedProcess[str], told: str) -> None:
    if done.returncode != 0:
        raise EngineFault(
            f"The packet filter refuses `{told}`: {done.stderr.strip()}",
            remedy="The kit's own engine needs iptables; use --engine for another engine.",
        )


def _try(
    *argv: str, program: str = "iptables", told: str | None = None
) -> subprocess.CompletedProcess[str]:
    found = packages.program(program)
    if found is None:
        return subprocess.CompletedProcess(argv, 127, "", f"there is no {program}")
    return subprocess.run(
        [found, "-w", "10", *argv], input=told, capture_output=True, encoding="utf-8", timeout=30
    )
