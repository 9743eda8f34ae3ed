"""testinfra on a machine, over its one SSH connection; testinfra's own `ssh` has no timeout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import testinfra.host
from testinfra.backend.base import BaseBackend, CommandResult

from grader.engine.testinfra_host import SECONDS, TIMED_OUT

if TYPE_CHECKING:
    from grader.machines.link import Link


class LinkBackend(BaseBackend):  # type: ignore[misc]  # testinfra has no types
    """Commands on a machine, as channels of its one SSH connection."""

    NAME = "drydock-ssh"

    def __init__(self, link: Link, seconds: float = SECONDS):
        self.link = link
        self.seconds = seconds
        super().__init__(link.machine.name)

    def run(self, command: str, *args: str, **_kwargs: Any) -> CommandResult:
        """Run by the machine's `/bin/sh`, as root if that is allowed; exit code 124 after the
        timeout."""
        said = self.get_command(command, *args)
        rc, out, err = self.link.execute(["/bin/sh", "-c", said], seconds=self.seconds)
        return self.result(TIMED_OUT if rc is None else rc, self.encode(said), out, err)


def ssh_host(link: Link, seconds: float = SECONDS) -> testinfra.host.Host:
    """The machine at the other end of the link as a testinfra host."""
    return testinfra.host.Host(LinkBackend(link, seconds))
