"""Step checks of published ports: host mode and the routing mesh, by requests to every node."""

from __future__ import annotations

from typing import Any

from grader.checks import cannot_show
from grader.modules import http
from grader.modules.container import Container
from grader.modules.service import Service

from . import services
from .scenario import Scene

ANSWER_SECONDS = 20
ROUNDS = 3
"""How often each task must have had its turn before it is said to be left out."""

IMAGE = "drydock/demo:1.0"


def host_port(scene: Scene) -> None:
    """The port answers on exactly those nodes where a task runs, and that task answers."""
    port = int(scene.variant["swarm_host_port"])
    service = _runs(scene, str(scene.variant["swarm_host_service"]), port, "host")

    def differs() -> list[str]:
        found = []
        for node in scene.scenario.target.nodes:
            tasks = scene.swarm.containers(service.name)[node.name]
            answer = http.get(node.address, port, timeout=scene.seconds(3))
            if tasks and not _one_of(answer, tasks):
                found.append(f"{node.name} runs a task and answers {_said(answer)}")
            elif not tasks and answer is not None:
                found.append(f"{node.name} runs no task and answers {_said(answer)}")
        return found

    if not scene.wait(lambda: not differs(), ANSWER_SECONDS):
        scene.fail(
            f"Port {port} must answer on exactly the nodes that run a task, but does not.",
            expected=f"an answer of {IMAGE} on each node with a task, none on the others",
            actual="; ".join(differs()),
            hint=f"`--publish mode=host,published={port},target=80`",
        )


def mesh_port(scene: Scene) -> None:
    """The service runs with its port in the mesh."""
    port = int(scene.variant["swarm_mesh_port"])
    _runs(scene, str(scene.variant["swarm_mesh_service"]), port, "ingress")


def mesh_answers(scene: Scene) -> None:
    """The port answers on every node, whether or not it runs a task, and leads to all tasks.

    The mesh of a node hands connections to the tasks in turn: one task that cannot be reached
    from there shows only in every second answer. So as many are asked for as reach each task.
    """
    port = int(scene.variant["swarm_mesh_port"])
    name = str(scene.variant["swarm_mesh_service"])
    nodes = scene.scenario.target.nodes

    def silent() -> list[str]:
        tasks = [(n, c) for n, cs in scene.swarm.containers(name).items() for c in cs]
        return [told for node in nodes if (told := _lacks(scene, node, port, tasks))]

    # Without ip_vs in the kernel, no port of the mesh ever answers: that is quickly told.
    possible = nodes[0].run(["test", "-e", "/proc/net/ip_vs"], timeout=scene.seconds(20)).ok
    if not silent():
        return
    if not possible:
        cannot_show("This kernel has no ip_vs, and without it no port in the mesh answers.")
    if scene.wait(lambda: not silent(), ANSWER_SECONDS):
        return
    told = silent()
    if not scene.scenario.probe.mesh_works():
        if not scene.scenario.passed("ports"):
            scene.scenario.blocked("ports")
        cannot_show("The routing mesh does not work here: the grader's own port does not answer.")
    scene.fail(
        f"Port {port} does not answer on every node.",
        expected=f"on each node, answers of {IMAGE} from each of its tasks",
        actual="; ".join(told) or "an answer that stops",
        hint=f"`--publish published={port},target=80`; between the nodes 7946 (TCP and UDP) and"
        " 4789/udp must be open.",
    )


def _lacks(scene: Scene, node: Any, port: int, tasks: list[tuple[str, Container]]) -> str:
    """What a node's port in the mesh lacks, in words; empty if it leads to all tasks."""
    left = {task.hostname: place for place, task in tasks}
    every = [task for _, task in tasks]
    for _ in range(max(1, ROUNDS * len(tasks))):
        answer = http.get(node.address, port, timeout=scene.seconds(3))
        if answer is None and left and len(left) < len(tasks):
            return f"{node.name} does not reach the task on {' or '.join(left.values())}"
        if answer is None or not _one_of(answer, every):
            return f"{node.name} answers {_said(answer)}"
        left = {host: place for host, place in left.items() if f"host {host}" not in answer.text}
        if not left:
            return ""
    return f"{node.name} never reaches the task on {' or '.join(left.values())}"


def _runs(scene: Scene, name: str, port: int, mode: str) -> Service:
    """The service, with its tasks running and its port published in a mode."""
    wanted = int(scene.variant["swarm_web_replicas"])
    how = f"--publish {'mode=host,' if mode == 'host' else ''}published={port},target=80"
    service = scene.swarm.service(name)
    if service is None:
        scene.fail(
            f"There is no service called {name}.",
            expected=f"a service {name}",
            actual="services: " + ", ".join(s.name for s in scene.swarm.services()),
            hint=f"`docker service create --name {name} --replicas {wanted} {how} {IMAGE}`",
        )
    published = [p for p in service.ports if p.protocol == "tcp"]
    if not any((p.published, p.target, p.mode) == (port, 80, mode) for p in published):
        told = "; ".join(p.in_words for p in published) or "no port"
        known = {"host": "in host mode", "ingress": "in the mesh"}[mode]
        scene.fail(
            f"{name} does not publish port {port} {known}.",
            expected=f"{port} → 80/tcp, {mode} mode",
            actual=told,
            hint=f"Say {how}",
        )
    if service.mode != "replicated" or service.replicas != wanted:
        scene.fail(
            f"{name} has another number of replicas.",
            expected=f"{wanted} tasks",
            actual=f"{service.replicas} tasks" if service.replicas is not None else service.mode,
            hint=f"Use --replicas {wanted}",
        )
    trouble = services.settle(scene, service, wanted)
    if trouble:
        scene.fail(f"Not all tasks of {name} run.", expected=f"{wanted} tasks", actual=trouble)
    return service


def _one_of(answer: http.Answer | None, tasks: list[Container]) -> bool:
    """Whether one of these containers gave the answer: the demo says its host name."""
    return bool(answer and answer.ok and any(f"host {t.hostname}" in answer.text for t in tasks))


def _said(answer: Any) -> str:
    if answer is None:
        return "nothing"
    first = answer.text.strip().splitlines()[:1] or [""]
    return f"“{first[0][:80]}” ({answer.status})"
