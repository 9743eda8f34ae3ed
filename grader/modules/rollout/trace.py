"""A rollout as plain data: what was observed of a service while something happened to it.

Times are seconds since the recording began, on the recorder's clock, rounded to milliseconds. A
change that was found by sampling has no exact time but a window: it happened `after` one look and
was visible `by` the next. States of a task only go forward and the swarm keeps its history, so
nothing between two looks is lost; only its time is no more exact than the window.

    trace = Trace.from_json(json.loads(text))
    assert Trace.from_json(trace.to_json()) == trace
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple

STATES = (
    *("new", "pending", "assigned", "accepted", "preparing", "ready", "starting", "running"),
    *("complete", "shutdown", "failed", "rejected", "remove", "orphaned"),
)
"""States of a task in the order in which it goes through them; it never goes back."""

STARTING = STATES.index("starting")
STARTING = STATES.index("starting")
RUNNING = STATES.index("running")


class Window(NamedTuple):
    """Something happened not before `after` and not later than `by` (seconds)."""

    after: float
    by: float

    @property
    def width(self) -> float:
        return self.by - self.after


@dataclass(frozen=True)
class Change:
    """The first observation of a task's state: the task's own state, and the swarm's desired
    one."""

    after: float
    by: float
    state: str
    desired: str


@dataclass(frozen=True)
class Health:
    """A result of a container's health check (`healthy`, `unhealthy`), from the node."""

    at: float
    verdict: str


@dataclass(frozen=True)
class Task:
    """One task. `slot` is 0 for a global service, which has nodes instead.

    `created` is by the managers' clock, converted to the recorder's. `spec` is a short hash of the
    task's settings: a task with another one is an update and not a restart.
    """

    id: str
    slot: int
    node: str
    image: str
    spec: str
    created: float
    changes: tuple[Change, ...]
    health: tuple[Health, ...] = ()
    container: str = ""
    error: str = ""

    @property
    def version(self) -> str:
        """The image's tag: `2.0` of `registry:5000/demo:2.0@sha256:…`."""
        return version_of(self.image)

    @property
    def row(self) -> str:
        """Its place: the slot, or the node of a global service's task."""
        return str(self.slot) if self.slot else self.node

    @property
    def state(self) -> str:
        return self.changes[-1].state

    def up(self) -> Window | None:
        """When it began to run; with a health check, when it was first healthy.

        If an engine stops an unhealthy container that then ends cleanly, it reports for a moment
        that the task runs. It does not: None.
        """
        verdicts = {one.verdict for one in self.health}
        if "unhealthy" in verdicts and "healthy" not in verdicts:
            return None
        for change in self.changes:
            if change.state == "running":
                return Window(change.after, change.by)
            if rank(change.state) > RUNNING:
                return None
        return None

    def started(self) -> Window | None:
        """When its container was started, or when the task was in a later state."""
        for change in self.changes:
            if rank(change.state) >= STARTING:
                return Window(change.after, change.by)
        return None

    def down(self) -> Window | None:
        """When it stopped counting: told to stop, or stopped. None while it counts or waits."""
        for change in self.changes:
            if rank(change.state) > RUNNING or rank(change.desired) > RUNNING:
                return Window(change.after, change.by)
        return None

    def gone(self) -> Window | None:
        """When its container had stopped."""
        for change in self.changes:
            if rank(change.state) > RUNNING:
                return Window(change.after, change.by)
        return None


@dataclass(frozen=True)
class Terms:
    """The service's settings from a moment on: its spec, with defaults filled in.

    `parallelism` 0 means all at once; `delay` and `monitor` in seconds; the `rollback_…` fields are
    the same from `rollback_config`. `replicas` is 0 for a global service.
    """

    at: float
    image: str
    replicas: int
    parallelism: int = 1
    delay: float = 0.0
    order: str = "stop-first"
    failure_action: str = "pause"
    monitor: float = 5.0
    max_failure_ratio: float = 0.0
    rollback_parallelism: int = 1
    rollback_delay: float = 0.0
    rollback_order: str = "stop-first"
    health_check: bool = False

    @property
    def version(self) -> str:
        return version_of(self.image)


@dataclass(frozen=True)
class Status:
    """The first observation of the service's `UpdateStatus`, and whether it had a
    `PreviousSpec`."""

    at: float
    state: str
    message: str
    previous: str | None
    """The previous spec's image; None if there was no previous spec."""


@dataclass(frozen=True)
class Event:
    """An engine's event, or a note of the recorder's user (then `kind` is `mark`)."""

    at: float
    kind: str
    text: str


@dataclass(frozen=True)
class NodeChange:
    """State (`ready`, `down` …) and availability (`active`, `drain` …) of a node of the swarm."""

    after: float
    by: float
    node: str
    state: str
    availability: str


