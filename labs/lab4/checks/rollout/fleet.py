"""The swarm on which stacks are deployed, and what the two stacks of this exercise share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from grader.checks import fail
from grader.engine.images import catalogue
from grader.errors import EngineFault
from grader.modules import http
from grader.modules.service import Service, Task
from grader.modules.stack import NAMESPACE, Stack
from grader.modules.submitted import place_stack
from grader.modules.swarm import NoManager, Swarm
from grader.nodes.node import Completed
from grader.vetting import stack as vetting
from grader.vetting.resolved import Disagreement
from grader.vetting.yamlfile import Refused
from grader.waiting import wait_until

from .says import explained

T = TypeVar("T")

ROOT = "/drydock/rollout"
"""Where the submitted folder lies on the manager."""

HEARTBEAT = 2.0
USUAL_HEARTBEAT = 5.0
"""How often nodes tell that they are there, in seconds; three times that and a node is down."""

DEPLOY = "`--fresh` gives up your swarm, deploys your file there and does it."
"""What shows on a student's own machines what cannot be seen in a stack that is there."""

IN_SERVICE = ("active", "ready")
BERTH = "berth"
"""The label by which the nodes differ."""

HOPELESS = 15.0
"""Seconds after which a task that fits on no node is given up; the nodes do not change."""

SETTLE = 60.0
"""Seconds that a stack may take until all its tasks run."""


@dataclass(frozen=True)
class Fleet:
    """Three nodes, one of them without the label that the tasks of app need.

    `manager` is the node on which commands are run.
    """

    target: Any
    swarm: Swarm
    manager: Any

    @classmethod
    def form(cls, target: Any, variant: Mapping[str, Any]) -> Fleet:
        """Make the swarm, label its nodes, and let lost nodes be noticed soon. EngineFault."""
        target.prepare()
        swarm = Swarm(target)
        swarm.form()
        manager = target.nodes[0]
        # The sooner a node is given up the better, but not before a slow one has said a word.
        heartbeat = f"{min(HEARTBEAT * target.timeout_factor, USUAL_HEARTBEAT):g}s"
        _must(manager, "docker", "swarm", "update", "--dispatcher-heartbeat", heartbeat)
        for node in target.nodes:
            berth = variant["app_berth"] if node.name != variant["app_spare"] else "none"
            _must(manager, "docker", "node", "update", "--label-add", f"{BERTH}={berth}", node.name)
        return cls(target, swarm, manager)

    @classmethod
    def look(cls, target: Any) -> Fleet:
        """The student's own swarm, as it is; the end of the check if there is none."""
        swarm = Swarm(target)
        try:
            return cls(target, swarm, swarm.manager())
        except NoManager:
            fail(
                "No node is a manager of a swarm.",
                expected="a swarm with your stack on it",
                actual="; ".join(f"{n.name}: {swarm.member(n).state}" for n in target.nodes),
                hint="`docker swarm init` on manager1 creates one; run `docker swarm join` on the "
                "others.",
            )

    def busy(self) -> list[Any]:
        """The nodes that take tasks now: all, unless a student has drained or lost one."""
        taking = {n.name for n in self.swarm.nodes() if (n.availability, n.state) == IN_SERVICE}
        return [node for node in self.target.nodes if node.name in taking]


def _must(node: Any, *argv: str) -> None:
    done = node.run(list(argv), timeout=120)
    if not done.ok:
        raise EngineFault(f"`{' '.join(argv)}` does not work: {done.tail()}")


def read(submission: Path, file_name: str) -> vetting.StackFile:
    """The stack file, or the end of the check with what is wrong with it."""
    try:
        return vetting.read(submission / "rollout", file_name, "rollout")
    except Refused as refused:
        _refuse(refused)


def allowed_images(lab: Any) -> Collection[str]:
    return catalogue.load().all_names(lab.exercise("rollout").images)


def refuse_foreign_images(file: vetting.StackFile, lab: Any) -> None:
    """End the check if an image is not one of the lab's."""
    try:
        file.refuse_images(allowed_images(lab))
    except Refused as refused:
        _refuse(refused)


def require_services(file: vetting.StackFile, *names: str) -> None:
    """End the check if the stack file has no services of these names."""
    missing = [name for name in names if name not in file.services]
    if missing:
        fail(
            f"There is no service called {' or '.join(missing)}.",
            expected=f"services {', '.join(names)}",
            actual=f"services {', '.join(file.services)}",
            hint="Write the names directly below `services:`; the services use them to find each "
            "other.",
        )


def _refuse(refused: Refused) -> NoReturn:
    log = refused.document if isinstance(refused, Disagreement) else None
    fail(str(refused.what), actual=refused.where, hint=refused.remedy, log=log)


