"""The mirror's objects in an engine: container, network, cache; made and removed."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

from grader.engine import archive, firewall, node_image, uplink_network
from grader.engine.mirror import config, origins
from grader.errors import EngineFault

if TYPE_CHECKING:
    import docker

    from grader.engine.client import Engine

NAME = "drydock-mirror"
NETWORK = "drydock-mirror-network"
CACHE = "drydock-mirror-cache"
"""One for each engine, whoever uses it."""
ROLE = "drydock.role"
SECONDS = 60.0
"""How long it may take to answer."""
BUNDLE = "/etc/drydock/ca-bundle.crt"
IMAGE_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
LOGS = {"max-size": "20m", "max-file": "2"}


class Taken(Exception):
    """A run of another data directory has made it at the same moment."""


def find(client: docker.DockerClient) -> dict[str, Any] | None:
    """The engine's data about the container, running or not; None if there is none."""
    from docker.errors import NotFound

    try:
        found: dict[str, Any] = client.api.inspect_container(NAME)
    except NotFound:
        return None
    return found


def remove(client: docker.DockerClient) -> bool:
    """Remove container and network; False if there was no container."""
    from docker.errors import APIError, NotFound

    there = find(client) is not None
    with contextlib.suppress(NotFound):
        client.api.remove_container(NAME, force=True)
    for network in client.api.networks(filters={"label": f"{ROLE}=mirror-network"}):
        # Of two that were made in the same moment one is in use.
        with contextlib.suppress(APIError):
            client.api.remove_network(network["Id"])
    return there


def make(engine: Engine, client: docker.DockerClient) -> str:
    """Make a new mirror that replaces an existing one; the caller holds the lock."""
    from docker.errors import APIError, DockerException
    from docker.types import LogConfig
    from requests.exceptions import RequestException

    stands_for = origins.read()
    firewall.ensure(engine)
    try:
        image = node_image.ensure_mirror(engine)
    except EngineFault as fault:
        raise origins.Unusable(f"its image cannot be built ({fault.what})") from None
    try:
        remove(client)
        client.api.create_volume(CACHE, labels={ROLE: "mirror-cache"})
        network = uplink_network.make(engine, client, NETWORK, {ROLE: "mirror-network"})
        made = client.api.create_container(
            image,
            name=NAME,
            hostname="mirror",
            labels={
                ROLE: "mirror",
                "drydock.pip": json.dumps(dict(stands_for.pip or {})),
                "drydock.names": json.dumps(stands_for.names),
            },
            host_config=client.api.create_host_config(
                network_mode=network,
                binds={CACHE: {"bind": "/cache", "mode": "rw"}},
                mem_limit="512m",
                memswap_limit="512m",
                pids_limit=64,
                cap_drop=["ALL"],
                cap_add=["CHOWN", "DAC_OVERRIDE", "NET_BIND_SERVICE", "SETGID", "SETUID", "KILL"],
                security_opt=["no-new-privileges"],
                # It answers; it is no road from one network to another.
                # Nor does it send anything to an address because someone claimed to be there.
                sysctls={"net.ipv4.ip_forward": "0", "net.ipv4.conf.all.rp_filter": "1"},
                log_config=LogConfig(type="json-file", config=LOGS),
            ),
        )
        with archive.pack(_files(stands_for)) as tar:
            client.api.put_archive(made["Id"], "/etc", tar)
        client.api.start(made["Id"])
        wait(client, made["Id"])
    except (DockerException, RequestException) as error:
        if isinstance(error, APIError) and error.status_code == 409:
            raise Taken from None
        raise EngineFault(f"The class mirror cannot be started: {error}") from None
    return str(made["Id"])


def _files(stands_for: origins.Origins) -> dict[str, bytes]:
    bundle = stands_for.bundle
    own = bundle.read_bytes() if bundle is not None else b""
    return {
        "drydock/nginx.conf": config.nginx(
            stands_for, IMAGE_BUNDLE if bundle is None else BUNDLE
        ).encode(),
        "drydock/dnsmasq.conf": config.dnsmasq(stands_for).encode(),
        "drydock/ca-bundle.crt": own,
    }


def wait(client: docker.DockerClient, container: str) -> None:
    """Until both of its servers answer."""
    deadline = time.monotonic() + SECONDS
    probe = f"curl -sf http://127.0.0.1:{config.HEALTH_PORT} && grep -q :0035 /proc/net/udp"
    while True:
        runs = bool(client.api.inspect_container(container)["State"]["Running"])
        if runs:
            made = client.api.exec_create(container, ["sh", "-c", probe])
            client.api.exec_start(made["Id"])
            if client.api.exec_inspect(made["Id"])["ExitCode"] == 0:
                return
        if not runs or time.monotonic() > deadline:
            said = bytes(client.api.logs(container, tail=12)).decode("utf-8", errors="replace")
            raise EngineFault(
                f"The class mirror does not answer. The end of its log:\n{said.strip()}",
                remedy="With DRYDOCK_MIRROR=off sandboxes have an ordinary network.",
            )
        time.sleep(0.05)
