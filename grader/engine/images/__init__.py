"""The image set: the only images that a submission can use, present in every sandbox.

image_set = ensure(engine)                       # milliseconds, once it is there
Sandbox.create(engine, image_set=image_set.volume)
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from grader.console import say
from grader.engine import locks
from grader.engine.images import catalogue, sets
from grader.engine.images.sets import ImageSet
from grader.errors import EngineFault

if TYPE_CHECKING:
    from grader.engine.client import Engine
    from grader.engine.sources.pull import Source

__all__ = ["ImageSet", "build", "ensure", "find"]

LOCK_SECONDS = 3600


def find(engine: Engine) -> ImageSet | None:
    """The complete set of this kit's version, or None."""
    version = catalogue.load().version
    with contextlib.closing(engine.client()) as client:
        return sets.complete(client, version)


def ensure(engine: Engine) -> ImageSet:
    """The set of this kit's version, unchanged; made if it does not exist (minutes, with progress).

    An interrupted build continues where it stopped. Raises EngineFault or NoEngine if the set
    cannot be made.
    """
    return _unchanged(engine, find(engine)) or build(engine)


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


def locked() -> contextlib.AbstractContextManager[None]:
    """One process at a time makes sets; a second one waits."""
    return locks.alone("images", LOCK_SECONDS, "making the image set")


def build(
    engine: Engine,
    source: Source | None = None,
    *,
    fresh: bool = False,
    again: bool = False,
) -> ImageSet:
    """Make the set, or the missing part of it.

    `source` is from pull.choose; `fresh` discards what this version already has; `again` also
    checks a complete set: the machine's configuration may have changed, or a registry may be
    available now.
    """
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        with locked():
            return _build(engine, source, fresh=fresh, again=again)
    except (DockerException, RequestException) as error:
        raise EngineFault(f"The image set could not be made: {error}") from None


def _build(engine: Engine, source: Source | None, *, fresh: bool, again: bool) -> ImageSet:
    from grader.console import task
    from grader.engine import node_image, reaper
    from grader.engine.images import carry, image_builder
    from grader.engine.sandbox import builder
    from grader.engine.sources import host_package_config, pull

    entries = catalogue.load()
    with contextlib.closing(engine.client(timeout=image_builder.SECONDS)) as client:
        # While this one waited for the lock, another run may have made it.
        found = sets.complete(client, entries.version)
        if found is not None and not (fresh or again):
            return found
        here = host_package_config.read()
        source = source or pull.choose()
        wanted = not fresh and not source.asks and found is not None and found.site == here.digest
        if found is not None and wanted and sets.changed(engine, found) is None:
            return found
        node_image.ensure(engine)
        reaper.reap(engine)
        sets.refuse_change_in_use(client, entries.version)
        if fresh:
            sets.remove(client, entries.version)
        every = sets.sources(engine, client, entries.version)
        old = None if fresh else next(every, None)
        volume = sets.make_volume(engine, client, entries.version)
        with task(f"Making the image set ({len(entries.images)} images)") as detail:
            copied = old.volume if old is not None and old.kind != "open" else None
            sets.prepare(engine, client, entries.version, copied)
            with builder(engine, volume) as node:
                if old is not None and old.kind == "open":
                    carry.over(engine, old, node, detail)
                made = image_builder.Work(entries, here, source, node, client, detail).run()
            detail("finishing the set")
            image_set = ImageSet(volume, entries.version, made, here.digest)
            image_set = sets.seal(engine, client, image_set)
        sets.remove_others(client, entries.version)
        return image_set
