"""A Docker engine that was found or started: what it is, and how to connect to it."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from grader.engine import engine_paths

if TYPE_CHECKING:
    import docker


Origin = Literal["option", "environment", "context", "embedded"]


@dataclass(frozen=True)
class Engine:
    """A Docker daemon that answered.

    `url` as in DOCKER_HOST; `isolation` is "userns" if it remaps user namespaces, otherwise
    "container"; `version` is the daemon's; `tls` is a folder with ca.pem, cert.pem and key.pem if
    the URL needs them; `rootless` engines have their own network.
    """

    url: str
    origin: Origin
    isolation: Literal["userns", "container"]
    version: str
    name: str = ""
    mapped_uid: int = 0
    tls: str | None = None
    rootless: bool = False

    def client(self, timeout: float = 60) -> docker.DockerClient:
        """A new client of exactly this engine; `timeout` in seconds per request."""
        return connect(self.url, timeout, self.tls)

    @property
    def local(self) -> bool:
        """Whether its containers' addresses and its sockets are on this machine: not in a
        virtual machine, on another computer, or in a user's own network."""
        return (
            sys.platform.startswith("linux")
            and self.url.startswith("unix://")
            and self.name != "docker-desktop"
            and not self.rootless
        )


def connect(url: str, timeout: float, tls: str | None = None) -> docker.DockerClient:
    """A client of exactly the engine at `url`."""
    import docker

    from grader.engine import bounded, node_socket

    seconds: Any = timeout  # whole or not

    if url.startswith("unix://") and sys.platform != "win32":
        path = Path("/", url.removeprefix("unix://"))
        if path.is_relative_to(engine_paths.current().nodes):
            # A node of `swarm up`: what lies in its folder is its root's to say.
            return bounded.client(
                lambda: node_socket.below(path.parent, path.name, timeout), timeout
            )
        return bounded.client(lambda: node_socket.by_path(str(path), timeout), timeout)
    if tls is None:
        return docker.DockerClient(base_url=url, timeout=seconds)
    folder = Path(tls)
    config = docker.tls.TLSConfig(
        client_cert=(str(folder / "cert.pem"), str(folder / "key.pem")),
        ca_cert=str(folder / "ca.pem"),
        verify=True,
    )
    return docker.DockerClient(
        base_url=url.replace("tcp://", "https://"), timeout=seconds, tls=config
    )


def probe(url: str, origin: Origin, tls: str | None = None, timeout: float = 10) -> Engine | None:
    """The engine at `url`, or None if no engine answers there."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        client = connect(url, timeout, tls)
    except (DockerException, RequestException, OSError, ValueError):
        return None
    with contextlib.closing(client):
        try:
            info: dict[str, Any] = client.info()
        except (DockerException, RequestException, OSError, ValueError):
            return None
    options = [str(option) for option in info.get("SecurityOptions") or []]
    names = {option.split(",")[0] for option in options}
    # A rootless engine as a whole is in a user namespace.
    rootless = "name=rootless" in names
    remapped = rootless or "name=userns" in names
    # The data root of a remapping engine ends in UID.GID.
    last = str(info.get("DockerRootDir", "")).rsplit("/", 1)[-1].split(".")[0]
    return Engine(
        url=url,
        origin=origin,
        isolation="userns" if remapped else "container",
        version=str(info.get("ServerVersion", "")),
        name=str(info.get("Name", "")),
        mapped_uid=int(last) if remapped and last.isdigit() else 0,
        tls=tls,
        rootless=rootless,
    )


def tls_of_environment(url: str) -> str | None:
    if url.startswith(("unix://", "npipe://")) or not os.environ.get("DOCKER_TLS_VERIFY"):
        return None
    return os.environ.get("DOCKER_CERT_PATH") or None
