"""What OpenSSH's and the node's own words mean, and what to do about it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from grader.machines.access import Access


@dataclass(frozen=True)
class Known:
    """`pattern` is looked for in what was said; {name}, {host}, {port}, {user}, {identity} and
    {known_hosts} are filled in.
    """

    pattern: str
    what: str
    remedy: str


SSH = (
    Known(
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "{name}: {host} shows another key than before.",
        "If the machine was recreated, forget the old key: ssh-keygen -R '{key_name}' -f"
        " {known_hosts}. If it was not, someone else answers there: ask who runs it.",
    ),
    Known(
        "Host key verification failed|No .* host key is known for",
        "{name}: the key of {host} is not known yet.",
        "Compare and accept it: nox -s swarm -- up --provider hosts",
    ),
    Known(
        "UNPROTECTED PRIVATE KEY FILE|bad permissions",
        "{name}: others can read the key {identity}, so SSH does not use it.",
        "chmod 600 {identity}",
    ),
    Known(
        "Identity file .* not accessible|no such identity",
        "{name}: there is no key {identity}.",
        "Say in the list of hosts where your key is, or make one: ssh-keygen -t ed25519",
    ),
    Known(
        r"Permission denied \(",
        "{name}: {host} does not let {user} in with this key.",
        "Put the public key there (ssh-copy-id -p {port} {user}@{host}), or name the right `user`"
        " and `key`.",
    ),
    Known(
        "Too many authentication failures",
        "{name}: {host} was shown too many keys.",
        "Name the right `key` in the list of hosts.",
    ),
    Known(
        "Could not resolve hostname",
        "{name}: no address is known for {host}.",
        "Look for a typing error, or name the IP address.",
    ),
    Known(
        "Connection refused",
        "{name}: no one answers SSH at {host}, port {port}.",
        "Start its SSH server, or name the right `port`. A machine that is just starting needs a"
        " moment.",
    ),
    Known(
        "timed out|No route to host|Network is unreachable|Host is down|Operation not permitted",
        "{name}: {host} cannot be reached.",
        "Is it switched on, and do you have its network (VPN)? A firewall must let port {port} in.",
    ),
    Known(
        "Connection (closed|reset)|Broken pipe|not responding|ended",
        "{name}: the connection to {host} broke.",
        "Is it still running? Try again.",
    ),
)

ENGINE = (
    Known(
        "command not found|No such file or directory.*docker(d|:|$)",
        "{name}: there is no Docker engine.",
        "Install it there: sudo apt-get install docker.io",
    ),
    Known(
        "permission denied",
        "{name}: {user} may not use the Docker engine.",
        "On the machine: sudo usermod -aG docker {user}; it counts from the next login.",
    ),
    Known(
        "Cannot connect to the Docker daemon|daemon running|connection refused|no such file",
        "{name}: the Docker engine does not run.",
        "On the machine: sudo systemctl start docker; its log: journalctl -u docker",
    ),
)


def explain(known: tuple[Known, ...], said: str, machine: Access) -> tuple[str, str | None]:
    """(what is wrong, what to do) with a machine whose SSH or engine said this."""
    values = {
        **vars(machine),
        "identity": machine.identity or "your key",
        "key_name": machine.host_key_name
        or (machine.host if machine.port == 22 else f"[{machine.host}]:{machine.port}"),
    }
    for entry in known:
        if re.search(entry.pattern, said, re.IGNORECASE):
            return entry.what.format(**values), entry.remedy.format(**values)
    last = (said.strip().splitlines() or ["it says nothing"])[-1]
    return f"{machine.name} ({machine.host}): {last}", None
