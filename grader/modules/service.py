"""Swarm services and their tasks as plain data, and when a service has converged.

    app = swarm.service("app")
    app.image, app.replicas  # ('alpine:3', 3)
    [(task.slot, task.node) for task in swarm.tasks("app") if task.runs]
    # [(1, 'manager1'), (2, 'worker2'), (3, 'worker1')]

Convergence is decided as `docker service create|update|scale` decide it: per slot (per node for
a global service) there is a task that is meant to run and does. The numbers that `docker service
ls` reports count tasks on dead nodes and tasks of older versions as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

STATES = (
    "new",
    "allocated",
    "pending",
    "assigned",
    "accepted",
    "preparing",
    "ready",
    "starting",
    "running",
    "complete",
    "shutdown",
    "failed",
    "rejected",
    "remove",
    "orphaned",
)
"""A task's states in order; all states after `running` are final."""

_ORDER = {state: number for number, state in enumerate(STATES, start=1)}
_RUNNING = _ORDER["running"]
_UNCOUNTED = {"remove", "orphaned"}
"""States that the docker CLI does not know: it ignores such tasks."""


@dataclass(frozen=True)
class ServicePort:
    """A published port: `mode` is `ingress` (the routing mesh) or `host`."""

    published: int
    target: int
    protocol: str
    mode: str

    @property
    def in_words(self) -> str:
        return f"{self.published} → {self.target}/{self.protocol}, {self.mode} mode"


@dataclass(frozen=True)
class Service:
    """A manager's data about one service at one moment; `data` is the whole answer."""

    data: Mapping[str, Any]

    @property
    def id(self) -> str:
        return str(self.data["ID"])

    @property
    def name(self) -> str:
        return str(self._spec.get("Name", ""))

    @property
    def image(self) -> str:
        """The requested image, without a digest: `alpine:3`."""
        return str(self._container.get("Image", "")).partition("@")[0]

    @property
    def command(self) -> list[str]:
        """What replaces the image's entry point (`--entrypoint`), word by word."""
        return list(self._container.get("Command") or [])

    @property
    def args(self) -> list[str]:
        """The arguments after the image name in `docker service create`, word by word."""
        return list(self._container.get("Args") or [])

    @property
    def mode(self) -> str:
        """`replicated`, `global`, `replicated-job` or `global-job`."""
        names = {
            "Replicated": "replicated",
            "Global": "global",
            "ReplicatedJob": "replicated-job",
            "GlobalJob": "global-job",
        }
        mode = self._spec.get("Mode") or {}
        return next((word for name, word in names.items() if name in mode), "replicated")

    @property
    def replicas(self) -> int | None:
        """The requested number of tasks; None for a service that is not replicated."""
        found = ((self._spec.get("Mode") or {}).get("Replicated") or {}).get("Replicas")
        return None if found is None else int(found)

    @property
    def ports(self) -> list[ServicePort]:
        """Its published ports, with the numbers that the swarm chose if none were requested."""
        endpoint = self.data.get("Endpoint") or {}
        listed = endpoint.get("Ports") or (self._spec.get("EndpointSpec") or {}).get("Ports") or []
        found = [
            ServicePort(
                int(p.get("PublishedPort") or 0),
                int(p.get("TargetPort") or 0),
                str(p.get("Protocol", "tcp")),
                str(p.get("PublishMode", "ingress")),
            )
            for p in listed
        ]
        return sorted(found, key=lambda p: (p.published, p.target, p.protocol, p.mode))

    @property
    def update_state(self) -> str:
        """`updating`, `completed`, `rollback_completed`, …; empty if nothing was updated."""
        return str((self.data.get("UpdateStatus") or {}).get("State", ""))

    @property
    def version(self) -> int:
        """Increases with each change of the service."""
        return int((self.data.get("Version") or {}).get("Index", 0))

    @property
    def spec(self) -> Mapping[str, Any]:
        return self._spec

    @property
    def previous_spec(self) -> Mapping[str, Any] | None:
        return self.data.get("PreviousSpec")

    @property
    def _spec(self) -> Mapping[str, Any]:
        return self.data.get("Spec") or {}

    @property
    def _container(self) -> Mapping[str, Any]:
        return (self._spec.get("TaskTemplate") or {}).get("ContainerSpec") or {}


