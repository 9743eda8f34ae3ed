"""The image set: the only images that a submission can use, present in every sandbox.

image_set = ensure(engine)                       # milliseconds, once it is there
Sandbox.create(engine, image_set=image_set.volume)

Where an engine has no set, a part of it can be made first: `ensure(engine, only=part)` with a part
of the catalogue. It is a set like any other, from which nodes are seeded and larger sets begin.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from grader.console import say
from grader.engine import locks
from grader.engine.images import catalogue, sets
from grader.engine.images.sets import ImageSet
from grader.errors import EngineFault, KitError

if TYPE_CHECKING:
    from grader.engine.client import Engine
    from grader.engine.images.catalogue import Catalogue
    from grader.engine.sources.pull import Source

__all__ = ["ImageSet", "build", "ensure", "find", "none", "remove_parts"]

LOCK_SECONDS = 3600


def find(engine: Engine, only: Catalogue | None = None) -> ImageSet | None:
    """The complete set of this kit's version, or its part `only`; None if it is not there."""
    version = (only or catalogue.load()).version
    with contextlib.closing(engine.client()) as client:
        return sets.complete(client, version)


def none(engine: Engine) -> bool:
    """Whether the engine has no complete set of any version; parts do not count."""
    with contextlib.closing(engine.client()) as client:
        return all(one.version.startswith(catalogue.PART) for one in sets.complete_sets(client))


def remove_parts(engine: Engine) -> None:
    """Remove the parts that no container uses; what cannot be removed now stays."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    with (
        contextlib.suppress(DockerException, RequestException, KitError),
        contextlib.closing(engine.client()) as client,
    ):
        sets.remove_parts(client)


def ensure(
    engine: Engine,
    *,
    only: Catalogue | None = None,
    stop: threading.Event | None = None,
    told: Callable[[str], None] = lambda _line: None,
) -> ImageSet:
    """The set of this kit's version, unchanged; made if it does not exist (minutes, with progress).

    `only` is a part of the catalogue, `told` hears how far the work is, `stop` ends it (Stopped).
    An interrupted build continues where it stopped. Raises EngineFault or NoEngine if the set
    cannot be made.
    """
    found = _unchanged(engine, find(engine, only))
    return found or build(engine, only=only, stop=stop, told=told)


def _unchanged(engine: Engine, found: ImageSet | None) -> ImageSet | None:
    """The set, if it is unchanged; otherwise the kit reports it and removes it."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        if found is None or sets.changed(engine, found) is None:
            return found
        with locked(), contextlib.closing(engine.client()) as client:
            # Another run may have made another one in the meantime.
            found = sets.complete(client, found.version)
            problem = sets.changed(engine, found) if found is not None else None
            if found is None or problem is None:
                return found
            say(f"{problem} It is no longer used; the kit builds a new one.")
            sets.refuse_change_in_use(client, found.version)
            sets.remove(client, found.version)
    except (DockerException, RequestException) as error:
        raise EngineFault(f"The image set cannot be read: {error}") from None
    return None


def locked(stop: threading.Event | None = None) -> contextlib.AbstractContextManager[None]:
    """One process at a time makes sets; a second one waits, until `stop` is set."""
    return locks.alone("images", LOCK_SECONDS, "making the image set", stop)


def build(
    engine: Engine,
    source: Source | None = None,
    *,
    fresh: bool = False,
    again: bool = False,
    only: Catalogue | None = None,
    stop: threading.Event | None = None,
    told: Callable[[str], None] = lambda _line: None,
) -> ImageSet:
    """Make the set, or what is missing of it.

    `source` is from pull.choose; `fresh` discards what this version already has; `again` also
    checks a complete set: the machine's configuration may have changed, or a registry may be
    available now. The others are as for `ensure`.
    """
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    entries = only or catalogue.load()
    stop = stop or threading.Event()
    try:
        with locked(stop):
            return _build(engine, entries, source, stop, told, fresh=fresh, again=again)
    except (DockerException, RequestException) as error:
        raise EngineFault(f"The image set could not be made: {error}") from None


def _build(
    engine: Engine,
    entries: Catalogue,
    source: Source | None,
    stop: threading.Event,
    told: Callable[[str], None],
    *,
    fresh: bool,
    again: bool,
) -> ImageSet:
    from grader.console import task
    from grader.engine import node_image, reaper
    from grader.engine.images import carry, image_builder
    from grader.engine.sandbox import builder
    from grader.engine.sources import bootstrap, host_package_config, pull

    with (
        contextlib.closing(engine.client(timeout=image_builder.SECONDS)) as client,
        contextlib.ExitStack() as stack,
    ):
        # While this one waited for the lock, another run may have made it.
        found = sets.complete(client, entries.version)
        if found is not None and not (fresh or again):
            return found
        here = host_package_config.read()
        source = source or pull.choose()
        wanted = not fresh and not source.asks and found is not None and found.site == here.digest
        if found is not None and wanted and sets.changed(engine, found) is None:
            return found
        debian: Mapping[str, bootstrap.Tarball] = {}
        if not (source.asks or node_image.present(client) or sets.complete_sets(client)):
            debian = stack.enter_context(image_builder.begin_debian(entries))
        node_image.ensure(engine)
        reaper.reap(engine)
        sets.refuse_change_in_use(client, entries.version)
        if fresh:
            sets.remove(client, entries.version)
        every = sets.sources(engine, client, entries.version)
        old = None if fresh else next(every, None)
        volume = sets.make_volume(engine, client, entries.version)
        with task(_title(entries)) as shown:

            def detail(line: str) -> None:
                shown(line)
                told(line)

            copied = old.volume if old is not None and old.kind != "open" else None
            sets.prepare(engine, client, entries.version, copied)
            with builder(engine, volume) as node:
                if old is not None and old.kind == "open":
                    carry.over(engine, old, node, detail)
                work = image_builder.Work(entries, here, source, node, client, detail, stop, debian)
                made = work.run()
            detail("finishing the set")
            image_set = ImageSet(volume, entries.version, made, here.digest)
            image_set = sets.seal(engine, client, image_set)
        if not entries.is_part:
            sets.remove_others(client, entries.version)
        return image_set


def _title(entries: Catalogue) -> str:
    if not entries.is_part:
        return f"Making the image set ({len(entries.images)} images)"
    return f"Making the first images ({', '.join(entries.names)})"
