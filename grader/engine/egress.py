"""What a node's network can reach: this is decided only here.

A sandbox's network has no way out except the class mirror (grader.engine.mirror), which has Debian
and Python packages. The networks of builders and of practice machines are ordinary ones. Docker Hub
cannot be reached anywhere, so every image is from the set.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grader.console import say
from grader.engine import firewall, mirror, pools, uplink_network

if TYPE_CHECKING:
    import docker

    from grader.engine.client import Engine
    from grader.engine.reaper import Run

HUB = (
    "docker.io",
    "index.docker.io",
    "registry-1.docker.io",
    "auth.docker.io",
    "hub.docker.com",
    "production.cloudflare.docker.com",
)
SWITCH = "DRYDOCK_MIRROR"
"""If this is "off" in the environment, sandboxes have an ordinary network."""


@dataclass(frozen=True)
class Network:
    """A run's network. `mirror` is the mirror's address in it, "" if the network is open;
    `environment` is added to containers and build steps inside its nodes."""

    id: str
    mirror: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


def sandbox_network(engine: Engine, client: docker.DockerClient, run: Run) -> Network:
    """The network of a sandbox: closed, with the mirror in it.

    If a mirror is not possible, the network is an ordinary one, and the kit prints this (once). If
    the mirror should run and does not, that is an EngineFault: no network opens by accident.
    """
    if os.environ.get(SWITCH, "").lower() in ("off", "0", "no"):
        _say_once(f"Sandboxes have an ordinary network because {SWITCH} is set.")
        return open_network(engine, client, run)
    try:
        mirror.ensure(engine)
    except mirror.Unusable as reason:
        _say_once(f"Sandboxes have an ordinary network, without the class mirror: {reason}.")
        return open_network(engine, client, run)
    firewall.ensure(engine)
    options = uplink_network.options(engine, client.info(), closed=True)
    made = client.api.create_network(
        _name(run),
        driver="bridge",
        internal=True,
        options=options,
        labels=run.labels("network"),
    )
    if uplink_network.BRIDGE_NAME in options:
        firewall.harden(options[uplink_network.BRIDGE_NAME])
    leg = mirror.attach(engine, made["Id"])
    return Network(str(made["Id"]), leg.address, leg.pip)


def open_network(engine: Engine, client: docker.DockerClient, run: Run) -> Network:
    """A network of a run from which nodes reach what this machine reaches."""
    firewall.ensure(engine)
    return Network(uplink_network.make(engine, client, _name(run), run.labels("network")))


def _name(run: Run) -> str:
    return f"drydock-{run.id}"


def extra_hosts(*, hub: bool) -> dict[str, str]:
    """Lines for a node's /etc/hosts; without `hub`, Docker Hub's names fail at once."""
    return {} if hub else dict.fromkeys(HUB, "127.0.0.1")


def name_servers(engine: Engine, network: Network) -> list[str]:
    """Name servers for containers inside a node (the node's own one is on its loopback)."""
    if network.mirror:
        return [network.mirror]
    return pools.name_servers() if engine.local else []


_said: set[str] = set()
_lock = threading.Lock()


def _say_once(sentence: str) -> None:
    with _lock:
        if sentence not in _said:
            _said.add(sentence)
            say(sentence)
