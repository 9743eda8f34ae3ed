"""Verifies the image set: compares it with its list and runs each image once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from docker import DockerClient
from docker.errors import APIError, ImageNotFound

from grader.engine.client import Engine
from grader.engine.images import catalogue, image_builder
from grader.engine.images.catalogue import Image
from grader.engine.images.sets import ImageSet
from grader.engine.sandbox import Sandbox

SECONDS = 120


@dataclass(frozen=True)
class Finding:
    """One image; `problem` is a sentence for people, None if all is well."""

    name: str
    tag: str
    problem: str | None


def verify(engine: Engine, image_set: ImageSet) -> Iterator[Finding]:
    """Check each image of the set in a sandbox seeded from it, in the catalogue's order."""
    entries = catalogue.load()
    with (
        Sandbox.create(engine, image_set=image_set.volume) as sandbox,
        contextlib.closing(sandbox.nodes[0].connect(timeout=SECONDS)) as client,
    ):
        for image in entries.images:
            yield Finding(image.name, image.tag, _problem(client, image, image_set))


def _problem(client: DockerClient, image: Image, image_set: ImageSet) -> str | None:
    noted = image_set.images.get(image.name)
    if noted is None:
        return "the set's list does not have it"
    for tag in image.tags:
        try:
            found = client.images.get(tag)
        except ImageNotFound:
            return f"{tag} is missing"
        if found.id != noted["id"]:
            return f"{tag} is another image ({found.id}) than the set's list says ({noted['id']})"
        if found.labels.get(image_builder.RECIPE) != noted["recipe"]:
            return f"{tag} was made from another recipe than the set's list says"
    return _smoke(client, image)


def _smoke(client: DockerClient, image: Image) -> str | None:
    """Run the catalogue's command without the entry point, which may need settings."""
    if not image.smoke:
        return None
    command = f"`{' '.join(image.smoke)}`"
    try:
        code, text = _run(client, image)
    except APIError as error:
        return f"it does not start: {error.explanation}"
    if code != 0:
        return f"{command} failed: {text.strip()[-300:]}"
    if image.expect not in text:
        return f"{command} does not say {image.expect!r} but {text.strip()[-300:]!r}"
    return None


def _run(client: DockerClient, image: Image) -> tuple[int, str]:
    """Exit code and output, read from the log after the end: on the way out some gets lost."""
    container = client.containers.create(
        image.tag,
        list(image.smoke[1:]),
        entrypoint=[image.smoke[0]],
        network_mode="none",
    )
    try:
        container.start()
        code = int(container.wait(timeout=SECONDS)["StatusCode"])
        return code, bytes(container.logs()).decode("utf-8", errors="replace")
    finally:
        container.remove(v=True, force=True)