@dataclass(frozen=True)
class Task:
    """One task: one container on one node, now or in the past.

    `node` is the node's name, empty while it has none; `slot` is 0 for global services. `created`
    and `updated` are by the manager's clock, `stamp` by the node's (all RFC 3339). A swarm has no
    separate health state: a task with a health check runs once it is healthy.
    """

    id: str
    service: str
    slot: int
    node: str
    node_id: str
    desired: str
    state: str
    image: str
    created: str
    updated: str
    stamp: str
    error: str
    container_id: str
    exit_code: int | None

    @property
    def meant_to_run(self) -> bool:
        """Its desired state is not final."""
        return 0 < _ORDER.get(self.desired, 0) <= _RUNNING

    @property
    def runs(self) -> bool:
        """Its desired state is not final, and it runs."""
        return self.meant_to_run and self.state == "running"

    @property
    def fits_nowhere(self) -> bool:
        """It should run, but the scheduler reports that no node can take it."""
        return self.meant_to_run and not self.node and "no suitable node" in self.error

    @property
    def over(self) -> bool:
        """It has ended, or will never start."""
        return _ORDER.get(self.state, 0) > _RUNNING

    @property
    def in_words(self) -> str:
        """`slot 2 on worker1: running`, for a person."""
        where = f" on {self.node}" if self.node else " on no node"
        place = f"slot {self.slot}" if self.slot else "task"
        error = f" ({self.error})" if self.error else ""
        wanted = "" if self.desired == self.state else f", wanted: {self.desired}"
        return f"{place}{where}: {self.state}{wanted}{error}"


def task(data: Mapping[str, Any], node_names: Mapping[str, str]) -> Task:
    """A task from the Engine API's answer; `node_names` by node ID."""
    status = data.get("Status") or {}
    container = status.get("ContainerStatus") or {}
    node_id = str(data.get("NodeID") or "")
    spec = (data.get("Spec") or {}).get("ContainerSpec") or {}
    code = container.get("ExitCode")
    return Task(
        id=str(data["ID"]),
        service=str(data.get("ServiceID") or ""),
        slot=int(data.get("Slot") or 0),
        node=node_names.get(node_id, node_id),
        node_id=node_id,
        desired=str(data.get("DesiredState") or ""),
        state=str(status.get("State") or ""),
        image=str(spec.get("Image") or "").partition("@")[0],
        created=str(data.get("CreatedAt") or ""),
        updated=str(data.get("UpdatedAt") or ""),
        stamp=str(status.get("Timestamp") or ""),
        error=str(status.get("Err") or ""),
        container_id=str(container.get("ContainerID") or ""),
        exit_code=None if code is None else int(code),
    )


def by_slot(tasks: Iterable[Task], active: Collection[str]) -> dict[int, Task]:
    """The task that counts for each slot; `active` are the IDs of nodes that are not down.

    If there are several, the one with the latest desired state counts, then the one that has
    progressed least. So a start-first update has not converged while old and new tasks run
    together.
    """
    found: dict[int, Task] = {}
    for one in tasks:
        if not _counts_before(one, found.get(one.slot)):
            continue
        if one.node_id and one.node_id not in active:
            continue
        found[one.slot] = one
    return found


def by_node(tasks: Iterable[Task]) -> dict[str, Task]:
    """The task of a global service that counts for each node, by the node's ID."""
    found: dict[str, Task] = {}
    for one in tasks:
        if _counts_before(one, found.get(one.node_id)):
            found[one.node_id] = one
    return found


def has_converged(service: Service, current: Iterable[Task], active: Collection[str]) -> bool:
    """Whether a service has its requested state, by the rule of the docker CLI.

    `current` are only the tasks of the service's current version (`Swarm.tasks(current=True)`);
    `active` the IDs of nodes that are not down. A global service without tasks has not converged.
    """
    if service.mode == "global":
        tasks = by_node(current)
        return bool(tasks) and all(t.runs and t.node_id in active for t in tasks.values())
    running = [t for t in by_slot(current, active).values() if t.runs]
    return len(running) == (service.replicas or 0)


def _counts_before(new: Task, old: Task | None) -> bool:
    if {new.desired, new.state} & _UNCOUNTED or not {new.desired, new.state} <= _ORDER.keys():
        return False
    desired, state = _ORDER[new.desired], _ORDER[new.state]
    if old is None:
        return True
    before = _ORDER[old.desired]
    return desired < before or (desired == before and state < _ORDER[old.state])
