"""Checks a student's own swarm as it is now: plays nothing and changes nothing of it.

A student looks after each step, so a state that is not there yet, or not any more, is no fault:
such a check cannot be shown, and says what would show it. Only what is wrong in the swarm that is
there fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from grader.checks import cannot_show
from grader.modules.runbook.scenario import StepCheck
from grader.modules.service import Service
from grader.nodes import cleanup
from grader.vetting.dockercli import RESERVED
from grader.vetting.dockerfile import reference

from . import nodes, publish, services
from .book import Part
from .scenario import Round, Scene

PLAY = " `--fresh` gives up your swarm, plays your runbook and looks at each step."
"""What would show it; the end of each sentence of why something cannot be shown."""

STACK = "com.docker.stack.namespace"


class Look(Round):
    """A scenario's counterpart: each check is decided by what is there when it is asked for."""

    def __init__(
        self,
        target: Any,
        variant: Mapping[str, Any],
        checks: Sequence[StepCheck[Scene]],
        stage: Callable[[str], Any],
    ) -> None:
        super().__init__(target, variant)
        self.stage = stage
        self._checks = {each.check: each for each in checks}

    def verdict(self, check: str) -> None:
        if check not in self.verdicts:
            each = self._checks[check]
            needs = each.needs if check == "nodes" else ("nodes", *each.needs)
            scene = Scene(Part(each.step, 0, (), ()), self, self.moment())
            with self.stage("observing"):
                self.verdicts[check] = self.decided(_read_only(each), scene, needs)
        error = self.verdicts[check]
        if error is not None:
            raise error

    def close(self) -> None:
        cleanup.sweep(self.target.nodes)


def _read_only(each: StepCheck[Scene]) -> Callable[[Scene], None]:
    if not isinstance(each.read_only, str):
        return each.read_only
    why = each.read_only
    return lambda _scene: cannot_show(why + PLAY)


# Nodes ------------------------------------------------------------------------------------------


def roles(scene: Scene) -> None:
    """As after “create the swarm”; a worker that is promoted just now is none of its faults."""
    name = str(scene.variant["swarm_promoted"])
    managers = {node.name for node in scene.swarm.nodes() if node.role == "manager"}
    if managers == {"manager1", name}:
        cannot_show(f"{name} is a manager now, as the step “promote” asks for.{PLAY}")
    nodes.roles(scene)


def listed(scene: Scene) -> None:
    """manager1 answers with all nodes. What was typed there no one can tell."""
    manager = scene.swarm.manager()
    done = manager.run(["docker", "node", "ls"], timeout=scene.seconds(30))
    missing = [n.name for n in scene.scenario.target.nodes if n.name not in done.out]
    if not done.ok or missing:
        scene.fail(
            f"`docker node ls` on {manager.name} does not list all nodes.",
            expected=", ".join(node.name for node in scene.scenario.target.nodes),
            actual=done.tail(),
        )


def promoted(scene: Scene) -> None:
    name = str(scene.variant["swarm_promoted"])
    now = scene.swarm.node(name)
    if now is None or now.role != "manager":
        cannot_show(f"{name} is a worker now: not promoted yet, or demoted again.{PLAY}")
    nodes.must_manage(scene, name)


def drained(scene: Scene) -> None:
    name = str(scene.variant["swarm_drained"])
    now = scene.swarm.node(name)
    if now is not None and now.availability == "drain":
        nodes.must_be_empty(scene, name, scene.before.services.get(scene.scenario.service))
        return
    others = [n.name for n in scene.swarm.nodes() if n.availability == "drain"]
    workers = [other for other in others if other != "manager1"]
    if workers:
        scene.fail(
            f"{' and '.join(workers)} is drained, and not {name}.",
            expected=f"{name} has the availability drain, or none has",
            actual="; ".join(node.in_words for node in scene.swarm.nodes()),
            hint=f"`docker node update --availability active {workers[0]}`, and the same with"
            f" drain and {name}.",
        )
    cannot_show(f"{name} is active now: not drained yet, or back again.{PLAY}")


def brought_back(scene: Scene) -> None:
    """The node takes tasks, and the swarm remembers tasks that had to leave it."""
    name = str(scene.variant["swarm_drained"])
    now = scene.swarm.node(name)
    if now is None or now.availability != "active":
        cannot_show(f"{name} is not active now. Bring it back and check again.")
    api: Any = scene.swarm.manager().docker.api
    if not moved_off(api.tasks(), now.id):
        cannot_show(f"The swarm does not show whether {name} was drained before.{PLAY}")
    scene.scenario.probe.ensure()
    nodes.must_take_tasks(scene, name)


def moved_off(tasks: Sequence[Mapping[str, Any]], node_id: str) -> bool:
    """Whether a task was shut down on a node and recreated elsewhere, with nothing else changed.

    `tasks` are the Engine API's. Updates shut tasks down as well, but change their spec.
    """
    wanted = [task for task in tasks if task.get("DesiredState") == "running"]
    ended = [
        task
        for task in tasks
        if task.get("NodeID") == node_id
        and task.get("DesiredState") == "shutdown"
        and (task.get("Status") or {}).get("State") == "shutdown"
    ]
    return any(
        (old.get("ServiceID"), old.get("Slot"), old.get("Spec"))
        == (new.get("ServiceID"), new.get("Slot"), new.get("Spec"))
        and old.get("Slot")
        and new.get("NodeID") != node_id
        for old in ended
        for new in wanted
    )


# The service ------------------------------------------------------------------------------------


def created(scene: Scene) -> None:
    """It is there; or there is one that must have been meant to be it."""
    wanted = str(scene.variant["swarm_service"])
    if wanted in scene.before.services:
        return
    others = {str(scene.variant[f"swarm_{kind}_service"]) for kind in ("host", "mesh")}
    meant = [
        service
        for name, service in scene.before.services.items()
        if name not in others
        and not name.startswith(RESERVED)
        and STACK not in (service.spec.get("Labels") or {})
        and reference(service.image).startswith("alpine:")
    ]
    if not meant:
        cannot_show(f"There is no service {wanted} now: not created yet, or removed again.{PLAY}")
    if len(meant) == 1:
        scene.scenario.service = meant[0].name
    scene.fail(
        f"There is no service called {wanted}.",
        expected=f"a service {wanted}",
        actual="services: " + ", ".join(scene.before.services),
        hint=f"`docker service create --name {wanted} …`, on a manager.",
    )


def there(decide: Callable[[Scene], None]) -> Callable[[Scene], None]:
    """A judge that looks at the service, for when there is one."""

    def judge(scene: Scene) -> None:
        if scene.scenario.service not in scene.before.services:
            scene.scenario.blocked("created")
        decide(scene)

    return judge


def number(check: str) -> Callable[[Scene], None]:
    """Judges one of the numbers of tasks that the service is to have, one after the other."""

    def judge(scene: Scene) -> None:
        service = scene.before.services[scene.scenario.service]
        numbers = {
            "count": int(scene.variant["swarm_replicas"]),
            "scaled_up": int(scene.variant["swarm_scaled_up"]),
            "scaled_down": int(scene.variant["swarm_scaled_down"]),
        }
        reached, wrong = standing(service, numbers)
        if reached == check:
            services.runs_well(scene, service, numbers[check], sure=True)
        elif wrong == check:
            services.asked_for(
                scene,
                service,
                numbers[check],
                f"--replicas {numbers[check]}"
                if check == "count"
                else f"`docker service scale {service.name}={numbers[check]}`",
            )
        else:
            asked = "tasks" if service.replicas is None else f"{service.replicas} tasks"
            cannot_show(
                f"{service.name} is to have {asked} now; {numbers[check]} of them are not to be"
                f" seen yet, or not any more.{PLAY}"
            )

    return there(judge)


def standing(service: Service, numbers: Mapping[str, int]) -> tuple[str, str]:
    """(the check whose number the service has, the check that a wrong number belongs to).

    A service that was changed remembers what it was before the last change. One that does not
    was made as it is now.
    """
    now, before = service.replicas, service.previous_spec
    if now is None or now == numbers["count"]:
        return ("count", "") if now is not None else ("", "count")
    if before is None and not service.update_state:
        return "", "count"
    for check in ("scaled_up", "scaled_down"):
        if now == numbers[check]:
            return check, ""
    had = Service({"Spec": before or {}}).replicas
    down = now < numbers["count"] or had == numbers["scaled_up"] > now
    return "", "scaled_down" if down else "scaled_up"


# Ports ------------------------------------------------------------------------------------------


def published(kind: str, decide: Callable[[Scene], None]) -> Callable[[Scene], None]:
    """A judge of a published service, for when there is one (or another that has its port)."""

    def judge(scene: Scene) -> None:
        name = str(scene.variant[f"swarm_{kind}_service"])
        port = int(scene.variant[f"swarm_{kind}_port"])
        found = scene.before.services
        if name not in found and not any(
            port == p.published for service in found.values() for p in service.ports
        ):
            cannot_show(f"There is no service {name} now: not created yet, or removed again.{PLAY}")
        decide(scene)

    return judge


host_port = published("host", publish.host_port)
mesh_port = published("mesh", publish.mesh_port)
pings = there(services.pings)
