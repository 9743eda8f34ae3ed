"""Cleans persistent nodes before an exercise, and removes what it made afterwards.

    cleanup = Cleanup(target.nodes)
    cleanup.wipe()       # no node is in a swarm any more
    …                  # the exercise is played
    cleanup.restore()    # what is there now and was not there before is gone

An exercise on one node is none about swarms: a node that is in one then stays a member, and what
the swarm runs on it meanwhile is let be.

Only ever for nodes that their owner gave up to the grader. `sweep` is for all others, too: it
takes away what carries the grader's own label and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

from grader.errors import EngineFault
from grader.waiting import wait_until

if TYPE_CHECKING:
    from grader.nodes.node import Node

ROLES = [f"drydock.role={role}" for role in ("probe", "machine", "submission")]
"""The labels of what the grader starts on a node. (The kit's own engine knows others.)"""

FILES = "/drydock"
"""Where the grader puts files of a submission on a node."""

STACK = {"label": "com.docker.stack.namespace"}
TASK = "com.docker.swarm.task.id"
"""The label of a container that a swarm runs."""

DOCKERS_OWN = frozenset({"bridge", "host", "none", "docker_gwbridge", "ingress"})
"""Networks that an engine makes for itself."""

GOSSIP = ":1F0A"
UNCONNECTED = ("0A", "07")
"""Port 7946, and the states of TCP and UDP sockets that listen, in /proc/net's words."""

SYSTEMD = ("test", "-d", "/run/systemd/system")

ASK_AGAIN_SECONDS = 10
"""How long a manager that cannot answer is asked again."""

GONE_SECONDS = 30
"""How long a network or volume may still be in use by a container that ends."""


@dataclass(frozen=True)
class Found:
    """What an engine has, by ID (volumes by name)."""

    containers: frozenset[str]
    networks: frozenset[str]
    volumes: frozenset[str]


class Cleanup:
    """See the module's docstring. `timeout_factor` multiplies the waits."""

    def __init__(self, nodes: Sequence[Node], timeout_factor: float = 1.0) -> None:
        self.nodes = list(nodes)
        self.timeout_factor = timeout_factor
        self._before: dict[str, Found] = {}
        self._member = False

    def wipe(self) -> None:
        """No node is in a swarm: its services are gone, and the volumes of its stacks, too.

        A volume that an earlier run left would be the new one's. EngineFault.
        """
        with _faults():
            self._member = len(self.nodes) == 1 and _swarm_state(self.nodes[0]) != "inactive"
            self._leave_all()
            if not self._member:
                self._each(self._forget_stacks)
            self._before = {node.name: self._found(node) for node in self.nodes}

    def restore(self) -> None:
        """Leave the swarm and remove what was not there at `wipe`. EngineFault."""
        if not self._before:
            return
        with _faults():
            self._leave_all()
            self._each(self._remove_new)

    def _each(self, what: Callable[[Node], None]) -> None:
        with ThreadPoolExecutor(max(1, len(self.nodes))) as pool:
            list(pool.map(what, self.nodes))

    def _leave_all(self) -> None:
        """One after the other, managers last: engines that leave at once wait for each other."""
        sweep(self.nodes, GONE_SECONDS * self.timeout_factor)
        if self._member:
            return
        manages = [bool(_swarm(node).get("ControlAvailable")) for node in self.nodes]
        for _, node in sorted(zip(manages, self.nodes, strict=True), key=lambda pair: pair[0]):
            self._leave(node)

    def _leave(self, node: Node) -> None:
        if _swarm_state(node) == "inactive":
            return
        with _passed_over(406, 503):  # It has left meanwhile.
            node.docker.api.leave_swarm(force=True)

        def left() -> bool:
            return _swarm_state(node) == "inactive" and not _gossips(node)

        if wait_until(left, within=self._gone, every=0.3):
            return
        # Seldom an engine does not let go of a swarm's ports any more.
        if node.run(SYSTEMD, timeout=60).ok:
            node.run(["systemctl", "restart", "docker"], timeout=60 + self._gone)
            if wait_until(_safely(left), within=self._gone, every=0.3):
                return
        raise EngineFault(
            f"{node.name} does not leave its swarm.",
            remedy=f"Restart its engine: on {node.name} say sudo systemctl restart docker",
        )

    def _forget_stacks(self, node: Node) -> None:
        api: Any = node.docker.api
        for entry in api.containers(all=True, filters=STACK):
            with _passed_over(404, 409):
                api.remove_container(entry["Id"], force=True)
        for entry in api.volumes(filters=STACK)["Volumes"] or []:
            self._insist(partial(api.remove_volume, entry["Name"]))

    def _remove_new(self, node: Node) -> None:
        api: Any = node.docker.api
        before, now = self._before[node.name], self._found(node)
        for container in now.containers - before.containers:
            with _passed_over(404, 409):
                api.remove_container(container, force=True, v=True)
        for volume in now.volumes - before.volumes:
            self._insist(partial(api.remove_volume, volume))
        for network in now.networks - before.networks:
            self._insist(partial(api.remove_network, network))
        node.run(["rm", "-rf", "--", FILES], timeout=60)

    def _insist(self, remove: Callable[[], object]) -> None:
        """Remove what may be in use for a moment yet; what stays in use is the student's."""
        wait_until(partial(_is_gone, remove), within=self._gone, every=0.3)

    def _found(self, node: Node) -> Found:
        return _found(node, swarms=not self._member)

    @property
    def _gone(self) -> float:
        return GONE_SECONDS * self.timeout_factor


def sweep(nodes: Sequence[Node], within: float = GONE_SECONDS) -> None:
    """Take away what carries the grader's label: services, containers, networks."""
    managers = [node for node in nodes if _swarm(node).get("ControlAvailable")]
    for node, label in product(managers[:1], ROLES):
        wait_until(partial(_no_services, node, label), within=ASK_AGAIN_SECONDS, every=1)
    for node, label in product(nodes, ROLES):
        api = node.docker.api
        for entry in api.containers(all=True, filters={"label": label}):
            with _passed_over(404, 409):
                api.remove_container(entry["Id"], force=True, v=True)
    for node, label in product(nodes, ROLES):
        api = node.docker.api
        for entry in api.networks(filters={"label": label}):
            if entry["Scope"] == "swarm" and node not in managers[:1]:
                continue
            # It is in use for as long as a task is.
            remove = partial(api.remove_network, entry["Id"])
            wait_until(partial(_is_gone, remove), within=within, every=0.3)


def _no_services(node: Node, label: str) -> bool:
    """Remove a manager's services of a label; whether that was done.

    A manager that is busy, or has no leader, answers with a fault of its own (500, 503).
    """
    from docker.errors import APIError

    api: Any = node.docker.api
    try:
        for entry in api.services(filters={"label": label}):
            with _passed_over(404):
                api.remove_service(entry["ID"])
    except APIError as error:
        if error.status_code not in (500, 503):
            raise
        return False
    return True


def _swarm(node: Node) -> dict[str, Any]:
    return dict(node.docker.api.info().get("Swarm") or {})


def _swarm_state(node: Node) -> str:
    return str(_swarm(node).get("LocalNodeState") or "inactive")


def _gossips(node: Node) -> bool:
    """Whether the engine still listens to the other nodes of a swarm.

    It does for some seconds after it has left. A swarm that it joins meanwhile gets no ear at
    all, and its overlay networks are dumb.
    """
    tables = [f"/proc/net/{name}" for name in ("tcp", "tcp6", "udp", "udp6")]
    rows = [line.split() for line in node.run(["cat", *tables], timeout=60).out.splitlines()]
    return any(len(r) > 3 and r[1].endswith(GOSSIP) and r[3] in UNCONNECTED for r in rows)


def _found(node: Node, *, swarms: bool) -> Found:
    """What is there; what a swarm made, too, if `swarms`."""
    api: Any = node.docker.api
    containers, networks = api.containers(all=True), api.networks()
    return Found(
        containers=frozenset(c["Id"] for c in containers if swarms or TASK not in c["Labels"]),
        networks=frozenset(
            n["Id"]
            for n in networks
            if n["Name"] not in DOCKERS_OWN and (swarms or n["Scope"] != "swarm")
        ),
        volumes=frozenset(v["Name"] for v in api.volumes()["Volumes"] or []),
    )


def _is_gone(remove: Callable[[], object]) -> bool:
    """Ask for it to be removed; it is gone when there is nothing to remove any more.

    A manager agrees to remove a network before the last task has let go of it.
    """
    from docker.errors import APIError

    try:
        remove()
    except APIError as error:
        return error.status_code == 404
    return False


def _safely(look: Callable[[], bool]) -> Callable[[], bool]:
    """A look at an engine that may be away for a moment."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    def safe() -> bool:
        try:
            return look()
        except (DockerException, RequestException):
            return False

    return safe


@contextmanager
def _passed_over(*codes: int) -> Iterator[None]:
    """Answers with these codes mean that it is done already."""
    from docker.errors import APIError

    try:
        yield
    except APIError as error:
        if error.status_code not in codes:
            raise


@contextmanager
def _faults() -> Iterator[None]:
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except (DockerException, RequestException) as error:
        raise EngineFault(f"The machines cannot be cleared: {error}") from None
