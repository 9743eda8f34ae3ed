"""Combines the Engine API's answers, look by look, into the parts of a trace.

`Observed` uses no engine and no clock. It receives each look's answer and when the look was
requested and answered, and keeps what is new.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from grader.modules.rollout.trace import (
    RUNNING,
    Change,
    Event,
    Health,
    NodeChange,
    Status,
    Task,
    Terms,
    Window,
    rank,
    version_of,
)

GAP = 5
"""Looks that are this many intervals apart are a gap, which the trace lists."""

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)")

When = Callable[[str], float]
"""Converts a manager's time stamp to seconds of the trace."""


def epoch(stamp: str) -> float:
    """Seconds since 1970 of a time stamp with nanoseconds, as Go writes it. Raises ValueError."""
    found = _TIME.fullmatch(stamp)
    if not found:
        raise ValueError(f"not a time stamp: {stamp!r}")
    whole, part, zone = found.groups()
    offset = "+00:00" if zone == "Z" else zone
    moment = datetime.fromisoformat(whole + offset).astimezone(timezone.utc)
    return moment.timestamp() + float(part or 0)


def seconds(nanoseconds: Any) -> float:
    return round(float(nanoseconds or 0) / 1e9, 3)


def terms(service: Mapping[str, Any], at: float, image_checks: bool = False) -> Terms:
    """The settings in a service's spec; `image_checks` says that its image has a health check."""
    spec = service["Spec"]
    container = spec["TaskTemplate"].get("ContainerSpec") or {}
    mode = spec.get("Mode") or {}
    update = spec.get("UpdateConfig") or {"Parallelism": 1}
    back = spec.get("RollbackConfig") or {"Parallelism": 1}
    test = (container.get("Healthcheck") or {}).get("Test") or []
    return Terms(
        at=round(at, 3),
        image=str(container.get("Image") or ""),
        replicas=int((mode.get("Replicated") or {}).get("Replicas") or 0),
        parallelism=int(update.get("Parallelism") or 0),
        delay=seconds(update.get("Delay")),
        order=str(update.get("Order") or "stop-first"),
        failure_action=str(update.get("FailureAction") or "pause"),
        monitor=seconds(update.get("Monitor")) or 5.0,
        max_failure_ratio=float(update.get("MaxFailureRatio") or 0),
        rollback_parallelism=int(back.get("Parallelism") or 0),
        rollback_delay=seconds(back.get("Delay")),
        rollback_order=str(back.get("Order") or "stop-first"),
        health_check=test[:1] != ["NONE"] if test else image_checks,
    )