class Deployed:
    """A submitted stack on the swarm."""

    def __init__(self, fleet: Fleet, submission: Path, lab: Any, name: str, file_name: str) -> None:
        self.fleet = fleet
        self.swarm = fleet.swarm
        self.file = read(submission, file_name)
        refuse_foreign_images(self.file, lab)
        self.read_only: bool = fleet.target.read_only
        self.timeout_factor: float = fleet.target.timeout_factor
        self.unreadable: Completed | None = None
        what = file_name if self.read_only else self._place(submission, lab)
        self.stack = Stack(fleet.manager, name, ROOT, what, self.timeout_factor)

    def _place(self, submission: Path, lab: Any) -> str:
        """Put the stack on the manager; the document that is deployed."""
        folder = submission / "rollout"
        try:
            placed = place_stack(
                self.fleet.manager, folder, "rollout", self.file, allowed_images(lab)
            )
        except Refused as refused:
            _refuse(refused)
        if isinstance(placed, Completed):
            self.unreadable = placed
            return str(placed.argv[-1])
        what, self.file = placed
        return what

    def wait(
        self, what: Callable[[], T], within: float, stable_for: float = 0.0, every: float = 0.1
    ) -> T | None:
        """`wait_until`, with the time that the target needs."""
        within *= self.timeout_factor
        return wait_until(what, within=within, stable_for=stable_for, every=every)

    def deploy(self) -> None:
        """`docker stack deploy`, or the end of the check with what it said.

        On a read-only target it must have been deployed.
        """
        if self.read_only:
            if not self.stack.services():
                fail(
                    f"There is no stack called {self.stack.name} in the swarm.",
                    expected=f"a stack {self.stack.name}",
                    actual=_stacks(self.swarm),
                    hint=f"Deploy it: docker stack deploy -c {self.stack.file} {self.stack.name}",
                )
            return
        done = self.unreadable or self.stack.deploy()
        if not done.ok:
            known = explained(done)
            fail(known.reason, actual=done.tail(), hint=known.hint, log=done.out)

    def all_run(self, within: float = SETTLE, stable_for: float = 1.0) -> bool:
        """Whether every service has come to what the file asks for, and stays so."""

        def there() -> bool:
            services = self.stack.services()
            return bool(services) and all(self.swarm.converged(s) for s in services)

        return bool(self.wait(there, within, stable_for, every=0.2))

    def must_run(self) -> None:
        """End the check unless all tasks run; where no node can take one, without a long wait."""
        for _ in range(int(SETTLE // HOPELESS)):
            if self.all_run(within=HOPELESS):
                return
            tasks = (t for s in self.stack.services() for t in self.swarm.tasks(s))
            if any(task.fits_nowhere for task in tasks):
                break
        late = [s for s in self.stack.services() if not self.swarm.converged(s)]
        names = ", ".join(self.short(s) for s in late) or "a service"
        errors = {t.error for s in late for t in self.swarm.tasks(s) if t.error}
        fail(
            f"Not all tasks of {names} are running.",
            expected="as many running tasks as the file asks for",
            actual="; ".join(map(self.in_words, late)) or "no services",
            hint=_hint_of(errors),
            log=self.transcript(),
        )

    def short(self, service: Service) -> str:
        """The service's name in the file."""
        return service.name.removeprefix(f"{self.stack.name}_")

    def running(self, name: str) -> list[Task]:
        """The tasks of a service that are meant to run and do."""
        return [t for t in self.swarm.tasks(self.stack.full(name)) if t.runs]

    def in_words(self, service: Service) -> str:
        """`app: slot 1 on worker1: running; slot 2 on no node: pending (no suitable node …)`."""
        tasks = [t for t in self.swarm.tasks(service) if t.meant_to_run]
        tasks = tasks or self.swarm.tasks(service)[-3:]
        told = "; ".join(t.in_words for t in tasks) or "no tasks"
        return f"{self.short(service)}: {told}"

    def transcript(self) -> str:
        """All tasks of the stack, for a person."""
        lines = []
        for service in self.stack.services():
            lines.append(f"── {self.short(service)} ({service.image})")
            lines += [f"{t.image}  {t.in_words}" for t in self.swarm.tasks(service)]
        return "\n".join(lines)

    def visit(self, node: Any, port: int, path: str = "/") -> http.Answer | None:
        return http.get(node.address, port, path, timeout=5 * self.timeout_factor)

    def ports_in_words(self, name: str) -> str:
        """What a service publishes: `7349 → 80/tcp, host mode`."""
        service = self.stack.service(name)
        told = [port.in_words for port in service.ports] if service else []
        return "; ".join(told) or f"{name} publishes no port"

    def clear(self, within: float = 45.0) -> list[str]:
        """Remove the stack; what is left after `within` seconds, in words."""
        done = self.stack.remove()
        if not done.ok:
            return [done.tail(3)]
        nodes = self.fleet.target.nodes
        self.wait(lambda: not self.stack.left(nodes), within, every=0.3)
        return self.stack.left(nodes)


def _stacks(swarm: Swarm) -> str:
    """The stacks that there are, for a person."""
    labels = (service.spec.get("Labels") or {} for service in swarm.services())
    names = {str(label[NAMESPACE]) for label in labels if NAMESPACE in label}
    return "stacks: " + (", ".join(sorted(names)) or "none")


def _hint_of(errors: set[str]) -> str:
    """What to do about the errors that tasks have."""
    told = " ".join(errors)
    if "no suitable node" in told:
        return (
            "No node fulfils all constraints. Compare them letter by letter with the worksheet; "
            "`docker service ps --no-trunc` shows which one fails."
        )
    if "unhealthy" in told:
        return (
            "The health check never passes. Run its command yourself in a container of the image: "
            "docker exec … curl --fail http://127.0.0.1/health"
        )
    if "host-mode port already in use" in told:
        return "Only one task per node can publish a host port: use one task per node (global)."
    if "non-zero exit" in told or "task:" in told:
        return "The program ends: `docker service logs SERVICE` shows why."
    return "`docker stack ps --no-trunc NAME` shows the tasks and their errors."
