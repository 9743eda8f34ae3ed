"""A compose project on a node: the commands of a student, and their results.

    counter = ComposeProject(node, "counter", "/drydock/counter", ["compose.yaml"])
    counter.up("--scale", "web=3").ok  # True
    [c.name for c in counter.containers("web")]
    # ['counter-web-1', 'counter-web-2', 'counter-web-3']

Commands run with the compose CLI on the node, where a compose file finds only the node's files.
Project name, files, `.env` and environment are fixed. So a submission cannot direct the CLI to
other files, and gets nothing of the machine's environment. The Engine API shows the result of a
command.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from grader.modules.confined import confined
from grader.modules.container import PROJECT, Container, containers, logs_of

if TYPE_CHECKING:
    from grader.nodes.node import Completed, Node

NETWORK = "com.docker.compose.network"
VOLUME = "com.docker.compose.volume"

NO_FILE = "/dev/null"
"""A file of variables that is empty."""


@dataclass(frozen=True)
class Named:
    """A network or volume of the project: its key in the compose file and its real name."""

    key: str
    name: str


class ComposeProject:
    """See the module's docstring. `folder` is the project's folder on the node. `files`, `env_file`
    and paths in the files are relative to it, or absolute.

    Without an `env_file` there are no variables.

    Each command returns as `Completed`, whatever its result, after at most `timeout` seconds.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        folder: str,
        files: Sequence[str],
        env_file: str | None = None,
    ) -> None:
        self.node = node
        self.name = name
        self.folder = folder
        self.files = list(files)
        self.env_file = str(PurePosixPath(folder, env_file)) if env_file else NO_FILE

    def up(self, *arguments: str, timeout: float = 300) -> Completed:
        """`docker compose up -d …`: builds what is missing, and pulls no image that exists."""
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
        """Run any compose command of this project."""
        return confined(self.node, self.command(*arguments), timeout=timeout, cwd=self.folder)

    def command(self, *arguments: str) -> list[str]:
        """The command line of any compose command of this project."""
        return [
            "docker", "compose", "-p", self.name, "--project-directory", self.folder,
            "--env-file", self.env_file, *(p for file in self.files for p in ("-f", file)),
            *arguments,
        ]  # fmt: skip

    def containers(self, *services: str) -> list[Container]:
        """The project's containers now, including ended ones; only of the given services, if
        any."""
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
