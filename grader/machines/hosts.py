"""Existing machines over SSH, from hosts.yaml."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from grader.errors import EngineFault, KitError
from grader.machines import host_keys, hosts_file, ssh_files
from grader.machines.access import Access
from grader.machines.hosts_file import Host
from grader.machines.provider import Options, Progress, Shell, no_such

if TYPE_CHECKING:
    from grader.machines.target import Absent
    from grader.nodes.node import Node, Target

KIND = "hosts"


def open_provider(options: Options) -> Hosts:
    return Hosts(options.hosts_file)


class Hosts:
    """See grader.machines.provider.Provider."""

    kind = KIND

    def __init__(self, file: Path | None) -> None:
        self.file = file

    def up(self, progress: Progress) -> None:
        """Check whether all hosts can be used; asks about new host keys."""
        from grader.machines import link

        hosts = hosts_file.read(self.file)
        troubles = {}
        for host in hosts:  # One after the other: there may be questions.
            try:
                host_keys.make_known(host, _known_hosts(host), _ask if _at_terminal() else None)
            except KitError as error:
                troubles[host.name] = error
        machines = [access(host) for host in hosts if host.name not in troubles]
        with ThreadPoolExecutor(max(1, len(machines))) as pool:
            links = [link.Link(machine) for machine in machines]
            for opened, problem in zip(links, pool.map(link.check, links), strict=True):
                name = opened.machine.name
                if problem is None:
                    progress(f"{name}: {opened.machine.host} answers, and so does its engine.")
                else:
                    troubles[name] = problem
                opened.close()
        for host in hosts:
            if host.name in troubles:
                progress(str(troubles[host.name]))
        if troubles:
            raise EngineFault(f"Not all hosts can be used: {', '.join(troubles)}.")

    def nodes(self) -> list[Node]:
        from grader.machines.link import Link
        from grader.machines.target import Remote

        return [
            each if not isinstance(each, Access) else Remote(Link(each)) for each in self.machines()
        ]

    def machines(self) -> list[Access | Absent]:
        """Every host of the list; a host without a known key is absent."""
        from grader.machines.target import Absent

        found: list[Access | Absent] = []
        for host in hosts_file.read(self.file):
            try:
                host_keys.make_known(host, _known_hosts(host), None)
                found.append(access(host))
            except KitError as error:
                found.append(Absent(host.name, error))
        return found

    def target(self, nodes: int, *, read_only: bool) -> Target:
        from grader.machines.target import MachinesTarget

        return MachinesTarget(KIND, self.machines()[:nodes], read_only=read_only)

    def missing(self) -> Mapping[str, str]:
        return {}

    def remarks(self) -> list[str]:
        return []

    def down(self) -> None:
        """Forget how to connect to the hosts. The kit owns nothing on them."""
        for host in hosts_file.read(self.file):
            ssh_files.forget(KIND, host.name)

    def shell(self, name: str, command: Sequence[str]) -> Shell:
        return ssh_files.shell(KIND, self._one(name), command)

    def docker_host(self, name: str) -> str:
        self._one(name)
        usable = [each for each in self.machines() if isinstance(each, Access)]
        return ssh_files.docker_host(KIND, usable, name)

    def _one(self, name: str) -> Access:
        hosts = {host.name: host for host in hosts_file.read(self.file)}
        if name not in hosts:
            raise no_such(name, list(hosts))
        ask = _ask if _at_terminal() else None
        host_keys.make_known(hosts[name], _known_hosts(hosts[name]), ask)
        return access(hosts[name])


def access(host: Host) -> Access:
    """How to log in to a host with known keys. Raises KitError for unknown names."""
    return Access(
        name=host.name,
        host=host.host,
        address=host.resolved(),
        user=host.user,
        port=host.port,
        identity=host.key,
        known_hosts=str(_known_hosts(host)),
        host_key_name=host.name,
        # An address of its own means a network that this computer need not be in.
        reachable=host.address is None,
    )


def _known_hosts(host: Host) -> Path:
    return ssh_files.folder(KIND) / f"{host.name}.known_hosts"


def _at_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _ask(question: str) -> bool:
    print(question, file=sys.stderr, end=" ")
    return input("[yes/no] ").strip().lower() == "yes"
