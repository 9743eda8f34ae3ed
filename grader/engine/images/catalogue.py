"""The catalogue: the images of the set, how each is made, and the set's version.

Everything here is computed from the files under templates/images, in milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from grader import paths
from grader.errors import KitError

FOLDER = paths.TEMPLATES / "images"
NOT_OURS = ("node", "mirror")
"""The node's and the mirror's image are beside the recipes but are not part of the set."""
PART = "part-"
"""What the version of a part of the catalogue begins with."""


@dataclass(frozen=True)
class Image:
    """One image of the set; see templates/images/catalogue.yaml for the fields."""

    name: str
    tags: tuple[str, ...]
    recipe: str
    upstream: str | None = None
    bootstrap: str | None = None
    arguments: tuple[tuple[str, str], ...] = ()
    parents: tuple[str, ...] = ()
    smoke: tuple[str, ...] = ()
    expect: str = ""

    @property
    def tag(self) -> str:
        """The name by which other recipes build on it."""
        return self.tags[0]


@dataclass(frozen=True)
class Catalogue:
    """All images, parents before children."""

    images: tuple[Image, ...]
    files: Mapping[str, bytes]
    """Catalogue and recipes as they were when it was read: {path with slashes: content}."""
    is_part: bool = False

    @property
    def version(self) -> str:
        """12 hexadecimal digits over the catalogue and all recipes; for a part, also over the
        names of its images."""
        found = sha256()
        for name, content in self.files.items():
            found.update(name.encode() + b"\0" + content + b"\0")
        if not self.is_part:
            return found.hexdigest()[:12]
        found.update(" ".join(self.names).encode())
        return PART + found.hexdigest()[:12]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(image.name for image in self.images)

    def part(self, tags: Iterable[str]) -> Catalogue:
        """The images with these tags and their parents; the same catalogue if that is all of it."""
        asked = {*tags}
        wanted = {image.name for image in self.images if asked & {*image.tags}}
        # Parents come before children.
        for image in reversed(self.images):
            if image.name in wanted:
                wanted.update(image.parents)
        if wanted == {*self.names}:
            return self
        images = tuple(image for image in self.images if image.name in wanted)
        return replace(self, images=images, is_part=True)

    def mentioned(self, text: str) -> set[str]:
        """The tags of the images whose repository occurs anywhere in a text."""
        return {tag for tag in self.tags if tag.rpartition(":")[0] in text}

    def __getitem__(self, name: str) -> Image:
        for image in self.images:
            if image.name == name:
                return image
        raise KeyError(name)

    @property
    def tags(self) -> tuple[str, ...]:
        """Every name that a submission may use."""
        return tuple(tag for image in self.images for tag in image.tags)

    def all_names(self, tags: Iterable[str]) -> tuple[str, ...]:
        """All names of the given images: a lab may allow one name and a student write another."""
        wanted = set(tags)
        return tuple(t for image in self.images if wanted & {*image.tags} for t in image.tags)

    def recipe(self, name: str) -> dict[str, bytes]:
        """The files of one recipe folder: {path in it, with slashes: content}."""
        return {
            path.removeprefix(f"{name}/"): content
            for path, content in self.files.items()
            if path.startswith(f"{name}/")
        }

    def digest(self, image: Image, site: str) -> str:
        """A hash of everything that the image is made from, including parents and site
        configuration."""
        found = sha256()
        for name, content in self.recipe(image.recipe).items():
            found.update(name.encode() + b"\0" + content + b"\0")
        found.update(repr((image.bootstrap, image.arguments)).encode())
        if image.bootstrap:
            found.update(site.encode())
        for parent in image.parents:
            found.update(self.digest(self[parent], site).encode())
        return found.hexdigest()[:32]


def _read(folder: Path) -> dict[str, bytes]:
    """All files of the set; texts have Unix line ends on every system."""
    found: dict[str, bytes] = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name.split("/", 1)[0] not in NOT_OURS:
            content = path.read_bytes()
            binary = b"\0" in content
            found[name] = content if binary else content.replace(b"\r\n", b"\n")
    # By name, not by path: Windows sorts paths in a way of its own.
    return dict(sorted(found.items()))


def load(folder: Path | None = None) -> Catalogue:
    """Read catalogue.yaml and the recipes beside it. Raises KitError if they do not match."""
    import yaml

    folder = folder or FOLDER
    path = folder / "catalogue.yaml"
    try:
        files = _read(folder)
        read = yaml.safe_load(files[path.name].decode("utf-8"))
    except KeyError:
        raise KitError("The image catalogue is missing.", where=str(path)) from None
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise KitError(f"The image catalogue cannot be read: {error}", where=str(path)) from None
    entries = read.get("images") if isinstance(read, dict) else None
    if not isinstance(entries, dict) or not entries:
        raise KitError('There is no list of "images".', where=str(path))
    images: dict[str, Image] = {}
    taken: dict[str, str] = {}
    for name, entry in entries.items():
        image = _image(str(name), entry, f"{path}, image {name}")
        _check(image, images, taken, files, f"{path}, image {name}")
        images[image.name] = image
    return Catalogue(tuple(images.values()), files)


def _image(name: str, entry: Any, where: str) -> Image:
    if not isinstance(entry, dict):
        raise KitError("An image is described by fields (tags, recipe, …).", where=where)
    unknown = sorted(set(entry) - {*Image.__dataclass_fields__} - {"name"})
    if unknown:
        raise KitError(f"Unknown field(s): {', '.join(map(str, unknown))}.", where=where)
    if "recipe" not in entry or not isinstance(entry.get("tags"), list) or not entry["tags"]:
        raise KitError("An image needs `recipe` and at least one of `tags`.", where=where)
    arguments = entry.get("arguments") or {}
    if not isinstance(arguments, dict):
        raise KitError("`arguments` are pairs of name and value.", where=where)
    return Image(
        name=name,
        tags=tuple(str(tag) for tag in entry["tags"]),
        recipe=str(entry["recipe"]),
        upstream=entry.get("upstream"),
        bootstrap=entry.get("bootstrap"),
        arguments=tuple(sorted((str(key), str(value)) for key, value in arguments.items())),
        parents=tuple(entry.get("parents") or ()),
        smoke=tuple(str(word) for word in entry.get("smoke") or ()),
        expect=str(entry.get("expect", "")),
    )


def _check(
    image: Image,
    before: Mapping[str, Image],
    taken: dict[str, str],
    files: Mapping[str, bytes],
    where: str,
) -> None:
    for parent in image.parents:
        if parent not in before:
            raise KitError(f"Its parent {parent} does not come before it.", where=where)
    if f"{image.recipe}/Dockerfile" not in files:
        raise KitError(f"The recipe {image.recipe} has no Dockerfile.", where=where)
    for tag in image.tags:
        if ":" not in tag:
            raise KitError(f"The tag {tag} has no version (name:version).", where=where)
        if tag in taken:
            raise KitError(f"The tag {tag} belongs to {taken[tag]} already.", where=where)
        taken[tag] = image.name
