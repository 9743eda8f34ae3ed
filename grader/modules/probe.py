"""Short-lived containers of the grader's own that show what can be reached from where.

    run_probe(node, "alpine:3", ["nc", "-w", "1", "db", "3306"], network="blog_back").ok  # True
    reachable(node, "blog_front", [("wordpress", 80), ("db", 3306)], wait_seconds=5)
    # {('wordpress', 80): True, ('db', 3306): False}

A closed port proves something only if the same probe also finds an open one.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from grader.modules.container import Container, log
from grader.nodes.node import Completed

if TYPE_CHECKING:
    from grader.nodes.node import Node

IMAGE = "alpine:3"
ROLE = {"drydock.role": "probe"}

Place = tuple[str, int]

_SCRIPT = """
for place in "$@"; do
  host=${place%:*} port=${place##*:} end=$(($(date +%s) + WAIT_SECONDS))
  # A connection is enough: what a server then says, or keeps open, is not waited for.
  until timeout 5 nc -w 1 "$host" "$port" -e /bin/true </dev/null >/dev/null 2>&1; do
    [ "$(date +%s)" -lt "$end" ] || { echo "closed $place"; continue 2; }
    sleep 0.1
  done
  echo "open $place"
done
"""


def run_probe(
    node: Node,
    image: str,
    argv: Sequence[str],
    *,
    network: str = "none",
    environment: Mapping[str, str] | Sequence[str] = (),
    timeout: int = 20,
) -> Completed:
    """Run a program in a new container on a network, and remove the container.

    The image's entry point is left out. The program's output is its log. `rc` is None if it did not
    end within `timeout` seconds, or did not start (then `out` says why).
    """
    from docker.errors import APIError, NotFound
    from requests.exceptions import ConnectionError as Disconnected
    from requests.exceptions import ReadTimeout

    api = node.docker.api
    started = time.monotonic()
    container = ""
    rc: int | None = None
    try:
        container = api.create_container(
            image,
            entrypoint=[argv[0]],
            command=list(argv[1:]),
            environment=dict(environment)
            if isinstance(environment, Mapping)
            else list(environment),
            labels=ROLE,
            host_config=api.create_host_config(network_mode=network),
        )["Id"]
        api.start(container)
        try:
            rc = int(api.wait(container, timeout=timeout)["StatusCode"])
        except (ReadTimeout, Disconnected):
            rc = None
        said = log(node, Container({"Id": container}), lines=200)
    except NotFound as error:
        said = str(error.explanation)
    except APIError as error:
        # A program that is not in the image, say: the container exists and cannot start.
        said = str(error.explanation)
    finally:
        if container:
            api.remove_container(container, force=True, v=True)
    return Completed(tuple(argv), rc, said, time.monotonic() - started)


def reachable(
    node: Node, network: str, places: Collection[Place], *, wait_seconds: int = 0
) -> dict[Place, bool]:
    """Which hosts and TCP ports answer a new container in a network.

    A closed port is tried again for `wait_seconds` seconds, each one separately. If nothing may be
    started, it returns which hosts of the network are running.
    """
    if node.workspace is not None:
        known = _known_in(node, network)
        return {place: place[0] in known for place in places}
    argv = ["sh", "-c", _SCRIPT, "probe", *(f"{host}:{port}" for host, port in places)]
    probe = run_probe(
        node,
        IMAGE,
        argv,
        network=network,
        environment={"WAIT_SECONDS": str(wait_seconds)},
        timeout=15 + len(places) * (wait_seconds + 5),
    )
    return {place: f"open {place[0]}:{place[1]}" in probe.out.splitlines() for place in places}


def _known_in(node: Node, network: str) -> set[str]:
    """Names and IPv4 addresses by which a network's running containers are found in it."""
    from docker.errors import NotFound

    api = node.docker.api
    known: set[str] = set()
    for container in api.inspect_network(network).get("Containers") or {}:
        try:
            found = Container(api.inspect_container(container))
        except NotFound:
            continue
        if found.running:
            known |= {found.name, found.networks.get(network, ""), *found.names_in(network)}
    return known - {""}
