"""Exports images of the set, in the form of `docker save`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from docker.errors import DockerException
from requests.exceptions import RequestException

from grader.engine.images import image_builder
from grader.engine.images.sets import ImageSet
from grader.engine.sandbox import Sandbox
from grader.errors import EngineFault

if TYPE_CHECKING:
    from docker import DockerClient

    from grader.engine.client import Engine

CHUNK = 1 << 20


@contextlib.contextmanager
def stream(engine: Engine, image_set: ImageSet, tags: Sequence[str]) -> Iterator[Iterator[bytes]]:
    """One tar with the images that `tags` name. Raises EngineFault if they cannot be read."""
    try:
        with opened(engine, image_set) as nested:
            yield several(nested, tags)
    except (DockerException, RequestException) as error:
        raise EngineFault(f"The images cannot be read: {error}") from None


@contextlib.contextmanager
def opened(engine: Engine, image_set: ImageSet) -> Iterator[DockerClient]:
    """An engine that has the set's images."""
    with (
        Sandbox.create(engine, image_set=image_set.volume) as sandbox,
        contextlib.closing(sandbox.nodes[0].connect(image_builder.SECONDS)) as nested,
    ):
        yield nested


def several(client: DockerClient, tags: Sequence[str]) -> Iterator[bytes]:
    """One tar with several images in which each layer exists once: docker-py asks for one image
    only."""
    api: Any = client.api
    answer = api._get(api._url("/images/get"), params={"names": list(tags)}, stream=True)
    chunks: Iterator[bytes] = api._stream_raw_result(answer, CHUNK, False)
    return chunks
