"""Networks with a way out: a builder's, the mirror's, those of machines to type at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from grader.engine import pools
from grader.errors import EngineFault

if TYPE_CHECKING:
    import docker

    from grader.engine.find import Engine


def options(engine: Engine) -> dict[str, Any]:
    """Options of the bridge driver."""
    if not engine.local:
        return {}
    # Larger packets than the way out takes would be lost silently.
    return {"com.docker.network.driver.mtu": str(pools.default_mtu())}


def make(engine: Engine, client: docker.DockerClient, name: str, labels: Mapping[str, str]) -> str:
    """A network from which the world can be reached as from this machine; its ID.

    The kit's own engine hands out addresses without a way out by itself, so one of the
    others is chosen here. Raises EngineFault where none is free.
    """
    from docker.errors import APIError
    from docker.types import IPAMConfig, IPAMPool

    def made(ipam: Any = None) -> str:
        network = client.api.create_network(
            name, driver="bridge", options=options(engine), labels=dict(labels), ipam=ipam
        )
        return str(network["Id"])

    pool = _pool(client)
    if pool is None:
        return made()
    taken = _taken(client)
    for subnet in pools.outer_networks(pool):
        if subnet in taken:
            continue
        try:
            return made(IPAMConfig(pool_configs=[IPAMPool(subnet=subnet)]))
        except APIError as error:
            # Another process of the kit was faster.
            if "overlaps" not in str(error.explanation):
                raise
    raise EngineFault("The kit's engine has no addresses left for a network with a way out.")


def _pool(client: docker.DockerClient) -> str | None:
    """All addresses of an engine that is the kit's (another data directory's, even); else None."""
    info = client.info()
    if not any(str(label).startswith("drydock.home=") for label in info.get("Labels") or []):
        return None
    bases = [str(pool["Base"]) for pool in info.get("DefaultAddressPools") or []]
    return pools.around(bases[0]) if bases else None


def _taken(client: docker.DockerClient) -> set[str]:
    found: set[str] = set()
    for network in client.api.networks():
        for pool in (network.get("IPAM") or {}).get("Config") or []:
            found.add(str(pool.get("Subnet")))
    return found
