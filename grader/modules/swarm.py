"""A target's nodes as a swarm: its managers' answers, as plain data.

    swarm = Swarm(target)
    [(node.name, node.role, node.availability, node.state) for node in swarm.nodes()]
    # [('manager1', 'manager', 'active', 'ready'), ('worker1', 'worker', 'active', 'ready'), …]
    swarm.service("app").replicas, swarm.converged("app")  # (3, True)

Any manager may answer. If none does, `NoManager` is raised. The check must handle it, because the
submission may be the cause.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grader.errors import EngineFault
from grader.modules.container import Container
from grader.modules.service import Service, Task, has_converged, task
from grader.waiting import wait_until

if TYPE_CHECKING:
    from grader.nodes.node import Node, Target

TASK_HISTORY = 1000
"""Ended tasks per slot that managers keep; their default of 5 would lose those of a long update."""

SERVICE_NAME = "com.docker.swarm.service.name"
READY_SECONDS = 60
TRIES = 20
"""How often a change is tried again after another change came first."""


class NoManager(Exception):
    """No node is a manager that can answer."""


@dataclass(frozen=True)
class SwarmNode:
    """A member of the swarm as its managers see it.

    `role` is `manager` or `worker`, `availability` `active`, `pause` or `drain`, `state`
    `ready`, `down`, `unknown` or `disconnected`; `reachability` is empty for workers.
    """

    id: str
    name: str
    role: str
    availability: str
    state: str
    address: str
    leader: bool
    reachability: str
    labels: Mapping[str, str]

    @property
    def in_words(self) -> str:
        leader = ", leader" if self.leader else ""
        return f"{self.name}: {self.role}{leader}, {self.availability}, {self.state}"


@dataclass(frozen=True)
class Member:
    """A node's own report about its membership in a swarm.

    `state` is `inactive`, `pending`, `active`, `error` or `locked`; `node_id` and `address` are
    empty if it is in none.
    """

    state: str
    manager: bool
    node_id: str
    address: str
    error: str


class Swarm:
    """See the module's docstring."""

    def __init__(self, target: Target) -> None:
        self.target = target

    # What a node says of itself ----------------------------------------------------------------

    def member(self, node: Node) -> Member:
        """The node's own report on whether it is in a swarm."""
        said = self._info(node)
        return Member(
            state=str(said.get("LocalNodeState") or "inactive"),
            manager=bool(said.get("ControlAvailable")),
            node_id=str(said.get("NodeID") or ""),
            address=str(said.get("NodeAddr") or ""),
            error=str(said.get("Error") or ""),
        )

    def manager(self) -> Node:
        """A node that answers for the swarm (the first manager). Raises NoManager."""
        for node in self.target.nodes:
            if self._info(node).get("ControlAvailable"):
                return node
        raise NoManager("No node is a manager of a swarm.")

    # What managers say -------------------------------------------------------------------------

    def nodes(self) -> list[SwarmNode]:
        """The swarm's members by name, including those that are down or have left."""
        found = [_node(data) for data in self._ask("nodes")]
        return sorted(found, key=lambda node: (node.name, node.id))

    def node(self, name: str) -> SwarmNode | None:
        """The member of that name; if there are several, the one that is ready."""
        named = [node for node in self.nodes() if node.name == name]
        return min(named, key=lambda node: node.state != "ready", default=None)

    def services(self) -> list[Service]:
        """All services by name."""
        return sorted((Service(data) for data in self._ask("services")), key=lambda s: s.name)

    def service(self, name: str) -> Service | None:
        """The service of exactly that name."""
        listed = self._ask("services", filters={"name": name})
        return next((s for s in map(Service, listed) if s.name == name), None)

    def tasks(self, service: Service | str, *, current: bool = False) -> list[Task]:
        """A service's tasks, including past ones, by slot and age; none if there is no such
        service.

        `current` leaves out those of older versions of the service.
        """
        found = self.service(service) if isinstance(service, str) else service
        if found is None:
            return []
        return self._tasks({"service": found.id}, current)

    def converged(self, service: Service | str) -> bool:
        """Whether it has its requested state, by the docker CLI's rule; False if it is gone.

        This is one moment: the CLI requires it continuously for the service's monitor time (5 s).
        """
        name = service if isinstance(service, str) else service.name
        now = self.service(name)
        if now is None:
            return False
        nodes = self.nodes()
        names = {node.id: node.name for node in nodes}
        active = {node.id for node in nodes if node.state != "down"}
        return has_converged(now, self._tasks({"service": now.id}, True, names), active)

    def containers(self, service: str) -> dict[str, list[Container]]:
        """The service's running containers by node, from each node's own engine.

        For every node of the target, in the swarm or not; `service` is a name.
        """
        from docker.errors import NotFound

        wanted = {"label": f"{SERVICE_NAME}={service}", "status": "running"}
        found: dict[str, list[Container]] = {}
        for node in self.target.nodes:
            found[node.name] = []
            for entry in node.docker.api.containers(filters=wanted):
                try:
                    container = Container(node.docker.api.inspect_container(entry["Id"]))
                except NotFound:
                    continue  # Removed between the two questions.
                if container.running:
                    found[node.name].append(container)
        return found

    def join_token(self, role: str) -> str:
        """The token with which a node joins as `worker` or `manager`."""
        said = self._ask("inspect_swarm")
        return str((said.get("JoinTokens") or {}).get(role.capitalize()) or "")

    # What a grader does ------------------------------------------------------------------------

    def form(self) -> None:
        """Make a swarm of the target's nodes: the first manages, the others work. Raises
        EngineFault.

        For checks that do not test the creation of a swarm.
        """
        first, *others = self.target.nodes
        first.docker.api.init_swarm(advertise_addr=first.address)
        self.keep_history()
        token = self.join_token("worker")

        def join(node: Node) -> None:
            node.docker.api.join_swarm(
                [f"{first.address}:2377"], join_token=token, advertise_addr=node.address
            )

        with ThreadPoolExecutor(max(1, len(others))) as pool:
            list(pool.map(join, others))
        wanted = {node.name for node in self.target.nodes}
        if not wait_until(lambda: self._ready() == wanted, within=READY_SECONDS):
            told = "; ".join(node.in_words for node in self.nodes())
            raise EngineFault(f"The nodes did not become a swarm: {told}")

    def keep_history(self, tasks: int = TASK_HISTORY) -> None:
        """Let managers keep so many ended tasks per slot (their own limit is 5)."""
        api = self.manager().docker.api
        for attempt in range(TRIES):
            said = api.inspect_swarm()
            spec = said["Spec"]
            spec.setdefault("Orchestration", {})["TaskHistoryRetentionLimit"] = tasks
            try:
                api.update_swarm(version=said["Version"]["Index"], swarm_spec=spec)
            except _api_error() as error:
                if not out_of_sequence(error) or attempt == TRIES - 1:
                    raise
                time.sleep(0.1)
            else:
                return

    # ---------------------------------------------------------------------------------------------

    def _ready(self) -> set[str]:
        return {node.name for node in self.nodes() if node.state == "ready"}

    def _tasks(
        self, filters: dict[str, Any], current: bool, names: Mapping[str, str] | None = None
    ) -> list[Task]:
        if current:
            filters = {**filters, "_up-to-date": True}
        if names is None:
            names = {node.id: node.name for node in self.nodes()}
        found = [task(data, names) for data in self._ask("tasks", filters=filters)]
        return sorted(found, key=lambda t: (t.slot, t.node, t.created, t.id))

    def _info(self, node: Node) -> Mapping[str, Any]:
        return node.docker.api.info().get("Swarm") or {}

    def _ask(self, question: str, **arguments: Any) -> Any:
        """Ask managers in turn until one answers."""
        said = "No node is a manager of a swarm."
        for node in self.target.nodes:
            try:
                return getattr(node.docker.api, question)(**arguments)
            except _api_error() as error:
                if not _no_manager(error):
                    raise
                if self._info(node).get("ControlAvailable"):
                    said = f"{node.name}: {error.explanation}"
        raise NoManager(said)


def _api_error() -> type[Any]:
    from docker.errors import APIError

    return APIError


def _no_manager(error: Any) -> bool:
    """Whether the answer means that this node is not a manager, or that its swarm has no leader."""
    said = str(error.explanation).lower()
    return error.status_code == 503 or "swarm manager" in said or "leader" in said


def out_of_sequence(error: Any) -> bool:
    """Whether a change was refused because another one came first: try it again."""
    return bool(re.search(r"out of sequence", str(error)))


def _node(data: Mapping[str, Any]) -> SwarmNode:
    spec, status = data.get("Spec") or {}, data.get("Status") or {}
    manager = data.get("ManagerStatus") or {}
    return SwarmNode(
        id=str(data["ID"]),
        name=str((data.get("Description") or {}).get("Hostname") or ""),
        role=str(spec.get("Role") or ""),
        availability=str(spec.get("Availability") or ""),
        state=str(status.get("State") or ""),
        address=str(status.get("Addr") or ""),
        leader=bool(manager.get("Leader")),
        reachability=str(manager.get("Reachability") or ""),
        labels=dict(spec.get("Labels") or {}),
    )
