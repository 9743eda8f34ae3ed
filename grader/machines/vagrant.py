"""The class's virtual machines: made by the Vagrantfile, found through Vagrant."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from grader import paths
from grader.errors import EngineFault, KitError
from grader.lab import class_nodes
from grader.machines import ssh_files, vagrantcli
from grader.machines.access import Access
from grader.machines.provider import Options, Progress, Shell, no_such, none_there

if TYPE_CHECKING:
    from grader.nodes.node import Node, Target

KIND = "vagrant"
KEY_SECONDS = 120


def open_provider(_options: Options) -> Vagrant:
    return Vagrant()


class Vagrant:
    """See grader.machines.provider.Provider."""

    kind = KIND

    def __init__(self) -> None:
        self._states: dict[str, str] | None = None
        self._logins: Mapping[str, Mapping[str, str]] = {}

    def up(self, progress: Progress) -> None:
        # All machines in every call: those that run are only looked at.
        vagrantcli.act("up", progress=progress)
        self._states = None

    def nodes(self) -> list[Node]:
        from grader.machines.link import Link
        from grader.machines.target import Remote

        return [Remote(Link(machine), power) for machine in self.machines()]

    def machines(self) -> list[Access]:
        """The running machines, in the order of nodes.yaml. Raises KitError if there are none."""
        running = [name for name, state in self._known().items() if state == "running"]
        if not running:
            raise none_there()
        return accesses(*running, told=self._logins)

    def target(self, nodes: int, *, read_only: bool) -> Target:
        from grader.machines.target import Absent, MachinesTarget

        found = {machine.name: machine for machine in self.machines()}
        missing = self.missing()
        machines = [
            found[name]
            if name in found
            else Absent(name, EngineFault(f"{name}: {missing[name]}.", remedy=f"vagrant up {name}"))
            for name in self._known()
        ]
        return MachinesTarget(KIND, machines[:nodes], read_only=read_only, power=power)

    def missing(self) -> Mapping[str, str]:
        return {
            name: f"Vagrant says it is {state.replace('_', ' ')}"
            for name, state in self._known().items()
            if state != "running"
        }

    def remarks(self) -> list[str]:
        return []

    def down(self) -> None:
        from grader.console import say

        vagrantcli.act("destroy", "--force", progress=say)
        self._states = None
        for machine in class_nodes.addresses():
            ssh_files.forget(KIND, machine)

    def shell(self, name: str, command: Sequence[str]) -> Shell:
        return ssh_files.shell(KIND, self._one(name), command)

    def docker_host(self, name: str) -> str:
        return ssh_files.docker_host(KIND, self.machines(), name)

    def _one(self, name: str) -> Access:
        known = self._known()
        if name not in known:
            raise no_such(name, list(known))
        if known[name] != "running":
            raise EngineFault(
                f"{name} does not run: Vagrant says it is {known[name].replace('_', ' ')}.",
                remedy=f"vagrant up {name}",
            )
        return accesses(name, told=self._logins)[0]

    def _known(self) -> dict[str, str]:
        """The machines' states, such as "running", in the order of nodes.yaml."""
        if self._states is None:
            names = list(class_nodes.addresses())
            # Each question costs seconds. Vagrant says how all are logged in to only while all
            # of them run, so that in class, as a rule, one answer tells both.
            self._logins = {}
            with contextlib.suppress(KitError):
                self._logins = vagrantcli.ssh_configs()
            if set(names) <= set(self._logins):
                self._states = dict.fromkeys(names, "running")
            else:
                found = vagrantcli.states()
                self._states = {name: found[name] for name in names if name in found}
        return self._states


def power(name: str, on: bool) -> None:
    """Cut a machine's power, or start it again."""
    if on:
        vagrantcli.act("up", name, "--no-provision", progress=_quiet)
    else:
        vagrantcli.act("halt", "--force", name, progress=_quiet)


def _quiet(_line: str) -> None:
    pass


def access(name: str) -> Access:
    """How to log in to one running machine."""
    return accesses(name)[0]


def accesses(*names: str, told: Mapping[str, Mapping[str, str]] | None = None) -> list[Access]:
    """How to log in to running machines, with host keys that were read over Vagrant's own
    connection.

    `told` is what Vagrant already reported about machines.
    """
    if told is None or not set(names) <= set(told):
        told = vagrantcli.ssh_configs(*names)
    with ThreadPoolExecutor(len(names)) as pool:
        return list(pool.map(lambda name: _access(name, told.get(name, {})), names))


def _access(name: str, told: Mapping[str, str]) -> Access:
    try:
        return Access(
            name=name,
            host=told["HostName"],
            address=class_nodes.addresses()[name],
            user=told["User"],
            port=int(told.get("Port", 22)),
            identity=told.get("IdentityFile"),
            known_hosts=str(_known_hosts(name, told)),
            host_key_name=name,
            # From the host, VirtualBox's machines answer SSH at a port of 127.0.0.1.
            reachable=True,
        )
    except KeyError as error:
        raise EngineFault(f"Vagrant does not say how {name} is logged in to ({error}).") from None


def _known_hosts(name: str, told: Mapping[str, str]) -> Path:
    """A file with the machine's host keys, read once over the connection that Vagrant trusts.

    A recreated machine has new keys; it is recognised by Vagrant's ID of it.
    """
    file = ssh_files.folder(KIND) / f"{name}.known_hosts"
    mark = f"# {_identity(name, told)}"
    if file.is_file() and file.read_text("utf-8").splitlines()[:1] == [mark]:
        return file
    ssh = shutil.which("ssh")
    if ssh is None:
        raise KitError("There is no `ssh` on this computer.", remedy="Install OpenSSH's client.")
    words = [
        word for key, value in told.items() if key != "Host" for word in ("-o", f"{key}={value}")
    ]
    done = subprocess.run(
        [ssh, "-F", "none", "-T", *words, "-o", "BatchMode=yes", "-o", "ConnectTimeout=60",
         told["HostName"], "cat /etc/ssh/ssh_host_*_key.pub"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=KEY_SECONDS,
    )  # fmt: skip
    keys = [line.split()[:2] for line in done.stdout.splitlines() if len(line.split()) >= 2]
    if done.returncode != 0 or not keys:
        raise EngineFault(
            f"{name} does not answer SSH: {done.stderr.strip() or 'it shows no key'}",
            remedy=f"vagrant reload {name}",
        )
    file.write_text(
        "\n".join([mark, *(f"{name} {kind} {key}" for kind, key in keys)]) + "\n", "utf-8"
    )
    return file


def _identity(name: str, told: Mapping[str, str]) -> str:
    """Vagrant's ID of the machine, from the folder with its key; otherwise the address."""
    import os

    dotfile = Path(os.environ.get("VAGRANT_DOTFILE_PATH") or paths.KIT / ".vagrant")
    found = sorted((dotfile / "machines" / name).glob("*/id"))
    if found:
        return found[0].read_text("utf-8").strip()
    return f"{told['HostName']}:{told.get('Port', '22')}"
