"""What a sandbox's network may reach: decided here and nowhere else.

Now: the ordinary network, so that a student's `apt-get install` and `pip install` work
as the host's do; but not Docker Hub, so that every image is one of the set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grader.engine import pools

if TYPE_CHECKING:
    import docker

    from grader.engine.find import Engine
    from grader.engine.reaper import Run

HUB = (
    "docker.io",
    "index.docker.io",
    "registry-1.docker.io",
    "auth.docker.io",
    "hub.docker.com",
    "production.cloudflare.docker.com",
)


def make_network(engine: Engine, client: docker.DockerClient, run: Run) -> str:
    """The network of one run, through which its nodes see each other; its ID."""
    options: dict[str, Any] = {}
    if engine.local:
        # Larger packets than the way out takes would be lost silently.
        options["com.docker.network.driver.mtu"] = str(pools.default_mtu())
    made = client.api.create_network(
        f"drydock-{run.id}", driver="bridge", options=options, labels=run.labels("network")
    )
    return str(made["Id"])


def extra_hosts(*, hub: bool) -> dict[str, str]:
    """Lines for a node's /etc/hosts; without `hub` Docker Hub's names lead nowhere, at once."""
    return {} if hub else dict.fromkeys(HUB, "127.0.0.1")


def name_servers() -> list[str]:
    """Name servers for containers inside a node (the node's own one is on its loopback)."""
    return pools.name_servers()
