"""The demo application behind its front: deployed, updated, broken, without a node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.checks import fail
from grader.modules.container import Container
from grader.modules.rollout import Recorder, Trace, proofs
from grader.modules.service import Service, Task

from .fleet import Deployed, Fleet
from .seen import Seen

IMAGE = "drydock/demo"
FIRST = "start-first"
UPDATE = 90.0
"""Seconds after which an update is looked at as it is."""

SETTLED = 20.0
"""Seconds after which all tasks of an update that is over run."""

MOVED = 45.0
"""Seconds after which tasks of a lost node must run elsewhere; the swarm itself takes some 6 to
notice, and 5 more if the file says nothing of `restart_policy.delay`."""

BACK = 60.0


@dataclass(frozen=True)
class Again:
    """What a second deployment of the same file did."""

    changed: tuple[str, ...]
    """Services whose spec is another one."""
    replaced: tuple[str, ...]
    """Services with other tasks than before."""
    said: str


@dataclass(frozen=True)
class Cut:
    """What came of it that a worker was cut off."""

    seen: Seen
    node: str
    lost: int
    """How many tasks of app ran there."""
    left_alone: bool
    """No running task was touched when it came back."""
    told: str
    """The tasks in the end, in words."""


class Shop(Deployed):
    """The stack of stack.yaml with the services front and app."""

    def __init__(
        self, fleet: Fleet, submission: Path, lab: Any, variant: Mapping[str, Any]
    ) -> None:
        super().__init__(fleet, submission, lab, str(variant["stack_name"]), "stack.yaml")
        self.variant = variant
        self.port = int(variant["front_port"])

    @property
    def app(self) -> str:
        """The name under which the swarm knows app."""
        return self.stack.full("app")

    @property
    def allowed(self) -> int:
        """How many healthy tasks there must be at least while app, as it is, is updated."""
        missing = self.variant["app_parallelism"] if self.variant["app_order"] != FIRST else 0
        return (self.one("app").replicas or 0) - int(missing)

    # What is there ------------------------------------------------------------------------------

    def one(self, name: str) -> Service:
        """The service, or the end of the check if there is none."""
        found = self.stack.service(name)
        if found is None:
            fail(f"The swarm has no service {self.stack.full(name)}.", log=self.transcript())
        return found

    def containers(self, name: str) -> list[tuple[Task, Container]]:
        """The running tasks of a service with their containers, as their nodes have them."""
        found = []
        for task in self.running(name):
            api = self.fleet.target.node(task.node).docker.api
            found.append((task, Container(api.inspect_container(task.container_id))))
        return found

    def network(self, key: str) -> str:
        """The real name of a network of the file."""
        said = (self.file.file.data.get("networks") or {}).get(key)
        return str((said or {}).get("name") or f"{self.stack.name}_{key}")

    @property
    def version(self) -> str:
        """The version of app: 1.0, unless a student has updated it by hand."""
        return self.one("app").image.rpartition(":")[2] if self.read_only else "1.0"

    # What is done -------------------------------------------------------------------------------

    def deploy_again(self) -> Again:
        """The same file once more."""
        before = {s.name: (s.spec, self._tasks(s)) for s in self.stack.services()}
        done = self.stack.deploy()
        after = {s.name: (s.spec, self._tasks(s)) for s in self.stack.services()}
        names = sorted(before.keys() | after.keys())
        nothing: tuple[Any, Any] = (None, None)
        pairs = {name: (before.get(name, nothing), after.get(name, nothing)) for name in names}
        return Again(
            tuple(name for name, (old, new) in pairs.items() if old[0] != new[0]),
            tuple(name for name, (old, new) in pairs.items() if old[1] != new[1]),
            done.tail() if not done.ok else "",
        )

    def _tasks(self, service: Service) -> set[str]:
        return {task.id for task in self.swarm.tasks(service) if task.meant_to_run}

    def update(self, version: str, title: str) -> Trace:
        """`docker service update --image` of app with requests at each node, until it is over."""
        self.settle()
        nodes = self.fleet.target.nodes
        ports = {node.name: self.port for node in nodes}
        with Recorder(
            nodes, self.app, title=title, ports=ports, pace=self.timeout_factor
        ) as recorder:
            recorder.mark(f"docker service update --image {IMAGE}:{version} {self.app}")
            done = self.stack.update("app", "--image", f"{IMAGE}:{version}")
            if not done.ok:
                fail("`docker service update` does not work.", actual=done.tail(), log=done.out)
            if recorder.until(recorder.settled, within=UPDATE * self.timeout_factor):
                # What was told to stop is still stopping, and on a busy machine the last task is
                # still starting: let it be seen.
                recorder.until(
                    lambda: self.swarm.converged(self.app),
                    within=SETTLED * self.timeout_factor,
                    stable_for=0.5,
                )
        return recorder.trace

    def settle(self) -> None:
        """All of app run, whatever an update left behind; so that each thing is judged alone."""
        if self.wait(lambda: self.swarm.converged(self.app), 5):
            return
        self.stack.update(
            "app", "--image", f"{IMAGE}:2.0", "--update-parallelism", "0",
            "--update-order", "stop-first", "--update-failure-action", "continue",
        )  # fmt: skip
        self.wait(lambda: self.swarm.converged(self.app), 30, stable_for=1)

    def cut_off(self) -> Cut:
        """Cut a worker off until its tasks run elsewhere, then let it come back."""
        self.settle()
        target, name = self.fleet.target, self._worker_to_lose()
        moved = MOVED * self.timeout_factor
        node = target.node(name)
        others = [other for other in target.nodes if other.name != name]
        lost = [task for task in self.running("app") if task.node == name]
        ports = {other.name: self.port for other in others}
        title = f"{name} is cut off, and comes back"
        with Recorder(
            others, self.app, title=title, ports=ports, pace=self.timeout_factor
        ) as recorder:
            # Before it is: pulling a machine's plug may take longer than the swarm needs to notice.
            at = recorder.mark(f"{name} is cut off")
            with node.cut_off():
                recorder.until(lambda: self._runs_without(name), within=moved)
                before = {task.id for task in self.running("app") if task.node != name}
            recorder.mark(f"{name} comes back")
            recorder.until(
                lambda: self._state_of(name) == "ready", within=BACK * self.timeout_factor
            )
            # Swarm does not move tasks back; what it would do, it would do now.
            recorder.until(
                lambda: self.swarm.converged(self.app),
                within=15 * self.timeout_factor,
                stable_for=2,
            )
        after, trace = self.running("app"), recorder.trace
        return Cut(
            seen=Seen.of(trace, proofs.rescheduled_within(trace, name, moved, at)),
            node=name,
            lost=len(lost),
            left_alone=before <= {task.id for task in after},
            told="; ".join(task.in_words for task in after) or "no running tasks",
        )

    def _worker_to_lose(self) -> str:
        """The worker with the label; where tasks run anywhere, another one that runs some."""
        wanted = str(self.variant["app_worker"])
        busy = {task.node for task in self.running("app")}
        others = [node.name for node in self.fleet.target.nodes[1:] if node.name in busy]
        return wanted if wanted in busy or not others else others[0]

    def _state_of(self, node: str) -> str:
        found = self.swarm.node(node)
        return found.state if found else ""

    def _runs_without(self, node: str) -> bool:
        if self._state_of(node) != "down" or not self.swarm.converged(self.app):
            return False
        return len([t for t in self.running("app") if t.node != node]) == self.one("app").replicas
