"""testinfra in a container, over the Engine API and with a timeout.

    host = container_host(node.docker, "machine")
    host.package("nginx").is_installed  # True

testinfra's own `docker` backend starts the docker CLI for each command, uses one daemon per
process, and has no timeout.
"""

from __future__ import annotations

import threading
from typing import Any

import docker
import testinfra.host
from docker.errors import DockerException
from requests.exceptions import RequestException
from testinfra.backend.base import BaseBackend, CommandResult

from grader.errors import EngineFault
from grader.nodes import commands

SECONDS = 60
"""The longest time for one command, in seconds."""

MAX_OUTPUT = 4_000_000
"""Bytes of output that a command may have; a command that prints more is ended."""

TIMED_OUT = 124
"""Exit code of a command that was ended, the same as that of `timeout`."""


class ContainerBackend(BaseBackend):  # type: ignore[misc]  # testinfra has no types
    """Commands in one container of one engine."""

    NAME = "drydock"

    def __init__(self, client: docker.DockerClient, container: str, seconds: float = SECONDS):
        self.client = client
        self.container = container
        self.seconds = seconds
        super().__init__(container)

    def run(self, command: str, *args: str, **_kwargs: Any) -> CommandResult:
        """Run by the container's `/bin/sh`; exit code 124 and a message on stderr after the
        timeout."""
        said = self.get_command(command, *args)
        rc, out, err = execute(
            self.client,
            self.container,
            ["timeout", "-s", "KILL", f"{self.seconds:g}", "/bin/sh", "-c", said],
            seconds=self.seconds + 5,
        )
        return self.result(rc, self.encode(said), out, err)


def container_host(
    client: docker.DockerClient, container: str, seconds: float = SECONDS
) -> testinfra.host.Host:
    """The container as a testinfra host; not cached, because a new container of that name is a
    new host."""
    return testinfra.host.Host(ContainerBackend(client, container, seconds))


def execute(
    client: docker.DockerClient, container: str, argv: list[str], *, seconds: float
) -> tuple[int, bytes, bytes]:
    """Exit code, standard output and standard error of a command in a container.

    Returns after at most `seconds`, with exit code 124 if the command has not ended by then. Raises
    EngineFault if the container is not running or the engine does not answer.
    """
    try:
        exec_id, stream = commands.start(client, container, argv)
    except (DockerException, RequestException) as error:
        raise EngineFault(f"A command cannot be run in {container}: {error}") from None
    parts = {1: bytearray(), 2: bytearray()}
    ended = threading.Event()

    def read() -> None:
        for number, data in stream.frames():
            parts[number].extend(data)
            if sum(map(len, parts.values())) > MAX_OUTPUT:
                return
        ended.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(seconds)
    stream.close()
    out, err = bytes(parts[1]), bytes(parts[2])
    if not ended.is_set():
        return TIMED_OUT, out, err + b"\nended: it took too long or printed too much"
    return commands.exit_code(client, exec_id), out, err
