"""The student's own engine, which their `docker` command uses. The kit only looks at it.

    client = looking(find_personal(), refuse)
    client.api.containers()  # [{'Id': …}, …]
    client.api.stop("web-1")  # calls refuse() and sends nothing

Only requests that change nothing (GET, HEAD) are sent.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from grader.engine import client, engine_paths, find, reaper
from grader.errors import NoEngine

if TYPE_CHECKING:
    import docker

    from grader.engine.client import Engine

HERE = "127.0.0.1"
LOOKS = ("GET", "HEAD")
"""Requests that change nothing; all others of the Engine API make, start, stop or remove
something."""

REMEDY = (
    "Start it (Docker Desktop; or on Linux: sudo systemctl start docker) until `docker ps` works. "
    "Without --target local the kit grades in a sandbox, and you need no Docker of your own."
)


def find_personal(url: str | None = None) -> Engine:
    """The engine of the option, of DOCKER_HOST, or of the current context. It starts no engine.

    Raises NoEngine, with a hint, if none answers: any other engine would show something else than
    the student's.
    """
    if url is not None:
        found = find.find(url)
    elif named := os.environ.get("DOCKER_HOST"):
        found = client.probe(named, "environment", client.tls_of_environment(named))
        if found is None:
            raise NoEngine(
                f"No Docker engine answers at DOCKER_HOST={named}.",
                remedy=f"Correct or unset DOCKER_HOST. {REMEDY}",
            )
    else:
        found = find.of_context(chosen=True) or find.of_context(chosen=False)
    if found is None:
        raise NoEngine("Your own Docker engine does not answer.", remedy=REMEDY)
    return found


def looking(engine: Engine, refuse: Callable[[], NoReturn]) -> docker.DockerClient:
    """A client that only reads: for any other request it calls `refuse` instead."""
    client = engine.client()
    api: Any = client.api
    ask = api.request

    def only_looks(method: str, *args: Any, **options: Any) -> Any:
        if method.upper() not in LOOKS:
            refuse()
        return ask(method, *args, **options)

    api.request = only_looks
    return client


def address(engine: Engine) -> str:
    """The IPv4 address at which the ports that its containers publish answer.

    Docker Desktop and rootless engines publish on this computer, too. Raises NoEngine if the
    engine's host has no address.
    """
    if engine.url.startswith(("unix://", "npipe://")):
        return _of_node(engine.url.removeprefix("unix://")) or HERE
    host = urlsplit(engine.url).hostname or ""
    try:
        return socket.gethostbyname(host)
    except OSError:
        raise NoEngine(f"The engine's host {host!r} has no address.", remedy=REMEDY) from None


def _of_node(path: str) -> str | None:
    """The address of the kit's own node (`swarm up`) that has an engine at that socket."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    place = PurePosixPath(path)
    nodes = PurePosixPath(engine_paths.current().nodes.as_posix())
    if not place.is_relative_to(nodes) or len(place.relative_to(nodes).parts) < 2:
        return None
    run, name = place.relative_to(nodes).parts[:2]
    url = reaper.engine_url(run)
    if url is None:
        return None
    try:
        with contextlib.closing(client.connect(url, timeout=20)) as outer:
            found = outer.api.inspect_container(f"drydock-{run}-{name}")
    except (DockerException, RequestException):
        return None
    joined = found["NetworkSettings"]["Networks"].values()
    return next((str(each["IPAddress"]) for each in joined), None)
