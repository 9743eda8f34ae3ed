"""A stack on a swarm: the commands of a student, and their results.

    stack = Stack(target.node("manager1"), "fleet", "/drydock/rollout", "stack.yaml")
    stack.deploy().ok  # True
    [service.name for service in stack.services()]  # ['fleet_app', 'fleet_front']

Commands run with the docker CLI on a manager, where a compose file finds only that node's files,
and only the variables of grader.vetting.environment. The Engine API shows the result of a command.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from grader.modules.confined import confined
from grader.modules.service import Service
from grader.modules.swarm import out_of_sequence

if TYPE_CHECKING:
    from grader.nodes.node import Completed, Node

NAMESPACE = "com.docker.stack.namespace"

TRIES = 20
"""How often a change is tried again after another change came first."""


class Stack:
    """See the module's docstring. `folder` is a path on the manager, and `file` is in it.

    Each command returns as `Completed`, whatever its result, after at most `timeout` seconds times
    `timeout_factor`. Deploying and removing do not wait: that is the default of every docker CLI
    (older ones have no flag for it).
    """

    def __init__(
        self, manager: Node, name: str, folder: str, file: str, timeout_factor: float = 1.0
    ) -> None:
        self.manager = manager
        self.name = name
        self.folder = folder
        self.file = file
        self.timeout_factor = timeout_factor

    def deploy(self, *arguments: str, timeout: float = 90) -> Completed:
        """`docker stack deploy`: returns when the swarm has accepted the file, not when
        everything runs."""
        return self._run(
            "stack", "deploy", "--resolve-image", "never", *arguments,
            "--compose-file", self.file, self.name, timeout=timeout,
        )  # fmt: skip

    def remove(self, timeout: float = 60) -> Completed:
        """`docker stack rm`: returns when the swarm has accepted it; `left` shows what remains."""
        return self._run("stack", "rm", self.name, timeout=timeout)

    def update(self, service: str, *arguments: str, timeout: float = 60) -> Completed:
        """`docker service update …` of the stack's service; returns before the update is done.

        If another change came first, which is no one's fault, it is tried again.
        """
        for attempt in range(1, TRIES + 1):
            done = self._run(
                "service", "update", "--detach", "--no-resolve-image", *arguments,
                self.full(service), timeout=timeout,
            )  # fmt: skip
            if done.ok or not out_of_sequence(done.out) or attempt == TRIES:
                break
            time.sleep(0.1)
        return done

    def full(self, service: str) -> str:
        """The swarm's name of the stack's service."""
        return f"{self.name}_{service}"

    def services(self) -> list[Service]:
        """The stack's services by name."""
        chosen = {"label": f"{NAMESPACE}={self.name}"}
        api: Any = self.manager.docker.api
        found = [Service(data) for data in api.services(filters=chosen)]
        return sorted(found, key=lambda service: service.name)

    def service(self, name: str) -> Service | None:
        """The service with this name in the compose file."""
        return next((s for s in self.services() if s.name == self.full(name)), None)

    def left(self, nodes: Iterable[Node]) -> list[str]:
        """What remains of the stack, in words, without its volumes, which stay by design."""
        chosen = {"label": f"{NAMESPACE}={self.name}"}
        told = [f"service {service.name}" for service in self.services()]
        for kind in ("configs", "secrets"):
            for data in getattr(self.manager.docker.api, kind)(filters=chosen):
                told.append(f"{kind[:-1]} {data['Spec']['Name']}")
        for node in nodes:
            api = node.docker.api
            for network in api.networks(filters=chosen):
                told.append(f"network {network['Name']} on {node.name}")
            for container in api.containers(all=True, filters=chosen):
                told.append(f"container {container['Names'][0].lstrip('/')} on {node.name}")
        return told

    def _run(self, *arguments: str, timeout: float) -> Completed:
        argv = ["docker", *arguments]
        return confined(self.manager, argv, timeout=timeout * self.timeout_factor, cwd=self.folder)
