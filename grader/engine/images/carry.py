"""Takes the images of a set that an older kit made over into a new set.

Nodes could write to such a set, so its files are not copied. Its engine exports the images, and the
new engine compares each layer with the checksum in the image's configuration. It compares the
configuration with the image's ID, which the set's marker lists and no node could change.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from docker.errors import DockerException, ImageNotFound
from requests.exceptions import RequestException

from grader.console import say
from grader.engine.images import export, image_builder
from grader.engine.images.sets import ImageSet
from grader.errors import EngineFault

if TYPE_CHECKING:
    from docker import DockerClient

    from grader.engine.client import Engine
    from grader.engine.node import SandboxNode


def over(engine: Engine, old: ImageSet, node: SandboxNode, detail: Callable[[str], None]) -> None:
    """Load the old set's images into the builder `node`. A changed image is reported and left
    out; it is built later."""
    detail("reusing the images of an older version of the kit")
    known = {image["id"] for image in old.images.values()}
    try:
        with contextlib.closing(node.connect(timeout=image_builder.SECONDS)) as client:
            with export.opened(engine, old) as nested:
                names = sorted(
                    name
                    for image in nested.api.images()
                    if image["Id"] in known
                    for name in image.get("RepoTags") or []
                )
                client.images.load(export.several(nested, names))  # type: ignore[arg-type]
            _leave_out(client, known)
    except (DockerException, RequestException, EngineFault) as error:
        say(f"The images of the older set cannot be reused and are built again: {error}")
        with contextlib.closing(node.connect(timeout=image_builder.SECONDS)) as client:
            _leave_out(client, set())


def _leave_out(client: DockerClient, known: set[str]) -> None:
    for image in client.api.images():
        if image["Id"] not in known:
            with contextlib.suppress(ImageNotFound):
                client.api.remove_image(image["Id"], force=True)
