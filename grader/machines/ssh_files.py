"""Permanent SSH files: the ssh_config for the user's own `ssh` and `docker`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from grader.engine import engine_paths
from grader.machines import access
from grader.machines.access import Access
from grader.machines.provider import Shell, no_such

PREFIX = "drydock-"
"""The prefix of the machines' names, so that they do not conflict with names in the user's
ssh_config."""


def folder(kind: str) -> Path:
    """The folder with the files of a provider's machines; only the owner can read it."""
    found = engine_paths.current().home / "ssh" / kind
    found.mkdir(mode=0o700, parents=True, exist_ok=True)
    return found


def forget(kind: str, name: str) -> None:
    """Forget the host keys of a machine that no longer exists."""
    (folder(kind) / f"{name}.known_hosts").unlink(missing_ok=True)


def config(kind: str, machines: Sequence[Access]) -> Path:
    """Write the ssh_config of a provider's machines, each as `drydock-NAME`."""
    file = folder(kind) / "config"
    access.write_config(file, machines, prefix=PREFIX)
    return file


def shell(kind: str, machine: Access, command: Sequence[str]) -> Shell:
    """The local `ssh` for a login, or for one command on the machine."""
    file = folder(kind) / f"{machine.name}.config"
    access.write_config(file, [machine], prefix=PREFIX)
    words = ["ssh", "-F", str(file), PREFIX + machine.name]
    return [*words, "--", shlex.join(command)] if command else words


def docker_host(kind: str, machines: Sequence[Access], name: str) -> str:
    """ssh://drydock-NAME: the value for DOCKER_HOST; see `include`."""
    names = [machine.name for machine in machines]
    if name not in names:
        raise no_such(name, names)
    config(kind, machines)
    return f"ssh://{PREFIX}{name}"


def include(kind: str) -> str:
    """The line for the user's ~/.ssh/config with which `docker` finds the machines."""
    return f'Include "{(folder(kind) / "config").as_posix()}"'


def included(kind: str, file: Path | None = None) -> bool:
    """Whether that line is there."""
    own = file or Path.home() / ".ssh" / "config"
    try:
        lines = own.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return include(kind) in (line.strip() for line in lines)
