"""Networks with a way out: those of builders, the mirror and practice machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from grader.engine import firewall, pools
from grader.errors import EngineFault

if TYPE_CHECKING:
    import docker

    from grader.engine.client import Engine


BRIDGE_NAME = "com.docker.network.bridge.name"
"""The driver's option; the packet filter recognises the kit's own networks by it."""


def options(engine: Engine, info: Mapping[str, Any], *, closed: bool) -> dict[str, str]:
    """Options of the bridge driver, for a network without a way out or with one; `info` is the
    engine's data about itself."""
    if not engine.local:
        return {}
    # Larger packets than the way out takes would be lost silently.
    found = {"com.docker.network.driver.mtu": str(pools.default_mtu())}
    key = pools.home(info)
    if key is not None:
        found[BRIDGE_NAME] = pools.bridge(key, closed=closed)
    return found


def make(engine: Engine, client: docker.DockerClient, name: str, labels: Mapping[str, str]) -> str:
    """A network with the same way out as this machine; returns its ID.

    The kit's own engine by default assigns addresses without a way out, so this function chooses
    one of the others. Raises EngineFault if none is free.
    """
    from docker.errors import APIError
    from docker.types import IPAMConfig, IPAMPool

    info = client.info()

    def made(ipam: Any = None) -> str:
        chosen = options(engine, info, closed=False)
        network = client.api.create_network(
            name, driver="bridge", options=chosen, labels=dict(labels), ipam=ipam
        )
        if BRIDGE_NAME in chosen:
            firewall.harden(chosen[BRIDGE_NAME])
        return str(network["Id"])

    pool = _pool(info)
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


def _pool(info: Mapping[str, Any]) -> str | None:
    """All addresses of an engine that is a kit's; otherwise None."""
    if pools.home(info) is None:
        return None
    bases = [str(pool["Base"]) for pool in info.get("DefaultAddressPools") or []]
    return pools.around(bases[0]) if bases else None


def _taken(client: docker.DockerClient) -> set[str]:
    found: set[str] = set()
    for network in client.api.networks():
        for pool in (network.get("IPAM") or {}).get("Config") or []:
            found.add(str(pool.get("Subnet")))
    return found
