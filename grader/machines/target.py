"""A user's own machines as a target: virtual machines of Vagrant, hosts over SSH.

They exist before grading and after it. They differ in how they are found (grader.machines) and in
how their power is cut.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import docker

from grader.engine import archive
from grader.errors import EngineFault, KitError
from grader.machines.access import Access
from grader.machines.link import Link, Unreachable
from grader.nodes import reach
from grader.nodes.cleanup import Cleanup
from grader.nodes.node import Completed, Node

BACK_SECONDS = 600
"""Time for a machine to start until its engine answers."""

Power = Callable[[str, bool], None]
"""(name, on): cut a machine's power, or start it again."""


class Remote:
    """A machine over SSH (see grader.nodes.node.Node)."""

    workspace: Path | None = None

    def __init__(self, link: Link, power: Power | None = None) -> None:
        self.link = link
        self.name = link.machine.name
        self._power = power
        if not link.machine.reachable:
            # Its address belongs to a network that only the machines themselves are in.
            reach.relay(self.address, link.tcp)

    def __repr__(self) -> str:
        return f"<node {self.name}>"

    @property
    def address(self) -> str:
        return self.link.machine.address

    @property
    def docker(self) -> docker.DockerClient:
        return self.link.docker

    @property
    def host(self) -> Any:
        from grader.machines.testinfra_host import ssh_host

        return ssh_host(self.link)

    def machine(self, container: str) -> Any:
        from grader.engine.testinfra_host import container_host

        return container_host(self.docker, container)

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        cwd: str = "/",
        env: Mapping[str, str] | None = None,
        keep: int = 64_000,
    ) -> Completed:
        return self.link.run(argv, timeout=timeout, cwd=cwd, env=env, keep=keep)

    def put(self, source: Path | Mapping[str, bytes], dest: str) -> None:
        with archive.pack(source) as tar:
            # OpenSSH reads from a real file, which a small one in memory is not.
            tar.fileno()
            self.link.put(tar, dest)

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Cut the machine's power in the block, and start it again afterwards."""
        if self._power is None:
            from grader.checks import cannot_show

            cannot_show(f"The kit cannot cut the power of {self.name} from here.")
        self.link.drop()
        self._power(self.name, False)
        try:
            yield
        finally:
            self._power(self.name, True)
            self.wait_ready()

    def wait_ready(self, seconds: float = BACK_SECONDS) -> None:
        """Wait until its engine answers again. Raises EngineFault if it does not."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.docker.ping()
                return
            except Unreachable:
                if time.monotonic() > deadline:
                    raise
            except Exception as error:  # docker's and requests' many
                if time.monotonic() > deadline:
                    raise EngineFault(f"{self.name} does not come back: {error}") from None
            self.link.drop()
            time.sleep(1)

    def close(self) -> None:
        if not self.link.machine.reachable:
            reach.forget(self.address, self.link.tcp)
        self.link.close()


class Absent:
    """A machine that cannot be used: every use raises the reason, but the other machines still
    work."""

    def __init__(self, name: str, error: KitError) -> None:
        self.name = name
        self.error = error

    def __repr__(self) -> str:
        return f"<no node {self.name}>"

    def __getattr__(self, _name: str) -> NoReturn:
        raise Unreachable(self.error.what, remedy=self.error.remedy)


class MachinesTarget:
    """See grader.nodes.node.Target. `machines` are in their order; the first is the manager.

    `power` cuts and restores power, if that is possible. `slow` is the factor by which everything
    takes longer than on an ordinary computer; None: measure it.
    """

    persistent = True

    def __init__(
        self,
        kind: str,
        machines: Sequence[Access | Absent],
        *,
        read_only: bool,
        power: Power | None = None,
        timeout_factor: float | None = None,
    ) -> None:
        self.kind = kind
        self.read_only = read_only
        self.nodes: list[Any] = [
            each if isinstance(each, Absent) else Remote(Link(each), power) for each in machines
        ]
        self._open()
        self.timeout_factor = self._measure() if timeout_factor is None else timeout_factor
        self._cleanup = Cleanup(self.present, self.timeout_factor)

    @property
    def present(self) -> list[Node]:
        """The nodes that can be used."""
        return [node for node in self.nodes if isinstance(node, Remote)]

    def _open(self) -> None:
        """Log in to all machines at once; those where that fails are absent from now on."""

        def opened(node: Any) -> Any:
            if isinstance(node, Absent):
                return node
            from grader.machines import link

            problem = link.check(node.link)
            if problem is None:
                return node
            node.close()
            return Absent(node.name, problem)

        with ThreadPoolExecutor(max(1, len(self.nodes))) as pool:
            self.nodes = list(pool.map(opened, self.nodes))

    def _measure(self) -> float:
        return max((slowness(node) for node in self.present), default=1.0)

    @classmethod
    def attach(cls, description: dict[str, Any], power: Power | None) -> MachinesTarget:
        """The machines that another process found, over this process's own connections."""
        machines: list[Access | Absent] = []
        for told in description["machines"]:
            if "absent" in told:
                error = KitError(told["absent"], remedy=told["remedy"])
                machines.append(Absent(told["name"], error))
            else:
                machines.append(Access(**told))
        return cls(
            description["kind"],
            machines,
            read_only=description["read_only"],
            power=power,
            timeout_factor=description["timeout_factor"],
        )

    def describe(self) -> dict[str, Any]:
        told = [
            {"name": node.name, "absent": node.error.what, "remedy": node.error.remedy}
            if isinstance(node, Absent)
            else node.link.machine.describe()
            for node in self.nodes
        ]
        return {
            "kind": self.kind,
            "machines": told,
            "read_only": self.read_only,
            "timeout_factor": self.timeout_factor,
        }

    def node(self, name: str) -> Any:
        for node in self.nodes:
            if node.name == name:
                return node
        raise KitError(f"The target has no node {name!r}.")

    def prepare(self) -> None:
        if not self.read_only:
            self._cleanup.wipe()

    def restore(self) -> None:
        if not self.read_only:
            self._cleanup.restore()

    def facts(self) -> dict[str, Any]:
        engines = sorted({str(node.docker.version()["Version"]) for node in self.present})
        return {
            "kind": self.kind,
            "engine": ", ".join(engines),
            "nodes": len(self.nodes),
            "absent": [node.name for node in self.nodes if isinstance(node, Absent)],
            "live": self.read_only,
        }

    def close(self) -> None:
        for node in self.present:
            with contextlib.suppress(Exception):
                node.close()  # type: ignore[attr-defined]


COUNTING = (
    "began=$(date +%s%N); i=0; while [ $i -lt 10000 ]; do i=$((i+1)); done;"
    " echo $(($(date +%s%N) - began))"
)
USUAL_SECONDS = 0.03
"""The longest time that the shell of an ordinary computer needs for COUNTING."""
MOST_TIMEOUT_FACTOR = 8.0


def slowness(node: Node) -> float:
    """The factor by which a node counts slower than an ordinary computer; from 1.0 to 8.0.

    Emulated processors are slower by that factor in everything.
    """
    told = node.run(["sh", "-c", COUNTING], timeout=60).out.strip()
    seconds = int(told) / 1e9 if told.isdigit() else USUAL_SECONDS
    return min(MOST_TIMEOUT_FACTOR, max(1.0, seconds / USUAL_SECONDS))
