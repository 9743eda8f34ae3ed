"""The running mirror: found or started, connected to sandboxes, removed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from grader.engine import locks, node_image
from grader.engine.mirror import making
from grader.errors import EngineFault
from grader.waiting import wait_until

if TYPE_CHECKING:
    import docker

    from grader.engine.client import Engine
LOCK_SECONDS = 600
OLD_SECONDS = 24 * 3600
"""A mirror that is older than this and not in use is recreated with the current settings."""


@dataclass(frozen=True)
class Leg:
    """The mirror in the network of one sandbox: its address there, and pip's environment."""

    address: str
    pip: Mapping[str, str]


def ensure(engine: Engine) -> str:
    """The running mirror's container ID; started if it does not run.

    Takes milliseconds if it does. Raises EngineFault; raises origins.Unusable if a mirror does not
    support this machine's package sources.
    """
    with contextlib.closing(engine.client()) as client:
        found = making.find(client)
        if found is not None and _usable(found):
            return str(found["Id"])
        with _lock():
            found = making.find(client)
            if found is not None and _usable(found):
                return str(found["Id"])
            try:
                return making.make(engine, client)
            except making.Taken:
                return _others(client)


def attach(engine: Engine, network: str) -> Leg:
    """Connect the mirror to a sandbox's network (an ID); start it if necessary."""
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


def remove(engine: Engine, *, idle: bool = False) -> bool:
    """Remove container and network; the cache stays. False if there was none.

    With `idle`, only if no sandbox uses it.
    """
    with _lock(), contextlib.closing(engine.client()) as client:
        found = making.find(client)
        if found is None or (idle and _used(found)):
            return False
        return making.remove(client)


def remove_cache(engine: Engine) -> None:
    """Remove the mirror and its cache."""
    from docker.errors import NotFound

    with _lock(), contextlib.closing(engine.client()) as client:
        making.remove(client)
        with contextlib.suppress(NotFound):
            client.api.remove_volume(making.CACHE)


def runs(engine: Engine) -> bool:
    with contextlib.closing(engine.client()) as client:
        found = making.find(client)
        return found is not None and bool(found["State"]["Running"])


def _lock() -> contextlib.AbstractContextManager[None]:
    return locks.alone("mirror", LOCK_SECONDS, "starting the class mirror")


def _usable(found: Mapping[str, Any]) -> bool:
    if not found["State"]["Running"] or found["Config"]["Image"] != node_image.mirror_tag():
        # Sandboxes that another version of the kit runs still use it.
        return bool(found["State"]["Running"]) and _used(found)
    made = datetime.fromisoformat(found["Created"][:19]).replace(tzinfo=timezone.utc)
    age = (datetime.now(timezone.utc) - made).total_seconds()
    return age < OLD_SECONDS or _used(found)


def _used(found: Mapping[str, Any]) -> bool:
    """Whether it is connected to a sandbox, in addition to its own network."""
    return len(found["NetworkSettings"]["Networks"]) > 1


def _others(client: docker.DockerClient) -> str:
    """The mirror that another data directory's run is making."""

    def usable() -> Mapping[str, Any] | None:
        found = making.find(client)
        return found if found is not None and _usable(found) else None

    found = wait_until(usable, within=making.SECONDS)
    if found is None:
        raise EngineFault("The class mirror is made by another run and does not start.")
    making.wait(client, found["Id"])
    return str(found["Id"])
