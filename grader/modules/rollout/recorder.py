"""The recorder: observes a service of a swarm from outside while something happens to it.

    with Recorder(target.nodes, "shop_app", ports={"manager1": 8080}) as recorder:
        recorder.mark("docker service update --image …")
        node.run([...], timeout=120)
        recorder.until(recorder.settled, within=90)
    recorder.trace

It asks the first node, a manager, for service and tasks ten times a second, follows the events of
all nodes (service and node events, results of health checks), and sends requests to each node in
`ports`. It changes nothing.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from grader.errors import EngineFault
from grader.modules.rollout import requests as driving
from grader.modules.rollout.observe import Observed, epoch
from grader.modules.rollout.trace import Event, Task, Trace, rows
from grader.waiting import wait_until

if TYPE_CHECKING:
    from grader.nodes.node import Node

INTERVAL = 0.1
NODES_EVERY = 0.5
MAX_EVENTS = 20_000
MAX_EVENT = 1_000
"""Characters of one that are kept."""
MAX_TASKS = 1_000
"""An engine that reports more of either does not belong to a student's swarm."""
ENDED = ("completed", "paused", "rollback_completed", "rollback_paused")
"""States of an `UpdateStatus` after which the swarm does nothing more by itself."""


class Recorder:
    """See the module. `every` is the pause between two requests at a node (seconds).

    `pace`: nodes that are slower than an ordinary computer by this factor are asked less often by
    the same factor, so that the questions do not keep them busy.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        service: str,
        *,
        title: str = "",
        ports: Mapping[str, int] | None = None,
        path: str = "/",
        every: float = driving.EVERY,
        read: driving.Read = driving.read_answer,
        pace: float = 1.0,
    ) -> None:
        self.nodes = list(nodes)
        self.manager = self.nodes[0]
        self.service = service
        self.title = title
        self.interval = INTERVAL * pace
        self._nodes_every = NODES_EVERY * pace
        self._observed = Observed(self.interval)
        self._start = time.monotonic()
        self._started = datetime.now().astimezone()
        self._wall = time.time()
        by_name = {node.name: node for node in self.nodes}
        self._drivers = [
            driving.Driver(
                name,
                by_name[name].address,
                port,
                self.now,
                path=path,
                every=every * pace,
                read=read,
            )
            for name, port in (ports or {}).items()
        ]
        self._clocks: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._look_at_nodes = threading.Event()
        self._look_at_nodes.set()
        self._streams: list[Any] = []
        self._told = 0
        self._threads: list[threading.Thread] = []
        self._image_checks: dict[str, bool] = {}
        self._nodes_at = 0.0
        self._first_status: tuple[str, str] | None = None
        self._status: tuple[str, str] = ("", "")
        self._raw: list[dict[str, Any]] = []
        self._trace: Trace | None = None

    # What a check uses --------------------------------------------------------------------------

    @property
    def trace(self) -> Trace:
        """The recording; complete after the block has ended."""
        return self._trace or self._made()

    def now(self) -> float:
        """Seconds since the recording began."""
        return time.monotonic() - self._start

    def mark(self, text: str) -> float:
        """Note an action of the grader; returns its time."""
        at = round(self.now(), 3)
        with self._lock:
            self._observed.events.append(Event(at, "mark", text))
        return at

    def until(self, what: Callable[[], Any], within: float, stable_for: float = 0.0) -> bool:
        """Record until `what()` is true (and stays true for `stable_for` seconds); False if it
        is not."""
        return bool(wait_until(what, within=within, stable_for=stable_for))

    def settled(self) -> bool:
        """An update or rollback that began after the recording started has ended."""
        with self._lock:
            return self._status != self._first_status and self._status[0] in ENDED

    def tasks(self) -> dict[str, list[Task]]:
        """The tasks as they were at the last look, by slot (or node), the oldest first."""
        with self._lock:
            return rows(self._observed.tasks())

    # --------------------------------------------------------------------------------------------

    def __enter__(self) -> Recorder:
        for node in self.nodes:
            self._clocks[node.name] = self._clock_of(node)
        self._look()
        for driver in self._drivers:
            driver.start()
        self._spawn(self._poll, "looks")
        self._spawn(lambda: self._follow(self.manager, {"type": ["service", "node"]}), "events")
        own = {"type": ["container"], "label": [f"com.docker.swarm.service.name={self.service}"]}
        for node in self.nodes:
            self._spawn(partial(self._follow, node, own), f"health {node.name}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for driver in self._drivers:
            driver.stop()
        self._stop.set()
        for stream in self._streams:
            # Engines that are reached in another way cannot be stopped from listening.
            with contextlib.suppress(Exception):
                stream.close()
        self._threads[0].join(30)
        self._trace = self._made()

    def _made(self) -> Trace:
        with self._lock:
            seen = self._observed
            return Trace(
                service=self.service,
                title=self.title,
                started=self._started.isoformat(timespec="milliseconds"),
                seconds=round(self.now(), 3),
                interval=self.interval,
                looks=seen.looks,
                gaps=tuple(seen.gaps),
                specs=tuple(seen.specs),
                tasks=seen.tasks(),
                statuses=tuple(seen.statuses),
                nodes=tuple(seen.nodes),
                events=tuple(sorted(seen.events, key=lambda event: event.at)),
                requests=tuple(driver.result() for driver in self._drivers),
                clocks=dict(self._clocks),
            )

    def _spawn(self, work: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=work, daemon=True, name=f"recorder {name}")
        self._threads.append(thread)
        thread.start()

    def _clock_of(self, node: Node) -> tuple[float, float]:
        """How many seconds a node's clock is ahead of ours, and how exactly this is known."""
        found = []
        for _ in range(3):
            asked = time.time()
            said = epoch(node.docker.info()["SystemTime"])
            answered = time.time()
            found.append(((answered - asked) / 2, said - (asked + answered) / 2))
        unsure, ahead = min(found)
        if abs(ahead) <= unsure:
            ahead = 0.0  # no difference that could be told
        return round(ahead, 4), round(unsure, 4)

    def _when(self, node: str) -> Callable[[str], float]:
        """Convert a node's time stamp to the trace's time, as late as it may have been."""
        ahead, unsure = self._clocks[node]
        return lambda stamp: epoch(stamp) - self._wall - ahead + unsure

    def _poll(self) -> None:
        due = time.monotonic()
        while True:
            stopping = self._stop.is_set()
            # A look that fails is a look that is missing: the trace shows the gap.
            with contextlib.suppress(Exception):
                self._look()
            if stopping:
                return
            due = max(due + self.interval, time.monotonic() + self.interval / 10)
            self._stop.wait(max(0.0, due - time.monotonic()))

    def _look(self) -> None:
        import docker.errors

        api: Any = self.manager.docker.api
        if self._look_at_nodes.is_set() or self.now() - self._nodes_at > self._nodes_every:
            self._look_at_nodes.clear()
            self._nodes_at = asked = self.now()
            nodes = api.nodes()
            with self._lock:
                self._observed.look_at_nodes(asked, self.now(), nodes)
        asked = self.now()
        service: dict[str, Any] | None = None
        tasks: list[dict[str, Any]] = []
        with contextlib.suppress(docker.errors.NotFound):
            service = api.inspect_service(self.service)
            tasks = api.tasks(filters={"service": service["ID"]})
            if len(tasks) > MAX_TASKS:
                raise EngineFault(f"The engine tells of more than {MAX_TASKS} tasks of a service.")
        answered = self.now()
        checks = self._image_has_check(service) if service else False
        with self._lock:
            self._observed.look(
                asked, answered, service, tasks, self._when(self.manager.name), checks
            )
            status = (service or {}).get("UpdateStatus") or {}
            self._status = (str(status.get("State") or ""), str(status.get("StartedAt") or ""))
            if self._first_status is None:
                self._first_status = self._status

    def _image_has_check(self, service: dict[str, Any]) -> bool:
        """Whether the service's image has its own health check."""
        container = service["Spec"]["TaskTemplate"].get("ContainerSpec") or {}
        image = str(container.get("Image") or "")
        if image not in self._image_checks:
            test: list[str] = []
            with contextlib.suppress(Exception):
                api: Any = self.manager.docker.api
                config = api.inspect_image(image)["Config"]
                test = (config.get("Healthcheck") or {}).get("Test") or []
            self._image_checks[image] = bool(test) and test[0] != "NONE"
        return self._image_checks[image]

    def _follow(self, node: Node, filters: dict[str, Any]) -> None:
        """Read an engine's events, until they end or the recording ends."""
        while not self._stop.is_set():
            # An engine that is stopped on purpose comes back, or does not.
            with contextlib.suppress(Exception):
                stream = node.docker.api.events(filters=filters, decode=True)
                self._streams.append(stream)
                for told in stream:
                    self._take(node, told)
            self._stop.wait(1.0)

    def _take(self, node: Node, told: dict[str, Any]) -> None:
        ahead, _ = self._clocks[node.name]
        at = round(int(told["timeNano"]) / 1e9 - self._wall - ahead, 3)
        action, kind = str(told.get("Action") or ""), str(told.get("Type") or "")
        actor = told.get("Actor") or {}
        attributes = dict(actor.get("Attributes") or {})
        with self._lock:
            self._told += 1
            if self._told > MAX_EVENTS:
                return
            if kind == "container":
                word, _, verdict = action.partition(": ")
                if word == "health_status":
                    self._observed.verdict(str(actor.get("ID")), at, verdict)
                return
            name = str(attributes.pop("name", ""))
            if kind == "service" and name != self.service:
                return
            said = ", ".join(f"{key} {value}" for key, value in sorted(attributes.items()))
            words = f"{name} {action}: {said}".strip(": ")[:MAX_EVENT]
            self._observed.events.append(Event(at, kind, words))
        if kind == "node":
            self._look_at_nodes.set()
