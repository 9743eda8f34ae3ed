"""A bare machine: a container of a base image in which a student's script installs things.

    machine = Machine.start(node, "debian:bookworm", ports=[8123])
    machine.put("/drydock/webserver", "/srv/webserver")
    machine.script("provision.sh", cwd="/srv/webserver", seconds=300).ok  # True
    machine.host.package("nginx").is_installed  # True

It answers the questions of grader.modules.inside, too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from grader.errors import EngineFault
from grader.modules.inside import Inside
from grader.modules.tree import Entry

if TYPE_CHECKING:
    from grader.nodes.node import Completed, Node

DEBIANS_OWN = re.compile("bin|boot|dev|lib(32|64|x32)?|lost.found|proc|run|sbin|sys|tmp|usr|var")
"""Folders at the root that belong to the distribution or to the running system."""

KEPT_BY_PEOPLE = ("/usr/local", "/usr/share/nginx", "/var/www")
"""Folders among these where people store files."""

FRONTEND = "noninteractive"
GRACE = 5
"""Seconds that a script has to end after SIGTERM; then it is killed."""


class Machine(Inside):
    """See the module's docstring."""

    @classmethod
    def start(cls, node: Node, image: str, ports: Sequence[int] = ()) -> Machine:
        """Start a machine with `ports` published under the same numbers on the node.

        Only an init that removes dead processes runs in it. Raises EngineFault if it does not
        start.
        """
        from docker.errors import APIError

        api = node.docker.api
        try:
            made = api.create_container(
                image,
                ["sleep", "infinity"],
                hostname="machine",
                labels={"drydock.role": "machine"},
                ports=list(ports),
                host_config=api.create_host_config(
                    init=True, port_bindings={port: port for port in ports}
                ),
            )
            machine = cls(node, made["Id"])
            api.start(machine.id)
        except APIError as error:
            raise EngineFault(f"A bare machine cannot be started: {error}") from error
        return machine

    @property
    def host(self) -> Any:
        """The machine as a testinfra host."""
        return self.node.machine(self.id)

    @property
    def runs(self) -> bool:
        return self.now().running

    def to_start(self, service: str) -> str:
        """How to start a service there, as text for a person."""
        return f"A bare machine starts no service by itself: service {service} restart"

    def put(self, source: str, dest: str) -> None:
        """Copy a folder of the node to `dest`, which is made; owned by root."""
        done = self.node.run(["docker", "cp", f"{source}/.", f"{self.id}:{dest}"], timeout=60)
        if not done.ok:
            raise EngineFault(f"Files cannot be copied into a machine: {done.tail(2)}")

    def script(self, name: str, *, cwd: str, seconds: float, keep: int = 64_000) -> Completed:
        """`bash NAME` as root in the folder `cwd`, without input and unattended.

        After `seconds` the script and what it started in the foreground are ended; services keep
        running. `rc` is then None. `keep` as for `Node.run`.
        """
        limit = ["timeout", f"--kill-after={GRACE}", f"{seconds:g}"]
        done = self._run([*limit, "bash", name], cwd, seconds + GRACE + 15, keep)
        if done.rc in (124, 137) and done.seconds >= seconds:
            return type(done)(done.argv, None, done.out, done.seconds)
        return done

    def _run(self, argv: list[str], cwd: str, timeout: float, keep: int) -> Completed:
        told = ["docker", "exec", "--workdir", cwd, "--env", f"DEBIAN_FRONTEND={FRONTEND}"]
        return self.node.run([*told, self.id, *argv], timeout=timeout, keep=keep)

    def packages(self) -> dict[str, str]:
        """Version by name of the Debian packages that are installed."""
        told = self.read("/var/lib/dpkg/status").decode("utf-8", errors="replace")
        found = {}
        for entry in told.split("\n\n"):
            said = dict(re.findall(r"^(Package|Status|Version): (.*)$", entry, re.MULTILINE))
            if said.get("Status", "").endswith(" ok installed"):
                found[said["Package"]] = said.get("Version", "")
        return found

    def configuration(self, but: str) -> dict[str, Entry]:
        """What an administrator configures: /etc and all folders with people's files.

        The folder `but` is left out. Logs, caches, package lists and the distribution's programs
        are not included: the first three change by themselves, the last with packages.
        """
        top = [p for p in self.host.file("/").listdir() if not DEBIANS_OWN.fullmatch(p)]
        found = self.files([*(f"/{name}" for name in sorted(top)), *KEPT_BY_PEOPLE])
        return {p: e for p, e in found.items() if p != but and not p.startswith(f"{but}/")}
