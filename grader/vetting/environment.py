"""The fixed environment of docker commands that read a submission.

A compose file asks for variables (`${HOME}`, a secret's `environment:`), and a `.env` file sets
those that are not set yet. What is set here can therefore neither leak nor be changed.
"""

from __future__ import annotations

from collections.abc import Mapping

ENVIRONMENT: Mapping[str, str] = {
    "BUILDKIT_PROGRESS": "plain",
    "COMPOSE_ANSI": "never",
    "COMPOSE_BAKE": "false",
    "COMPOSE_DISABLE_ENV_FILE": "false",
    "COMPOSE_MENU": "false",
    "COMPOSE_PROFILES": "",
    "COMPOSE_PROGRESS": "plain",
    "DOCKER_BUILDKIT": "1",
    "DOCKER_CLI_HINTS": "false",
    "DOCKER_HOST": "unix:///var/run/docker.sock",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}
"""`PWD`, the folder in which the command runs, comes on top of these."""


def argv(command: list[str], cwd: str) -> list[str]:
    """The command with exactly these variables, whatever the machine has set.

    >>> argv(["docker", "version"], "/x")[:2]
    ['env', '-i']
    """
    given = {**ENVIRONMENT, "PWD": cwd}
    return ["env", "-i", *(f"{name}={value}" for name, value in given.items()), *command]
