"""A bundle: the image set and the node image in one file, for machines without a registry
and without a Debian mirror.

It is a ZIP file: `images.tar` and `node.tar` as `docker save` writes them, and, last,
`manifest.json`: {"format": 1, "version", "architecture", "site", "node": {"tag", "sha256"},
"sha256" of images.tar, "images": {name: {"id", "origin", "recipe", "tags"}}}.
"""

from __future__ import annotations

import contextlib
import json
import platform
import zipfile
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docker.errors import DockerException
from requests.exceptions import RequestException

from grader.console import task
from grader.engine import node_image, reaper
from grader.engine.images import catalogue, export, image_builder, locked, sets
from grader.engine.images.sets import ImageSet
from grader.engine.sandbox import builder
from grader.errors import EngineFault, KitError

if TYPE_CHECKING:
    from docker import DockerClient

    from grader.engine.client import Engine

FORMAT = 1
IMAGES = "images.tar"
NODE = "node.tar"
MANIFEST = "manifest.json"
CHUNK = 1 << 20


def save(engine: Engine, image_set: ImageSet, path: Path) -> None:
    """Write the bundle of a complete set; `path` exists only if that worked."""
    if problem := sets.changed(engine, image_set):
        raise KitError(problem, remedy="First: python -m grader images build")
    entries = catalogue.load()
    tags = {name: list(entries[name].tags) for name in image_set.images}
    path = path.absolute()
    partial = path.with_name(f".{path.name}.partial")
    try:
        with task(f"Writing {path.name}") as detail:
            with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bundle:
                with contextlib.closing(engine.client(timeout=image_builder.SECONDS)) as client:
                    node_tag = node_image.ensure(engine)
                    detail("the node image")
                    node_sum = _write(bundle, NODE, client.api.get_image(node_tag))
                every = [tag for names in tags.values() for tag in names]
                with export.stream(engine, image_set, every) as chunks:
                    images_sum = _write(bundle, IMAGES, chunks, detail)
                manifest = {
                    "format": FORMAT,
                    "version": image_set.version,
                    "architecture": platform.machine(),
                    "site": image_set.site,
                    "node": {"tag": node_tag, "sha256": node_sum},
                    "sha256": images_sum,
                    "images": {
                        name: {**image, "tags": tags[name]}
                        for name, image in image_set.images.items()
                    },
                }
                bundle.writestr(MANIFEST, json.dumps(manifest, indent=1))
            partial.replace(path)
    except OSError as error:
        raise KitError(
            f"The bundle cannot be written: {error.strerror or error}", where=str(path)
        ) from None
    except (DockerException, RequestException) as error:
        raise EngineFault(f"The images cannot be read: {error}") from None
    finally:
        partial.unlink(missing_ok=True)


def _write(
    bundle: zipfile.ZipFile,
    name: str,
    chunks: Iterable[bytes],
    detail: Callable[[str], None] = lambda _line: None,
) -> str:
    found = sha256()
    written = 0
    with bundle.open(name, "w", force_zip64=True) as member:
        for chunk in chunks:
            member.write(chunk)
            found.update(chunk)
            written += len(chunk)
            detail(f"{written >> 20} MB of images")
    return found.hexdigest()


def load(engine: Engine, path: Path) -> ImageSet:
    """Make the set from a bundle, without a registry or a mirror.

    Raises KitError if the file is not a bundle, is damaged, or belongs to another version of the
    kit.
    """
    with _opened(path) as (bundle, manifest), locked():
        return _load(engine, bundle, manifest, path)


def ids(path: Path) -> dict[str, str]:
    """{tag: ID} of a bundle's images. Raises KitError like `load`."""
    with _opened(path) as (_, manifest):
        return {tag: image["id"] for image in manifest["images"].values() for tag in image["tags"]}


