"""Which Docker engine the kit uses: the user's own, or the kit's embedded one."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from grader.console import say
from grader.engine import embedded, packages
from grader.errors import EngineFault, NoEngine

if TYPE_CHECKING:
    import docker

Origin = Literal["option", "environment", "context", "embedded"]

EMBEDDED = "embedded"
"""As an engine option: the kit's own, whatever else there is."""


@dataclass(frozen=True)
class Engine:
    """A Docker daemon that answered.

    `url` as in DOCKER_HOST; `isolation` is "userns" where it remaps user namespaces,
    else "container"; `version` the daemon's; `tls` a folder with ca.pem, cert.pem and
    key.pem where the URL needs them; `rootless` engines have their networks to themselves.
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
        """A new client of this engine and no other; `timeout` in seconds per request."""
        return connect(self.url, timeout, self.tls)

    @property
    def local(self) -> bool:
        """Whether its containers' addresses and its sockets are this machine's own: not so in
        a virtual machine, far away, or in a user's own network."""
        return (
            sys.platform.startswith("linux")
            and self.url.startswith("unix://")
            and self.name != "docker-desktop"
            and not self.rootless
        )


def connect(url: str, timeout: float, tls: str | None = None) -> docker.DockerClient:
    """A client of the engine at `url` and no other."""
    import docker

    from grader.engine import bounded, node_socket

    seconds: Any = timeout  # whole or not

    if url.startswith("unix://") and sys.platform != "win32":
        path = Path("/", url.removeprefix("unix://"))
        if path.is_relative_to(embedded.place().nodes):
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
    """The engine at `url`, or None if nothing there answers as one."""
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


def find(url: str | None = None) -> Engine | None:
    """An engine that answers: the option's, DOCKER_HOST's, that of a context that was chosen,
    the kit's own, or the default context's.

    The kit's own goes before what only happens to be there (installing Docker's packages
    starts an engine on some machines): so the kit stays with the one that has its image
    set. One that does not answer is passed over, save the one that was asked for by `url`
    ("embedded" asks for the kit's own): then EngineFault.
    """
    if url == EMBEDDED:
        return own()
    if url is not None:
        engine = probe(url, "option", tls_of_environment(url))
        if engine is None:
            raise EngineFault(
                f"No Docker engine answers at {url}.",
                remedy="Correct the option, or leave it out: the kit then looks for an engine.",
            )
        return engine
    return _environments() or of_context(chosen=True) or own() or of_context(chosen=False)


def _environments() -> Engine | None:
    named = os.environ.get("DOCKER_HOST")
    if not named:
        return None
    if named.startswith(f"unix://{embedded.place().nodes}/"):
        say("DOCKER_HOST is a node of your swarm: looking elsewhere for the kit's engine.")
        return None
    engine = probe(named, "environment", tls_of_environment(named))
    if engine is None:
        say(f"No engine answers at DOCKER_HOST={named}: looking elsewhere.")
    return engine


def tls_of_environment(url: str) -> str | None:
    if url.startswith(("unix://", "npipe://")) or not os.environ.get("DOCKER_TLS_VERIFY"):
        return None
    return os.environ.get("DOCKER_CERT_PATH") or None


def of_context(*, chosen: bool) -> Engine | None:
    """The current context's engine, if that is one that somebody chose (or not, as asked)."""
    from docker.context import ContextAPI
    from docker.errors import DockerException

    try:
        context = ContextAPI.get_context(os.environ.get("DOCKER_CONTEXT") or None)
    except (DockerException, OSError, ValueError, KeyError):
        return None
    if context is None or not context.Host or (context.Name != "default") != chosen:
        return None
    folder = Path(str(context.tls_path)) / "docker"
    # docker-py writes Unix sockets in a way of its own.
    host = str(context.Host).replace("http+unix://", "unix://")
    return probe(host, "context", str(folder) if (folder / "ca.pem").is_file() else None)


def own() -> Engine | None:
    """The kit's own engine, if it runs, answers, and has its data."""
    where = embedded.place()
    if not where.socket.exists() or not embedded.there(where.data):
        return None
    return probe(where.url, "embedded")


def ensure(url: str | None = None) -> Engine:
    """`find`, else start the embedded engine (installing it where the user may, saying so).

    Raises NoEngine with what to do where that is impossible.
    """
    engine = find(url)
    if engine is None or (engine.origin == "context" and _rather_embedded()):
        _start_embedded()
        engine = own()
    if engine is None:
        raise NoEngine("The kit's own engine started and does not answer.", remedy=embedded.REMEDY)
    from grader.engine import reaper

    reaper.reap(engine)
    return engine


def _rather_embedded() -> bool:
    """Whether the kit's own engine worked here before (it is stopped, or the machine was),
    and no context was chosen: then it is started again rather than exchanged."""
    where = embedded.place()
    used = where.data.is_dir() and any(where.data.iterdir())
    return used and of_context(chosen=True) is None and packages.may_be_root()


def _start_embedded() -> None:
    from filelock import Timeout

    where = embedded.place()
    try:
        with embedded.start_lock(where):
            if embedded.health(where) != "running":
                embedded.start(where)
    except Timeout:
        raise EngineFault(
            "Another run of the kit has been starting the engine for ten minutes.",
            where=str(where.home / "engine.lock"),
            remedy="End that run and try again.",
        ) from None
