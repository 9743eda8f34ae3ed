"""Programs in a test's container, with all that they say.

Docker's own client for Python reads past what came at once with the engine's answer, so of a
short program it may tell nothing (docker-py issues 425 and 3332); the kit's reader does not.
"""

from __future__ import annotations

from collections.abc import Sequence

from docker import DockerClient

from grader.nodes import commands


def execute(
    client: DockerClient,
    container: str,
    argv: Sequence[str],
    environment: dict[str, str] | None = None,
) -> tuple[int, str]:
    """(exit code, what it said on both of its outputs), at its end."""
    made = client.api.exec_create(container, list(argv), environment=environment)
    stream = commands.ExecStream(client, made["Id"])
    said = b"".join(data for _output, data in stream.frames())
    stream.close()
    return commands.exit_code(client, made["Id"]), said.decode()