def digest(spec: Mapping[str, Any]) -> str:
    """A short hash of a task's spec."""
    text = json.dumps(spec, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


@dataclass
class _Seen:
    """What is known about a task."""

    raw: Mapping[str, Any]
    created: float
    spec: str
    changes: list[Change]
    health: list[Health] = field(default_factory=list)


@dataclass
class Observed:
    """See the module. `interval` is the intended pause between two looks (seconds)."""

    interval: float
    looks: int = 0
    gaps: list[Window] = field(default_factory=list)
    specs: list[Terms] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    nodes: list[NodeChange] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    _tasks: dict[str, _Seen] = field(default_factory=dict)
    _over: set[str] = field(default_factory=set)
    _asked: float = 0.0
    _nodes_asked: float = 0.0
    _node_states: dict[str, tuple[str, str]] = field(default_factory=dict)
    _status_key: tuple[str, ...] = ()

    def look(
        self,
        asked: float,
        answered: float,
        service: Mapping[str, Any] | None,
        tasks: Sequence[Mapping[str, Any]],
        when: When,
        image_checks: bool = False,
    ) -> None:
        """Add one look at service and tasks; `when` converts time stamps to the trace's clock."""
        if self.looks and answered - self._asked > GAP * self.interval:
            self.gaps.append(Window(round(self._asked, 3), round(answered, 3)))
        if not self.looks:
            self._over = {raw["ID"] for raw in tasks if rank(_state(raw)) > RUNNING}
        for raw in tasks:
            if raw["ID"] not in self._over:
                self._task(raw, answered, when)
        present = {raw["ID"] for raw in tasks}
        for task_id, seen in self._tasks.items():
            last = seen.changes[-1]
            if task_id not in present and last.state != "remove":
                after, by = round(self._asked, 3), round(answered, 3)
                seen.changes.append(Change(after, by, "remove", "remove"))
        if service is not None:
            self._service(service, answered, image_checks)
        self._asked = asked
        self.looks += 1

    def look_at_nodes(
        self, asked: float, answered: float, nodes: Sequence[Mapping[str, Any]]
    ) -> None:
        """Add one look at the swarm's nodes."""
        for raw in nodes:
            name = str((raw.get("Description") or {}).get("Hostname") or raw["ID"][:12])
            self.names[raw["ID"]] = name
            state = str((raw.get("Status") or {}).get("State") or "unknown")
            availability = str((raw.get("Spec") or {}).get("Availability") or "active")
            if self._node_states.get(raw["ID"]) != (state, availability):
                self._node_states[raw["ID"]] = (state, availability)
                after, by = round(self._nodes_asked, 3), round(answered, 3)
                self.nodes.append(NodeChange(after, by, name, state, availability))
        self._nodes_asked = asked

    def verdict(self, container: str, at: float, verdict: str) -> None:
        """A container's health check has a new result; containers of others are ignored."""
        for seen in self._tasks.values():
            if _container(seen.raw) == container:
                seen.health.append(Health(round(at, 3), verdict))

    def tasks(self) -> tuple[Task, ...]:
        """The tasks as they are known now."""
        made = [
            Task(
                id=task_id[:12],
                slot=int(seen.raw.get("Slot") or 0),
                node=self.names.get(str(seen.raw.get("NodeID") or ""), ""),
                image=_image(seen.raw),
                spec=seen.spec,
                created=round(seen.created, 3),
                changes=tuple(seen.changes),
                health=tuple(sorted(seen.health, key=lambda one: one.at)),
                container=_container(seen.raw)[:12],
                error=str((seen.raw.get("Status") or {}).get("Err") or ""),
            )
            for task_id, seen in self._tasks.items()
        ]
        return tuple(sorted(made, key=lambda task: (task.slot, task.row, task.created, task.id)))

    def _task(self, raw: Mapping[str, Any], answered: float, when: When) -> None:
        state, desired = _state(raw), str(raw.get("DesiredState") or "")
        seen = self._tasks.get(raw["ID"])
        by = min(answered, when(raw["UpdatedAt"]))
        if seen is None:
            # Time stamps may be some milliseconds off; the looks bound them.
            created = min(when(raw["CreatedAt"]), answered)
            created = max(created, self._asked) if self.looks else created
            after = max(created, self._asked) if self.looks else created
            change = Change(round(after, 3), round(max(after, by), 3), state, desired)
            self._tasks[raw["ID"]] = _Seen(raw, created, digest(raw["Spec"]), [change])
            return
        seen.raw = raw
        last = seen.changes[-1]
        if (last.state, last.desired) != (state, desired):
            after = self._asked
            seen.changes.append(Change(round(after, 3), round(max(after, by), 3), state, desired))

    def _service(self, service: Mapping[str, Any], answered: float, image_checks: bool) -> None:
        now = terms(service, answered, image_checks)
        last = self.specs[-1] if self.specs else None
        if last is None or _without_time(now) != _without_time(last):
            self.specs.append(now)
        status = service.get("UpdateStatus") or {}
        before = service.get("PreviousSpec")
        previous = None
        if before is not None:
            container = (before.get("TaskTemplate") or {}).get("ContainerSpec") or {}
            previous = version_of(str(container.get("Image") or ""))
        state = str(status.get("State") or "")
        key = (state, str(status.get("StartedAt") or ""), str(previous))
        if key != self._status_key:
            self._status_key = key
            message = str(status.get("Message") or "")
            self.statuses.append(Status(round(answered, 3), state, message, previous))


def _without_time(terms: Terms) -> tuple[Any, ...]:
    return tuple(value for name, value in vars(terms).items() if name != "at")


def _state(raw: Mapping[str, Any]) -> str:
    return str((raw.get("Status") or {}).get("State") or "new")


def _container(raw: Mapping[str, Any]) -> str:
    status = (raw.get("Status") or {}).get("ContainerStatus") or {}
    return str(status.get("ContainerID") or "")


def _image(raw: Mapping[str, Any]) -> str:
    return str((raw["Spec"].get("ContainerSpec") or {}).get("Image") or "")
