"""The grader's own service on every node, in its own overlay network.

What it shows does not depend on the student's services: containers of different nodes reach
each other, a drained node has lost its tasks, a node that is back gets tasks again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grader.checks import cannot_show
from grader.engine.testinfra_host import execute
from grader.errors import EngineFault
from grader.modules import http
from grader.modules.container import Container
from grader.modules.swarm import Swarm
from grader.waiting import wait_until

NAME = "drydock-probe"
MESH = "drydock-mesh"
IMAGE = "drydock/demo:1.0"
MESH_PORT = 4790
"""Behind the overlay's own port: nothing else is there."""

SECONDS = 60
LABELS = {"drydock.role": "probe"}


class Probe:
    """See the module's docstring."""

    def __init__(self, swarm: Swarm) -> None:
        self.swarm = swarm
        self.timeout_factor = swarm.target.timeout_factor

    def ensure(self) -> None:
        """Have it on every active node (not waited for); NoManager if there is no swarm."""
        if self.swarm.service(NAME):
            return
        api = self.swarm.manager().docker
        network = api.networks.create(NAME, driver="overlay", labels=LABELS)
        api.services.create(
            IMAGE,
            name=NAME,
            mode={"Global": {}},
            networks=[network.id],
            endpoint_spec={"Mode": "dnsrr"},
            healthcheck={"Test": ["NONE"]},
            stop_grace_period=1_000_000_000,
            labels=LABELS,
        )

    def on(self, node: Any) -> bool:
        """Whether its task runs on a node, by the node's own engine."""
        return bool(self.swarm.containers(NAME)[node.name])

    def everywhere(self) -> bool:
        """Wait until it runs on every ready and active node; whether it does."""
        return bool(
            wait_until(lambda: self.swarm.converged(NAME), within=SECONDS * self.timeout_factor)
        )

    def needs_its_image(self) -> None:
        """End the check if nodes of a student's own lack the image; elsewhere they have it."""
        errors = [task.error for task in self.swarm.tasks(NAME) if "No such image" in task.error]
        if errors and self.swarm.target.persistent:
            cannot_show(
                f"The image {IMAGE} is not on every node, and the grader looks with a service of"
                " it. `nox -s swarm -- status` says which images are there."
            )

    def exchange(self, within: float = 20) -> list[tuple[str, str]]:
        """Pairs of nodes (asking, asked) of which one task did not get the other's answer.

        `within` as it is, in seconds.

        Each task asks each other one over the overlay network; an answer says whose it is.
        """
        tasks = self._tasks()
        pairs = [(a, b) for a in tasks for b in tasks if a != b]
        if len(tasks) < 2:
            raise EngineFault("The grader's probe does not run on two nodes.")
        left = list(pairs)

        def all_answer() -> bool:
            left[:] = [pair for pair in left if not self._asks(tasks, *pair)]
            return not left

        wait_until(all_answer, within=within, every=0.3)
        return left

    def mesh_works(self) -> bool:
        """Whether a port of the grader's own, published in the mesh, answers at every node."""
        api = self.swarm.manager().docker.api
        api.create_service(
            {"ContainerSpec": {"Image": IMAGE, "Healthcheck": {"Test": ["NONE"]}}},
            name=MESH,
            mode={"Replicated": {"Replicas": 1}},
            endpoint_spec={"Ports": [{"TargetPort": 80, "PublishedPort": MESH_PORT}]},
            labels=LABELS,
        )
        nodes = self.swarm.target.nodes
        try:
            return bool(
                wait_until(
                    lambda: all(
                        http.get(n.address, MESH_PORT, timeout=3 * self.timeout_factor)
                        for n in nodes
                    ),
                    within=30 * self.timeout_factor,
                )
            )
        finally:
            api.remove_service(MESH)

    def _tasks(self) -> Mapping[str, tuple[Any, Container]]:
        """Its container on each node, by the node's name."""
        found = {}
        for node in self.swarm.target.nodes:
            for container in self.swarm.containers(NAME)[node.name]:
                found[node.name] = (node, container)
        return found

    def _asks(self, tasks: Mapping[str, tuple[Any, Container]], asking: str, asked: str) -> bool:
        node, container = tasks[asking]
        other = tasks[asked][1]
        address = other.networks.get(NAME, "")
        limit = f"{3 * self.timeout_factor:g}"
        argv = ["curl", "--silent", "--max-time", limit, f"http://{address}/"]
        code, out, _ = execute(node.docker, container.id, argv, seconds=10 * self.timeout_factor)
        return code == 0 and other.hostname in out.decode("utf-8", errors="replace")
