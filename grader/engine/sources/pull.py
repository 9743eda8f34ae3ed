"""Images from a registry instead of recipes, if the user allows it.

By default the kit asks no registry: a lab machine often has no internet access, a failed attempt
takes long, and what is built from recipes is the same everywhere. It asks a registry

* if one is named: `--registry HOST` or DRYDOCK_REGISTRY;
* if Docker Hub is allowed: `--pull` or DRYDOCK_PULL=1;
* if the machine cannot build at all, because it has neither apt nor mmdebstrap (macOS, Windows).

The host's engine pulls, with its proxies, mirrors and credentials. The image is then copied to the
nested engine, and removed from the host's engine if it was not there before.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from grader.console import say
from grader.engine.sources import bootstrap
from grader.errors import EngineFault

if TYPE_CHECKING:
    from docker import DockerClient

HUB = "docker.io"


@dataclass
class Source:
    """Where images come from; `registry` None means only the recipes."""

    registry: str | None = None
    _silent: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def asks(self) -> bool:
        """Whether to ask a registry (and it has answered so far)."""
        return self.registry is not None and not self._silent

    def give_up(self, reason: str) -> None:
        """The registry does not answer: from now on use the recipes. A message says so once."""
        with self._lock:
            if not self._silent:
                say(f"The registry {self.registry} does not answer ({reason}): building instead.")
            self._silent = True


def choose(registry: str | None = None, pull: bool = False) -> Source:
    """The source that options, environment and machine require; see the module's docstring."""
    named = registry or os.environ.get("DRYDOCK_REGISTRY")
    if named:
        return Source(named.removeprefix("https://").removeprefix("http://").rstrip("/"))
    if pull or os.environ.get("DRYDOCK_PULL", "") not in ("", "0", "no", "false"):
        return Source(HUB)
    if not bootstrap.possible():
        say("This machine cannot build Debian images: pulling from Docker Hub instead.")
        return Source(HUB)
    return Source()


def references(registry: str, upstream: str) -> list[str]:
    """Names under which a registry may have an upstream image, the likeliest first.

    >>> references("mirror.example:5000", "nginx:1.22")
    ['mirror.example:5000/library/nginx:1.22', 'mirror.example:5000/nginx:1.22']
    >>> references("docker.io", "nginx:1.22")
    ['nginx:1.22']
    """
    if registry == HUB:
        return [upstream]
    if "/" in upstream:
        return [f"{registry}/{upstream}"]
    return [f"{registry}/library/{upstream}", f"{registry}/{upstream}"]


def fetch(
    source: Source,
    upstream: str,
    host: DockerClient,
    nested: DockerClient,
    detail: Callable[[str], None],
) -> tuple[str, str] | None:
    """Copy an upstream image into the nested engine: (its name there, reference@digest).

    None if the registry does not have it or does not answer (a message says so once).
    """
    from docker.errors import ImageLoadError

    for reference in references(str(source.registry), upstream):
        if not source.asks:
            return None
        had = _inspect(host, reference) is not None
        if not had and not _pull(source, host, reference, detail):
            continue
        try:
            found = _inspect(host, reference) or {}
            digest = (found.get("RepoDigests") or [reference])[0]
            detail("handing it to the image set")
            nested.images.load(host.api.get_image(reference))
            return reference, str(digest)
        except ImageLoadError as error:
            raise EngineFault(f"{reference} cannot be passed on: {error}") from None
        finally:
            if not had:
                _forget(host, reference)
    return None


def _pull(
    source: Source, host: DockerClient, reference: str, detail: Callable[[str], None]
) -> bool:
    from docker.errors import APIError, NotFound
    from requests.exceptions import RequestException

    repository, _, tag = reference.rpartition(":")
    problem = ""
    try:
        for event in host.api.pull(repository, tag=tag, stream=True, decode=True):
            problem = event.get("error", problem)
            words = (event.get("id", ""), event.get("status", ""), event.get("progress", ""))
            detail(" ".join(word for word in words if word))
    except NotFound:
        return False
    except APIError as error:
        problem = str(error.explanation)
    except RequestException as error:
        problem = str(error)
    if not problem:
        return True
    if any(word in problem for word in ("not found", "manifest unknown", "denied")):
        return False
    source.give_up(problem.splitlines()[0])
    return False


def _inspect(client: DockerClient, reference: str) -> dict[str, Any] | None:
    from docker.errors import ImageNotFound

    try:
        found: dict[str, Any] = client.images.get(reference).attrs
    except ImageNotFound:
        return None
    return found


def _forget(client: DockerClient, reference: str) -> None:
    from docker.errors import APIError

    with contextlib.suppress(APIError):
        client.api.remove_image(reference)
