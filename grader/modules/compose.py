"""A compose project on a node: the commands a student types, and what came of them.

    >>> counter = ComposeProject(node, "counter", "/drydock/counter", ["compose.yaml"])
    >>> counter.up("--scale", "web=3").ok
    True
    >>> [c.name for c in counter.containers("web")]
    ['counter-web-1', 'counter-web-2', 'counter-web-3']

Commands go through the compose CLI on the node, where a compose file finds the node's files
and nothing else. Project name, files and environment are fixed, so that a submitted `.env`
cannot point the CLI elsewhere. What came of a command is asked of the Engine API.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.modules.container import PROJECT, Container, containers, logs_of

if TYPE_CHECKING:
    from grader.targets.node import Completed, Node

NETWORK = "com.docker.compose.network"
VOLUME = "com.docker.compose.volume"

ENVIRONMENT: Mapping[str, str] = {
    "BUILDKIT_PROGRESS": "plain",
    "COMPOSE_ANSI": "never",
    "COMPOSE_DISABLE_ENV_FILE": "false",
    "COMPOSE_MENU": "false",
    "COMPOSE_PROGRESS": "plain",
    "COMPOSE_PROFILES": "",
    "DOCKER_CLI_HINTS": "false",
    "DOCKER_HOST": "unix:///var/run/docker.sock",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}
"""What every compose command runs with; it wins over what a `.env` file says."""


@dataclass(frozen=True)
class Named:
    """A network or volume of the project: its key in the compose file and its real name."""

    key: str
    name: str


class ComposeProject:
    """See the module's docstring. `folder` is a path on the node, `files` lie in it.

    Each command returns as `Completed`, whatever came of it, after `timeout` seconds at most.
    """

    def __init__(self, node: Node, name: str, folder: str, files: Sequence[str]) -> None:
        self.node = node
        self.name = name
        self.folder = folder
        self.files = list(files)

    def up(self, *arguments: str, timeout: float = 300) -> Completed:
        """`docker compose up -d …`: builds what is missing, pulls nothing that is there."""
        return self.run("up", "-d", *arguments, timeout=timeout)

    def down(self, *arguments: str, timeout: float = 90) -> Completed:
        return self.run("down", *arguments, timeout=timeout)

    def stop(self, *services: str, timeout: float = 90) -> Completed:
        return self.run("stop", *services, timeout=timeout)

    def start(self, *services: str, timeout: float = 120) -> Completed:
        return self.run("start", *services, timeout=timeout)

    def restart(self, *services: str, timeout: float = 120) -> Completed:
        return self.run("restart", *services, timeout=timeout)

    def remove(self, *services: str, timeout: float = 90) -> Completed:
        """`docker compose rm -sf …`: stop and remove containers, named volumes stay."""
        return self.run("rm", "--stop", "--force", *services, timeout=timeout)

    def run(self, *arguments: str, timeout: float) -> Completed:
        """Any compose command of this project."""
        chosen = [part for file in self.files for part in ("-f", file)]
        argv = ["docker", "compose", "-p", self.name, "--project-directory", self.folder]
        return self.node.run(
            [*argv, *chosen, *arguments], timeout=timeout, cwd=self.folder, env=ENVIRONMENT
        )

    def containers(self, *services: str) -> list[Container]:
        """The project's containers now, ended ones too; of the given services only, if any."""
        found = containers(self.node, self.name)
        return [c for c in found if not services or c.service in services]

    def networks(self) -> list[Named]:
        """The networks that compose made for this project."""
        listed = self.node.docker.api.networks(filters={"label": f"{PROJECT}={self.name}"})
        return [Named(str(n["Labels"].get(NETWORK, "")), str(n["Name"])) for n in listed]

    def volumes(self) -> list[Named]:
        """The named volumes that compose made for this project."""
        answer = self.node.docker.api.volumes(filters={"label": f"{PROJECT}={self.name}"})
        listed = answer.get("Volumes") or []
        return [Named(str(v["Labels"].get(VOLUME, "")), str(v["Name"])) for v in listed]

    def logs(self, *services: str, lines: int = 30) -> str:
        """The last lines of the containers' logs, for a person."""
        return logs_of(self.node, self.containers(*services), lines)
