"""Explains error messages of OpenSSH and of nodes, and what to do about them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from grader.machines.access import Access


@dataclass(frozen=True)
class Known:
    """A message that is explained: `pattern` is searched for in it. {name}, {host}, {port},
    {user}, {identity} and {known_hosts} are replaced."""

    pattern: str
    what: str
    remedy: str


SSH = (
    Known(
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "{name}: {host} has another host key than before.",
        "If the machine was recreated, forget the old key: ssh-keygen -R '{key_name}' -f"
        " {known_hosts}. If not, another machine may be answering: ask its administrator.",
    ),
    Known(
        "Host key verification failed|No .* host key is known for",
        "{name}: the host key of {host} is not known yet.",
        "Compare and accept it: nox -s swarm -- up --provider hosts",
    ),
    Known(
        "UNPROTECTED PRIVATE KEY FILE|bad permissions",
        "{name}: other users can read the key {identity}, so SSH does not use it.",
        "chmod 600 {identity}",
    ),
    Known(
        "Identity file .* not accessible|no such identity",
        "{name}: there is no key {identity}.",
        "Write the path of your key into the list of hosts, or make a key: ssh-keygen -t ed25519",
    ),
    Known(
        r"Permission denied \(",
        "{name}: {host} does not let {user} in with this key.",
        "Put the public key there (ssh-copy-id -p {port} {user}@{host}), or name the right `user`"
        " and `key`.",
    ),
    Known(
        "Too many authentication failures",
        "{name}: {host} was offered too many keys.",
        "Name the right `key` in the list of hosts.",
    ),
    Known(
        "Could not resolve hostname",
        "{name}: the host name {host} cannot be resolved.",
        "Check the spelling, or use the IP address.",
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
        "Check that it is on, that you are in its network (VPN), and that its firewall allows "
        "port {port}.",
    ),
    Known(
        "Connection (closed|reset)|Broken pipe|not responding|ended",
        "{name}: the connection to {host} broke.",
        "Check that it is running, then try again.",
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
        "On the machine: sudo usermod -aG docker {user}; it takes effect at the next login.",
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
    last = (said.strip().splitlines() or ["no message"])[-1]
    return f"{machine.name} ({machine.host}): {last}", None
