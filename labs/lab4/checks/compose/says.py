"""Explains messages of Docker Compose to someone who sees them for the first time.

The first pattern that is found decides. `{1}` and `{2}` stand for what the pattern's groups found.
"""

from __future__ import annotations

import re

from grader.modules.explain import Explained, Explainer
from grader.nodes.node import Completed
from grader.text.cut import cut

_SAID: tuple[tuple[str, str, str], ...] = (
    (
        r"validating [^:\n]*: (\S+) additional propert\w+ '?(\S+?)'? (?:is|are) not allowed",
        "Compose does not know the key `{2}` there ({1}).",
        "Check its spelling and its indentation: it may belong one level further in or out.",
    ),
    (
        r"validating [^:\n]*: (.+)",
        "Compose does not accept the file: {1}.",
        "Compare that key with the example in the worksheet: is it a list (lines with `- `), a"
        " mapping (`key: value`) or one text?",
    ),
    (
        r"service \"(.+?)\" refers to undefined (volume|network) ([^:\s]+)",
        "The service {1} uses the {2} `{3}`, which the file does not define.",
        "List named volumes and networks also at the end of the file, under `volumes:` or "
        "`networks:` without indentation.",
    ),
    (
        r"service \"(.+?)\" depends on undefined service \"?([^\":\s]+)",
        "The service {1} depends on a service `{2}` that does not exist.",
        "In `depends_on:`, use the names from `services:`.",
    ),
    (
        r"container (\S+) has no healthcheck configured",
        "Another service waits for {1} to be healthy, but {1} has no health check.",
        "`condition: service_healthy` needs a `healthcheck:` in that service.",
    ),
    (
        r"dependency failed to start: container (\S+) is unhealthy",
        "{1} never became healthy, so services that depend on it did not start.",
        "Look at the log below, then run the health check's `test:` by hand with docker compose"
        " exec: its command must be right, and `retries` times `interval` must be long enough.",
    ),
    (
        r"dependency failed to start: container (\S+) exited \((\d+)\)",
        "{1} ended with exit code {2}, so services that depend on it did not start.",
        "The last lines of its log below show why. A database needs a root password, for example.",
    ),
    (
        r"bind for \S*?:(\d+) failed: port is already allocated",
        "The host port {1} was in use already, so a container could not start.",
        "One host port can serve only one container. For several containers of a service, publish a"
        ' range of host ports: "FIRST-LAST:CONTAINER".',
    ),
    (
        r"(?:all ports are allocated|no available ports?)",
        "There were not enough host ports for all containers.",
        "Make the range of host ports long enough.",
    ),
    (
        r"address already in use",
        "A host port was in use already.",
        "No two containers can publish the same host port.",
    ),
    (
        r"container name \"/?(.+?)\" is already in use|using the custom container name \"(.+?)\"",
        "Two containers cannot have the same name `{1}{2}`.",
        "Remove `container_name:`; Compose then numbers the containers of a service.",
    ),
    (
        r"(?:external volume|volume) \"(.+?)\" (?:declared as external, but could not be found"
        r"|not found)|external volume \"(.+?)\" not found",
        "The volume `{1}{2}` should exist already, but does not.",
        "Remove `external: true`; Compose then creates the volume.",
    ),
    (
        r"network (\S+) declared as external, but could not be found",
        "The network `{1}` should exist already, but does not.",
        "Remove `external: true`; Compose then creates the network.",
    ),
    (
        r"(?:env file|env_file) (\S+?):? (?:not found|no such file)|env file (\S+) not found",
        "There is no file `{1}{2}` with environment variables.",
        "Put it beside the compose file, or write the variables under `environment:`.",
    ),
    (
        r"required variable (\S+) is missing a value",
        "The variable {1} has no value.",
        "Set it in a file `.env` beside the compose file.",
    ),
    (
        r"no such service: (\S+)",
        "There is no service called {1}.",
        "The worksheet has the names of the services.",
    ),
    (
        r"invalid (?:hostport|containerport|port|proto|range)\S*:? ?(.*)",
        "A port cannot be read: {1}.",
        'Write ports in quotes, as "HOST:CONTAINER" or "FIRST-LAST:CONTAINER".',
    ),
    (
        r"declares mutually exclusive (\S+) and (\S+)",
        "{1} and {2} exclude each other in one service.",
        "Keep the networks, remove the other.",
    ),
    (
        r"unknown policy '(.*?)'",
        "`{1}` is not a restart policy.",
        'Use always, unless-stopped, on-failure or "no" (in quotes).',
    ),
    (
        r"dependency cycle detected: (.+)",
        "The services wait for each other in a circle: {1}.",
        "Remove one of these `depends_on:`.",
    ),
    (
        r"can't set container_name and (\S+)",
        "The containers of {1} cannot all have the same name.",
        "Remove `container_name:`; Compose then numbers the containers of a service.",
    ),
    (
        r"invalid mount (?:path|config)[^'\n]*'(.*?)'",
        "`{1}` cannot be mounted.",
        "Write VOLUME:/PATH/IN/THE/CONTAINER; the name of a volume has at least two letters.",
    ),
    (
        r"exec: \"(.+?)\": executable file not found",
        "A container could not start: there is no program `{1}` in its image.",
        "Check the spelling in `command:` and `entrypoint:`, and in the Dockerfile's CMD.",
    ),
    (
        r"pull access denied for (\S+?),|manifest for (\S+) not found"
        r"|https?://(registry-1\.docker\.io|auth\.docker\.io)",
        "An image could not be fetched ({1}{2}{3}).",
        "Use the image names from the worksheet, and remove `pull_policy:`.",
    ),
)

FOLDERS = ("counter", "blog", "compose")
_BUILD = {folder: Explainer(folder) for folder in FOLDERS}
_COMPOSE = {folder: Explainer(folder, patterns=_SAID) for folder in FOLDERS}
EXPLAINERS = (*_BUILD.values(), *_COMPOSE.values())


def explained(done: Completed, command: str, folder: str) -> Explained:
    """Why a compose command did not work in a folder of the workspace."""
    typed = f"`docker compose {command}`"
    if done.timed_out:
        return Explained(
            f"{typed} was not ready after {done.seconds:.0f} seconds and was stopped.",
            "Run it yourself and see what it waits for: a build that asks a question, a container "
            "that does not stop, a health check that never passes.",
        )
    if "failed to solve" in done.out or "failed to build" in done.out.lower():
        known = _BUILD[folder].explain(done.out)
        if known:
            return Explained(f"The image cannot be built: {known.reason}", known.hint)
        return Explained(
            "The image cannot be built.",
            f"Run `docker compose build` in {folder}/: look at the first line with an error.",
        )
    known = _COMPOSE[folder].explain(done.out)
    if known:
        return known
    errors = re.findall(r"^Error response from daemon: (.+)$", cut(done.out), re.MULTILINE)
    return Explained(
        f"{typed} does not work" + (f": {errors[-1].rstrip('.')[:300]}." if errors else "."),
        f"Run it yourself in {folder}/ and read its last lines.",
    )
