"""The mirror's container: made, found, joined to sandboxes, removed."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from grader import paths
from grader.engine import archive, embedded, firewall, node_image, outer, packages
from grader.engine.mirror import config, origins
from grader.errors import EngineFault

if TYPE_CHECKING:
    import docker

    from grader.engine.find import Engine

NAME = "drydock-mirror"
NETWORK = "drydock-mirror-network"
CACHE = "drydock-mirror-cache"
"""One for each engine, whoever uses it."""
ROLE = "drydock.role"
SECONDS = 60
"""How long it may take to answer."""
LOCK_SECONDS = 600
OLD_SECONDS = 24 * 3600
"""Older than this, and used by nobody, it is made anew: with today's settings."""
BUNDLE = "/etc/drydock/ca-bundle.crt"
IMAGE_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
LOGS = {"max-size": "20m", "max-file": "2"}
OUTSIDE = ("MISS", "EXPIRED", "REVALIDATED", "BYPASS", "STALE")


@dataclass(frozen=True)
class Leg:
    """The mirror in the network of one sandbox: its address there, and pip's environment."""

    address: str
    pip: Mapping[str, str]


@dataclass(frozen=True)
class Status:
    """What a person may want to know. Requests are those that the log still has."""

    running: bool
    cache_bytes: int
    sandboxes: int
    from_cache: int
    from_outside: int
    refused: int
    names: tuple[str, ...]


def ensure(engine: Engine) -> str:
    """The running mirror's container ID; started if it does not run.

    A look of milliseconds if it does. Raises EngineFault, and origins.Unusable where this
    machine's packages come in a way that a mirror cannot stand for.
    """
    with contextlib.closing(engine.client()) as client:
        found = _find(client)
        if found is not None and _usable(found):
            return str(found["Id"])
        with _lock():
            found = _find(client)
            if found is not None and _usable(found):
                return str(found["Id"])
            try:
                return _start(engine, client)
            except _Taken:
                return _others(client)


def attach(engine: Engine, network: str) -> Leg:
    """Let the mirror into a sandbox's network (an ID); it is started if need be."""
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    try:
        for attempt in (1, 2):
            mirror = ensure(engine)
            with contextlib.closing(engine.client()) as client:
                try:
                    client.api.connect_container_to_network(mirror, network)
                    found = client.api.inspect_container(mirror)
                except APIError:
                    # Another process may have replaced it just now.
                    if attempt == 2:
                        raise
                    continue
            for one in found["NetworkSettings"]["Networks"].values():
                if one["NetworkID"] == network and one["IPAddress"]:
                    pip = json.loads(found["Config"]["Labels"]["drydock.pip"])
                    return Leg(str(one["IPAddress"]), pip)
    except (DockerException, RequestException) as error:
        raise EngineFault(f"The class mirror cannot join a sandbox: {error}") from None
    raise EngineFault("The class mirror ended while a sandbox was made.", remedy="Try again.")


def detach(client: docker.DockerClient, network: str) -> None:
    """Take the mirror out of a network, which could not be removed with it."""
    from docker.errors import APIError

    for found in client.api.containers(
        all=True, filters={"label": f"{ROLE}=mirror", "network": network}
    ):
        with contextlib.suppress(APIError):
            client.api.disconnect_container_from_network(found["Id"], network, force=True)


def remove(engine: Engine, *, idle: bool = False) -> bool:
    """Remove container and network; the cache stays. False if there was none.

    With `idle` only if no sandbox uses it.
    """
    with _lock(), contextlib.closing(engine.client()) as client:
        found = _find(client)
        if found is None or (idle and _used(found)):
            return False
        return _remove(client)


def remove_cache(engine: Engine) -> None:
    """Remove the mirror and what it has kept."""
    from docker.errors import NotFound

    with _lock(), contextlib.closing(engine.client()) as client:
        _remove(client)
        with contextlib.suppress(NotFound):
            client.api.remove_volume(CACHE)


def runs(engine: Engine) -> bool:
    with contextlib.closing(engine.client()) as client:
        found = _find(client)
        return found is not None and bool(found["State"]["Running"])


def status(engine: Engine) -> Status:
    """How it is, without starting it."""
    with contextlib.closing(engine.client()) as client:
        found = _find(client)
        size = 0
        for volume in client.api.df().get("Volumes") or []:
            if volume["Name"] == CACHE:
                size = max(0, int((volume.get("UsageData") or {}).get("Size", 0)))
        if found is None:
            return Status(False, size, 0, 0, 0, 0, ())
        said = bytes(client.api.logs(found["Id"])).decode("utf-8", errors="replace")
        running = bool(found["State"]["Running"])
        networks = len(found["NetworkSettings"]["Networks"]) - 1
        names = tuple(json.loads(found["Config"]["Labels"]["drydock.names"]))
        return Status(running, size, networks if running else 0, *counts(said), names)


