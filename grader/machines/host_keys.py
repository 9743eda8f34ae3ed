"""The host keys of machines: known, or confirmed by the user; never accepted silently."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from grader.errors import KitError
from grader.machines.hosts_file import Host

SCAN_SECONDS = 10

Ask = Callable[[str], bool]
"""Shows a question; returns whether the answer was yes."""


def make_known(host: Host, file: Path, ask: Ask | None) -> None:
    """Make sure that `file` (a known_hosts) has the host's keys, under its name in the list.

    They come from the list of hosts, from the user's own known_hosts, or from the host itself, if
    `ask` confirms their fingerprints. Raises KitError if no one can be asked or the answer is no.
    """
    keys = [host.host_key] if host.host_key else _own(host)
    if not keys and file.is_file():
        return
    if not keys:
        keys = _shown(host)
        if not keys:
            return  # The login will say why no one answers there.
        told = _fingerprints(keys)
        question = f"{host.name} ({host.host}) has a host key that is not known yet:\n  {told}\n"
        if ask is None or not ask(question + "Is this the key of that machine?"):
            raise KitError(
                f"{host.name}: the key of {host.host} is not known yet. It is {told}.",
                remedy="Compare it (on the machine: ssh-keygen -lf"
                " /etc/ssh/ssh_host_ed25519_key.pub), then accept it in a terminal:"
                " nox -s swarm -- up --provider hosts, or write it into the list as `host_key`.",
            )
    file.write_text("".join(f"{host.name} {key}\n" for key in keys), "utf-8")


def _own(host: Host) -> list[str]:
    """Keys of the host in the user's own known_hosts."""
    own = Path.home() / ".ssh" / "known_hosts"
    if not own.is_file():
        return []
    name = host.host if host.port == 22 else f"[{host.host}]:{host.port}"
    rows = [line.split() for line in _run(["ssh-keygen", "-F", name, "-f", str(own)]).splitlines()]
    # Marked ones are revoked keys, or those of authorities.
    return [" ".join(r[1:3]) for r in rows if len(r) >= 3 and not r[0].startswith(("#", "@"))]


def _shown(host: Host) -> list[str]:
    """Keys that the host presents."""
    said = _run(["ssh-keyscan", "-T", str(SCAN_SECONDS), "-p", str(host.port), host.host])
    rows = [line.split() for line in said.splitlines()]
    return [" ".join(row[1:3]) for row in rows if len(row) >= 3 and not row[0].startswith("#")]


def _fingerprints(keys: Sequence[str]) -> str:
    lines = "".join(f"host {key}\n" for key in keys)
    rows = [line.split() for line in _run(["ssh-keygen", "-lf", "-"], lines).splitlines()]
    return ", ".join(f"{row[1]} {row[-1]}" for row in rows if len(row) >= 3)


def _run(argv: Sequence[str], given: str = "") -> str:
    try:
        done = subprocess.run(
            argv, input=given, capture_output=True, encoding="utf-8", errors="replace", timeout=60
        )
    except FileNotFoundError:
        raise KitError(
            f"There is no `{argv[0]}` on this computer.", remedy="Install OpenSSH's client."
        ) from None
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout
