"""Step checks about the service that is scaled: created, counted, scaled, removed."""

from __future__ import annotations

from typing import Any

from grader.modules import packet_probe
from grader.modules.service import Service, Task
from grader.modules.swarm import Swarm
from grader.vetting.dockercli import RESERVED
from grader.vetting.dockerfile import reference

from .scenario import Scene

SETTLE_SECONDS = 60
HOPELESS_SECONDS = 15
"""Tasks that no node can take for so long are not waited for. A port that an ended task still
holds is free again sooner: docker lets a container ten seconds to stop."""

MONITOR_SECONDS = 5.0
"""How long the docker CLI wants a service to stay as it was asked for."""

BRIEFLY = 1.0
PING_SECONDS = 15
GONE_SECONDS = 45


# The step “create the service” ------------------------------------------------------------------


def created(scene: Scene) -> None:
    """There is a service of the student's name that was not there before.

    If one of another name was made instead, that one is scaled by later steps: a wrong name
    costs points once.
    """
    wanted = str(scene.variant["swarm_service"])
    now = {s.name: s for s in scene.swarm.services() if not s.name.startswith(RESERVED)}
    if wanted in now:
        if wanted in scene.before.services:
            scene.fail(f"The service {wanted} was there before this step.")
        return
    new = [name for name in now if name not in scene.before.services]
    if len(new) == 1:
        scene.scenario.service = new[0]
    scene.fail(
        f"There is no service called {wanted}.",
        expected=f"a service {wanted}",
        actual="services: " + (", ".join(now) or "none"),
        hint=f"`docker service create --name {wanted} …`, on a manager.",
    )


def pings(scene: Scene) -> None:
    """Its tasks run the lab's alpine and really send pings to the student's node."""
    service = _the_service(scene)
    wanted = str(scene.variant["swarm_pinged"])
    target = scene.scenario.target
    node = target.node(wanted)
    command = " ".join([service.image, *service.command, *service.args])
    asked = f"alpine:3 ping ${{{wanted.upper()}_ADDR}}"
    if not reference(service.image).startswith("alpine:"):
        scene.fail("The service runs another image.", expected=asked, actual=command)
    runs_well(scene, service, service.replicas or 0, sure=True)
    found = scene.swarm.containers(service.name)
    on = [n for n in target.nodes if found[n.name]]
    others = [n.address for n in on if n is not node]
    # The node's own tasks are heard under addresses of their own.
    own = [a for container in found[node.name] for a in container.networks.values() if a]
    packets = packet_probe.listen(
        node, scene.listening(PING_SECONDS), [("ping", a) for a in (*others, *own)]
    )
    sources = {p.source for p in packets if p.kind == "ping" and p.dest == node.address}
    silent = [n.name for n in on if n is not node and n.address not in sources]
    if node in on and not sources - {n.address for n in target.nodes}:
        silent.append(node.name)
    if silent or not on:
        scene.fail(
            f"The tasks do not ping {wanted}.",
            expected=asked,
            actual=f"{command}; no ping from the tasks on {', '.join(silent) or 'any node'}",
            hint=f"After the image, write the command of a task: ping ${{{wanted.upper()}_ADDR}}",
            log=_log(scene, service),
        )


def count(scene: Scene) -> None:
    """As many tasks run as asked for, for as long as the docker CLI wants to see them run."""
    service = _the_service(scene)
    wanted = int(scene.variant["swarm_replicas"])
    asked_for(scene, service, wanted, f"--replicas {wanted}")
    runs_well(scene, service, wanted, sure=not scene.scenario.passed("pings"))


# Scaling ----------------------------------------------------------------------------------------


def scaled_up(scene: Scene) -> None:
    _scaled(scene, int(scene.variant["swarm_scaled_up"]), up=True)


def scaled_down(scene: Scene) -> None:
    _scaled(scene, int(scene.variant["swarm_scaled_down"]), up=False)


def _scaled(scene: Scene, wanted: int, *, up: bool) -> None:
    name = scene.scenario.service
    before = scene.before.services.get(name)
    scene.wants(before is not None, "created", f"There was no service {name} before this step.")
    service = _the_service(scene)
    asked_for(scene, service, wanted, f"`docker service scale {name}={wanted}`")
    assert before is not None
    had = before.replicas or 0
    if had == wanted or (had < wanted) != up:
        scene.fail(
            f"The service is not scaled {'up' if up else 'down'} by this step:"
            f" {had} replicas were set before it.",
            expected=f"{wanted} tasks, {'fewer' if up else 'more'} before",
            actual=f"{had} before, {service.replicas} now",
        )
    # Tasks that end and come again look well for a moment; whose have stayed once, will.
    runs_well(scene, service, wanted, sure=not scene.scenario.passed("count"))


# Removal ----------------------------------------------------------------------------------------


def removed(scene: Scene) -> None:
    """The service is gone, and so are its containers on all nodes."""
    name = scene.scenario.service
    there = name in scene.before.services
    scene.wants(there, "created", f"There was no service {name} before this step.")
    if scene.swarm.service(name):
        scene.fail(
            f"The service {name} is still there.",
            expected=f"no service {name}",
            actual="services: " + ", ".join(s.name for s in scene.swarm.services()),
            hint=f"`docker service rm {name}`, on a manager.",
        )
    if not scene.wait(lambda: not running(scene.swarm, name), GONE_SECONDS):
        scene.fail(
            f"Containers of {name} still run.",
            expected="none on any node",
            actual=f"{running(scene.swarm, name)} containers",
        )


# What they share --------------------------------------------------------------------------------


def running(swarm: Swarm, name: str) -> int:
    """Running containers of a service on all nodes, by the nodes' own engines."""
    return sum(len(found) for found in swarm.containers(name).values())


def settle(scene: Scene, service: Service, wanted: int, stable_for: float = BRIEFLY) -> str | None:
    """Wait until `wanted` tasks run; why they do not, or None if they do.

    Each slot's task runs, by the docker CLI's rule; as many containers run on the nodes, by
    their own engines; it stays so; and no task ends by itself.
    """
    swarm = scene.swarm
    # In a swarm that is not of today, tasks have ended for many a reason.
    past = (
        {task.id for task in _ended(swarm, service)} if scene.scenario.target.read_only else set()
    )

    def look() -> str | bool:
        ended = [task for task in _ended(swarm, service) if task.id not in past]
        if len(ended) > 1:
            return f"Tasks of {service.name} end by themselves: " + "; ".join(
                task.in_words for task in ended[:4]
            )
        return swarm.converged(service) and running(swarm, service.name) == wanted

    answer: str | bool | None = None
    for _ in range(SETTLE_SECONDS // HOPELESS_SECONDS):
        answer = scene.wait(look, HOPELESS_SECONDS, stable_for, every=0.2)
        if answer or any(task.fits_nowhere for task in swarm.tasks(service, current=True)):
            break
    if answer is True:
        return None
    tasks = [t for t in swarm.tasks(service, current=True) if t.meant_to_run]
    told = "; ".join(t.in_words for t in tasks) or "no tasks"
    if isinstance(answer, str):
        return answer
    return f"{running(swarm, service.name)} containers run; {told}"


def runs_well(scene: Scene, service: Service, wanted: int, *, sure: bool = False) -> None:
    """End the check unless `wanted` tasks run; `sure`: for as long as the docker CLI wants it."""
    trouble = settle(scene, service, wanted, MONITOR_SECONDS if sure else BRIEFLY)
    if trouble:
        scene.fail(
            f"Not all tasks of {service.name} run.",
            expected=f"{wanted} tasks that keep running",
            actual=trouble,
            hint=f"`docker service ps --no-trunc {service.name}` shows the state of each task.",
            log=_log(scene, service),
        )


def asked_for(scene: Scene, service: Service, wanted: int, how: str) -> None:
    """End the check unless the swarm was asked for that number of tasks."""
    if service.mode != "replicated" or service.replicas != wanted:
        asked = f"{service.replicas} tasks" if service.replicas is not None else service.mode
        scene.fail(
            f"The service {service.name} has another number of replicas.",
            expected=f"{wanted} tasks",
            actual=asked,
            hint=f"Say {how}.",
        )


def _the_service(scene: Scene) -> Service:
    name = scene.scenario.service
    service = scene.swarm.service(name)
    if service is None:
        scene.wants(False, "created", f"The service {name} is gone.")
    assert service is not None
    return service


def _ended(swarm: Swarm, service: Service) -> list[Task]:
    """The tasks that ended without being told to."""
    tasks = swarm.tasks(service, current=True)
    return [task for task in tasks if task.state in ("complete", "failed", "rejected")]


def _log(scene: Scene, service: Service) -> str:
    """What its tasks said last."""
    manager: Any = scene.swarm.manager()
    argv = ["docker", "service", "logs", "--tail", "3", "--no-trunc", service.id]
    said = manager.run(argv, timeout=scene.seconds(20)).out.strip()
    return f"── log of {service.name}\n{said}" if said else ""