def counts(log: str) -> tuple[int, int, int]:
    """(answered from the cache, asked outside, refused) in the mirror's log."""
    hits = outside = refused = 0
    for line in log.splitlines():
        words = line.split()
        if len(words) == 4 and words[0].isdigit():
            source = words[1].rstrip("-")
            hits += source == "HIT"
            outside += source in OUTSIDE
            refused += words[0] == "403" and not source
    return hits, outside, refused


@contextlib.contextmanager
def _lock() -> Iterator[None]:
    """Of several processes one starts or removes it, the others wait."""
    from filelock import FileLock, Timeout

    home = paths.data_dir()
    home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home / "mirror.lock", timeout=LOCK_SECONDS, mode=0o666)
    try:
        lock.acquire()
    except Timeout:
        raise EngineFault(
            "Another run of the kit has been starting the class mirror for minutes.",
            where=lock.lock_file,
            remedy="End that run and try again.",
        ) from None
    try:
        yield
    finally:
        lock.release()


def _find(client: docker.DockerClient) -> dict[str, Any] | None:
    from docker.errors import NotFound

    try:
        found: dict[str, Any] = client.api.inspect_container(NAME)
    except NotFound:
        return None
    return found


def _usable(found: Mapping[str, Any]) -> bool:
    if not found["State"]["Running"] or found["Config"]["Image"] != node_image.mirror_tag():
        # Sandboxes that another version of the kit runs still use it.
        return bool(found["State"]["Running"]) and _used(found)
    made = datetime.fromisoformat(found["Created"][:19]).replace(tzinfo=timezone.utc)
    age = (datetime.now(timezone.utc) - made).total_seconds()
    return age < OLD_SECONDS or _used(found)


def _used(found: Mapping[str, Any]) -> bool:
    """Whether it has a leg in a sandbox, beside its own network."""
    return len(found["NetworkSettings"]["Networks"]) > 1


class _Taken(Exception):
    """A run of another data directory has made it in the same moment."""


def _others(client: docker.DockerClient) -> str:
    """The one that another data directory's run is making."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found = _find(client)
        if found is not None and _usable(found):
            _wait(client, found["Id"])
            return str(found["Id"])
        time.sleep(0.1)
    raise EngineFault("The class mirror is made by another run and does not start.")


def _remove(client: docker.DockerClient) -> bool:
    from docker.errors import NotFound

    there = _find(client) is not None
    with contextlib.suppress(NotFound):
        client.api.remove_container(NAME, force=True)
    for network in client.api.networks(filters={"label": f"{ROLE}=mirror-network"}):
        with contextlib.suppress(NotFound):
            client.api.remove_network(network["Id"])
    return there


def _start(engine: Engine, client: docker.DockerClient) -> str:
    """A new one in place of whatever there is; the caller holds the lock."""
    from docker.errors import APIError, DockerException
    from docker.types import LogConfig
    from requests.exceptions import RequestException

    stands_for = origins.read()
    _mend_firewall(engine)
    try:
        image = node_image.ensure_mirror(engine)
    except EngineFault as fault:
        raise origins.Unusable(f"its image cannot be built ({fault.what})") from None
    try:
        _remove(client)
        client.api.create_volume(CACHE, labels={ROLE: "mirror-cache"})
        network = outer.make(engine, client, NETWORK, {ROLE: "mirror-network"})
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
                sysctls={"net.ipv4.ip_forward": "0"},
                log_config=LogConfig(type="json-file", config=LOGS),
            ),
        )
        with archive.pack(_files(stands_for)) as tar:
            client.api.put_archive(made["Id"], "/etc", tar)
        client.api.start(made["Id"])
        _wait(client, made["Id"])
    except (DockerException, RequestException) as error:
        if isinstance(error, APIError) and error.status_code == 409:
            raise _Taken from None
        raise EngineFault(f"The class mirror cannot be started: {error}") from None
    return str(made["Id"])


def _mend_firewall(engine: Engine) -> None:
    """An engine that an older version of the kit has started has not all of its rules."""
    if engine.origin == "embedded" and packages.is_root():
        where = embedded.place()
        state = embedded.read_state(where)
        if state is not None and not firewall.present(where.key):
            firewall.up(where.key, state.pool)


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


def _wait(client: docker.DockerClient, container: str) -> None:
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