@contextlib.contextmanager
def stream(path: Path) -> Iterator[Iterator[bytes]]:
    """A bundle's images as `docker save` wrote them. Raises KitError like `load`."""
    with _opened(path) as (bundle, manifest):
        yield _read(bundle, IMAGES, manifest["sha256"], path)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[zipfile.ZipFile, dict[str, Any]]]:
    try:
        with zipfile.ZipFile(path) as bundle:
            yield bundle, _manifest(bundle, path)
    except FileNotFoundError:
        raise KitError("This file does not exist.", where=str(path)) from None
    except (zipfile.BadZipFile, EOFError) as error:
        raise KitError(
            f"This is not a bundle of images, or it is damaged: {error}",
            where=str(path),
            remedy="Copy it again; `python -m grader images save FILE` writes one.",
        ) from None
    except OSError as error:
        raise KitError(f"The file cannot be read: {error.strerror}", where=str(path)) from None


def _manifest(bundle: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(bundle.read(MANIFEST))
        found = (int(manifest["format"]), str(manifest["version"]), str(manifest["architecture"]))
        node = str(manifest["node"]["tag"])
        names = {(name, image["id"]) for name, image in manifest["images"].items()}
        wanted = {IMAGES: manifest["sha256"], NODE: manifest["node"]["sha256"]}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise KitError("This is not a bundle of images.", where=str(path)) from None
    here = (FORMAT, catalogue.load().version, platform.machine())
    if found != here or node != node_image.tag() or not names:
        raise KitError(
            "The bundle belongs to another version of the kit or another kind of machine: it has "
            f"image set {found[1]} for {found[2]}, this kit needs {here[1]} for {here[2]}.",
            where=str(path),
            remedy="Write one with the same version of the kit: `python -m grader images save`.",
        )
    missing = [name for name in wanted if name not in bundle.namelist()]
    if missing:
        raise KitError(f"The bundle lacks {', '.join(missing)}.", where=str(path))
    return dict(manifest)


def _load(
    engine: Engine, bundle: zipfile.ZipFile, manifest: dict[str, Any], path: Path
) -> ImageSet:
    version = str(manifest["version"])
    with (
        contextlib.closing(engine.client(timeout=image_builder.SECONDS)) as client,
        task(f"Loading {path.name}") as detail,
    ):
        detail("the node image")
        stream: Any = _read(bundle, NODE, manifest["node"]["sha256"], path)
        client.images.load(stream)
        reaper.reap(engine)
        sets.refuse_change_in_use(client, version)
        sets.remove(client, version)
        volume = sets.make_volume(engine, client, version)
        sets.prepare(engine, client, version, None)
        with builder(engine, volume) as node:
            detail("the images")
            with contextlib.closing(node.connect(timeout=image_builder.SECONDS)) as nested:
                stream = _read(bundle, IMAGES, manifest["sha256"], path)
                nested.images.load(stream)
                _compare(nested, manifest, path)
        images = {
            name: {key: str(image[key]) for key in ("id", "origin", "recipe")}
            for name, image in manifest["images"].items()
        }
        detail("finishing the set")
        made = ImageSet(volume, version, images, str(manifest["site"]))
        image_set = sets.seal(engine, client, made)
        sets.remove_others(client, version)
        return image_set


def _read(bundle: zipfile.ZipFile, name: str, digest: str, path: Path) -> Iterator[bytes]:
    """The member's content. Raises KitError at its end if the content differs from what was
    saved."""
    found = sha256()
    with bundle.open(name) as member:
        while chunk := member.read(CHUNK):
            found.update(chunk)
            yield chunk
    if found.hexdigest() != digest:
        raise KitError(f"The bundle is damaged: {name} is not what was saved.", where=str(path))


def _compare(nested: DockerClient, manifest: dict[str, Any], path: Path) -> None:
    for name, image in manifest["images"].items():
        for tag in image["tags"]:
            found = nested.images.get(tag).id
            if found != image["id"]:
                raise KitError(
                    f"The bundle's image {tag} is not the one in its list ({name}).",
                    where=str(path),
                )
