"""A testinfra backend that runs commands in a container over the Engine API, with time-outs.

    >>> host = container_host(node.docker, "machine")
    >>> host.package("nginx").is_installed
    True

testinfra's own `docker` backend starts the docker CLI for each command, knows one daemon per
process, and waits for ever.
"""

from __future__ import annotations

import threading
from typing import Any

import docker
import testinfra.host
from testinfra.backend.base import BaseBackend, CommandResult

from grader.errors import EngineFault

SECONDS = 60
"""The most that one command may take."""

MAX_OUTPUT = 4_000_000
"""Bytes of output that a command may have; one that prints more is ended."""

TIMED_OUT = 124
"""Exit code of a command that was ended, as `timeout` has it."""


class ContainerBackend(BaseBackend):
    """Commands in one container of one engine."""

    NAME = "drydock"

    def __init__(self, client: docker.DockerClient, container: str, seconds: float = SECONDS):
        self.client = client
        self.container = container
        self.seconds = seconds
        super().__init__(container)

    def run(self, command: str, *args: str, **_kwargs: Any) -> CommandResult:
        """Run by the container's `/bin/sh`; exit code 124 and a word on stderr at the time-out."""
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
    """The container as a testinfra host; not cached: a new container of that name is a new host."""
    return testinfra.host.Host(ContainerBackend(client, container, seconds))


def execute(
    client: docker.DockerClient, container: str, argv: list[str], *, seconds: float
) -> tuple[int, bytes, bytes]:
    """Exit code, standard output and standard error of a command in a container.

    Returns after `seconds` at the latest, with exit code 124 if the command has not ended by
    then. EngineFault if the container is not running or the engine does not answer.
    """
    try:
        exec_id = client.api.exec_create(container, argv)["Id"]
        stream = client.api.exec_start(exec_id, stream=True, demux=True)
    except (docker.errors.APIError, docker.errors.DockerException) as error:
        raise EngineFault(f"A command cannot be run in {container}: {error}") from error
    out, err = bytearray(), bytearray()
    ended = threading.Event()

    def read() -> None:
        try:
            for part_out, part_err in stream:
                out.extend(part_out or b"")
                err.extend(part_err or b"")
                if len(out) + len(err) > MAX_OUTPUT:
                    return
            ended.set()
        except OSError:
            return

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(seconds)
    if not ended.is_set():
        return TIMED_OUT, bytes(out), bytes(err) + b"\nended: too long or too loud"
    code = client.api.exec_inspect(exec_id)["ExitCode"]
    return (TIMED_OUT if code is None else int(code)), bytes(out), bytes(err)