@dataclass(frozen=True)
class Request:
    """One request: when it was sent, how long it took, what was answered.

    `status` is 0 if there was no answer; then `error` says why.
    """

    at: float
    ms: float
    status: int
    version: str = ""
    host: str = ""
    error: str = ""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 400


@dataclass(frozen=True)
class Requests:
    """The requests at one node, in order; `every` is the intended pause between two (seconds)."""

    node: str
    port: int
    every: float
    sent: tuple[Request, ...]

    def to_json(self) -> dict[str, Any]:
        """In columns; texts are indexes into `words`, because most of them are equal."""
        words: dict[str, int] = {}
        for request in self.sent:
            for word in (request.version, request.host, request.error):
                words.setdefault(word, len(words))
        return {
            "node": self.node,
            "port": self.port,
            "every": self.every,
            "words": list(words),
            "at": [request.at for request in self.sent],
            "ms": [request.ms for request in self.sent],
            "status": [request.status for request in self.sent],
            "version": [words[request.version] for request in self.sent],
            "host": [words[request.host] for request in self.sent],
            "error": [words[request.error] for request in self.sent],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Requests:
        words = [str(word) for word in data["words"]]
        columns = zip(
            *(data[name] for name in ("at", "ms", "status", "version", "host", "error")),
            strict=True,
        )
        sent = tuple(
            Request(at, ms, status, words[version], words[host], words[error])
            for at, ms, status, version, host, error in columns
        )
        return cls(data["node"], data["port"], data["every"], sent)


@dataclass(frozen=True)
class Proof:
    """The result for a promise: kept (True), broken (False), or undecided (None).

    `at` and `until` say when it was broken, `level` the number of tasks that it is about, if any.
    """

    name: str
    ok: bool | None
    promise: str
    found: str
    at: float | None = None
    until: float | None = None
    level: int | None = None


@dataclass(frozen=True)
class Trace:
    """Everything that was observed; see the module and docs/rollouts.md."""

    service: str
    title: str
    started: str
    seconds: float
    interval: float
    looks: int
    gaps: tuple[Window, ...] = ()
    specs: tuple[Terms, ...] = ()
    tasks: tuple[Task, ...] = ()
    statuses: tuple[Status, ...] = ()
    nodes: tuple[NodeChange, ...] = ()
    events: tuple[Event, ...] = ()
    requests: tuple[Requests, ...] = ()
    clocks: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Node: by how much its clock is ahead of the recorder's, and how well that is known.

    The first is the manager's, whose time stamps are used.
    """
    proofs: tuple[Proof, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data for a record."""
        data = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in ("specs", "tasks", "statuses", "nodes", "events", "proofs"):
            data[name] = [asdict(one) for one in data[name]]
        data["gaps"] = [list(gap) for gap in self.gaps]
        data["clocks"] = {node: list(clock) for node, clock in self.clocks.items()}
        data["requests"] = [requests.to_json() for requests in self.requests]
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Trace:
        """The inverse of `to_json`. Raises KeyError, TypeError or ValueError if the data is not
        a trace."""
        made = dict(data)
        made["gaps"] = tuple(Window(*gap) for gap in data["gaps"])
        made["specs"] = tuple(Terms(**one) for one in data["specs"])
        made["tasks"] = tuple(_task(one) for one in data["tasks"])
        made["statuses"] = tuple(Status(**one) for one in data["statuses"])
        made["nodes"] = tuple(NodeChange(**one) for one in data["nodes"])
        made["events"] = tuple(Event(**one) for one in data["events"])
        made["requests"] = tuple(Requests.from_json(one) for one in data["requests"])
        made["clocks"] = {node: (clock[0], clock[1]) for node, clock in data["clocks"].items()}
        made["proofs"] = tuple(Proof(**one) for one in data["proofs"])
        return cls(**made)


def _task(data: dict[str, Any]) -> Task:
    changes = tuple(Change(**one) for one in data["changes"])
    if not changes:
        raise ValueError("a task without a state")
    health = tuple(Health(**one) for one in data["health"])
    return Task(**{**data, "changes": changes, "health": health})


def rank(state: str) -> int:
    """The position of a state in a task's life; unknown states count as its end."""
    return STATES.index(state) if state in STATES else len(STATES)


def version_of(image: str) -> str:
    """The tag of an image's name, `latest` where there is none."""
    name = image.partition("@")[0].rsplit("/", 1)[-1]
    return name.partition(":")[2] or "latest"


def rows(tasks: Sequence[Task]) -> dict[str, list[Task]]:
    """Tasks by slot (or node), slots in order, the tasks of each by age."""
    found: dict[str, list[Task]] = {}
    for task in sorted(tasks, key=lambda task: (task.slot, task.row, task.created, task.id)):
        found.setdefault(task.row, []).append(task)
    return found
