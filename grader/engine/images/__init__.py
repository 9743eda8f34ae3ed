"""The image set: the only images that a submission can use, present in every sandbox.

image_set = ensure(engine)                       # milliseconds, once it is there
Sandbox.create(engine, image_set=image_set.volume)
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from grader.engine import locks
from grader.engine.images import catalogue, sets
from grader.engine.images.sets import ImageSet
from grader.errors import EngineFault

if TYPE_CHECKING:
    from grader.engine.find import Engine
    from grader.engine.images.pull import Source

__all__ = ["ImageSet", "build", "ensure", "find"]

LOCK_SECONDS = 3600


def find(engine: Engine) -> ImageSet | None:
    """The complete set of this kit's version, or None."""
    version = catalogue.load().version
    with contextlib.closing(engine.client()) as client:
        return sets.complete(client, version)


def ensure(engine: Engine) -> ImageSet:
    """The set of this kit's version; made if it is not there (minutes, with progress).

    A build that was cut short goes on where it was. Raises EngineFault or NoEngine where
    it cannot be made.
    """
    return find(engine) or build(engine)


def locked() -> contextlib.AbstractContextManager[None]:
    """One at a time makes sets; whoever comes second waits."""
    return locks.alone("images", LOCK_SECONDS, "making the image set")


def build(
    engine: Engine,
    source: Source | None = None,
    *,
    fresh: bool = False,
    again: bool = False,
) -> ImageSet:
    """Make the set, or what of it is missing.

    `source` as pull.choose gives it; `fresh` throws away what there is of this version;
    `again` looks at a complete set, too: the machine's configuration may have changed,
    or a registry have become known.
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
    from grader.engine.images import pull, site, work
    from grader.engine.sandbox import builder

    entries = catalogue.load()
    with contextlib.closing(engine.client(timeout=work.SECONDS)) as client:
        # While this one waited for the lock, another run may have made it.
        found = sets.complete(client, entries.version)
        if found is not None and not (fresh or again):
            return found
        here = site.read()
        source = source or pull.choose()
        if found is not None and not fresh and found.site == here.digest and not source.asks:
            return found
        node_image.ensure(engine)
        reaper.reap(engine)
        sets.refuse_change_in_use(client, entries.version)
        if fresh:
            sets.remove(client, entries.version)
        old = None if fresh else sets.newest_other(client, entries.version)
        volume = sets.make_volume(client, entries.version)
        with task(f"Making the image set ({len(entries.images)} images)") as detail:
            sets.prepare(engine, client, entries.version, old)
            with builder(engine, volume) as node:
                made = work.Work(entries, here, source, node, client, detail).run()
        image_set = ImageSet(volume, entries.version, made, here.digest)
        sets.mark_complete(client, image_set)
        sets.remove_others(client, entries.version)
        return image_set
