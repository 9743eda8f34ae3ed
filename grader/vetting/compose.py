"""What a submitted compose file says, read before any compose command sees it.

    >>> file = read(Path("counter"), "counter")
    >>> file.files, list(file.services)
    (['compose.yaml'], ['web', 'redis'])
    >>> file.refuse_images({"redis:7", "python:3.11"})

A refusal (`Refused`) names file, line, key and remedy. `FORBIDDEN` lists keys that are not
taken at all: it is the place where rules about what a submission may say are added.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from grader.vetting.dockerfile import reference
from grader.vetting.variables import fill_in, of_folder
from grader.vetting.yamlfile import Key, Refused, YamlFile

NAMES = (
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
    "compose.json",
    "docker-compose.json",
)
"""Names of compose files, in the order in which Compose looks for them (JSON by `-f` only)."""

OVERRIDES = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)

FORBIDDEN: dict[tuple[str, ...], str] = {
    ("include",): "Write all services into this one file.",
    ("services", "*", "extends"): "Write the keys out, or use a YAML anchor.",
    ("services", "*", "provider"): "Services of this lab are containers.",
}
"""Keys that are refused, with what to do instead; `*` stands for any key."""


@dataclass(frozen=True)
class Build:
    """How a service's image is built: paths relative to the exercise's folder."""

    context: PurePosixPath
    dockerfile: PurePosixPath | None
    """None where the file's text stands in the compose file itself."""
    inline: str | None
    target: str | None


@dataclass(frozen=True)
class Service:
    """One service of one file; `image` has its variables filled in."""

    name: str
    file: YamlFile
    image: str | None
    build: Build | None
    profiles: bool

    def where(self, *keys: Key) -> str:
        return self.file.where("services", self.name, *keys)


@dataclass(frozen=True)
class ComposeFile:
    """A folder's compose file. `files` are those Compose reads, `ignored` those it does not."""

    folder: Path
    files: list[str]
    ignored: list[str]
    entries: list[Service] = field(default_factory=list)

    @property
    def services(self) -> dict[str, Service]:
        """By name; what an override file says of a service wins."""
        return {entry.name: entry for entry in self.entries}

    def refuse_images(self, allowed: Collection[str]) -> None:
        """Refuse images that are neither in `allowed` (`name:tag`) nor built by this file."""
        built = {reference(s.image) for s in self.entries if s.build and s.image}
        for service in self.entries:
            if service.image is None or service.build:
                continue
            image = reference(service.image)
            if image not in allowed and image not in built:
                raise Refused(
                    f"The image `{service.image}` is not one of the lab's.",
                    where=service.where("image"),
                    remedy=suggestion(image, allowed),
                )


def read(folder: Path, name: str) -> ComposeFile:
    """Read the folder's compose file; `name` is how a person calls the folder.

    Refused where there is none, or it cannot be what Compose runs here.
    """
    found = [n for n in NAMES if (folder / n).is_file()]
    if not found:
        raise Refused("There is no compose file.", where=f"{name}/", remedy=_near_miss(folder))
    overrides = [n for n in OVERRIDES if (folder / n).is_file()][:1]
    files = [found[0], *([] if found[0].endswith(".json") else overrides)]
    variables = of_folder(folder)
    entries: list[Service] = []
    for file in files:
        entries += _services(YamlFile.read(folder / file, f"{name}/{file}"), folder, variables)
    runnable = {e.name for e in entries if e.image or e.build}
    for entry in entries:
        if entry.name not in runnable:
            raise Refused(
                f"The service `{entry.name}` has neither an image nor a build.",
                where=entry.where(),
                remedy="Say `image: NAME:TAG`, or `build: .` if there is a Dockerfile.",
            )
    return ComposeFile(folder, files, found[1:], entries)


def _services(file: YamlFile, folder: Path, variables: Mapping[str, str]) -> list[Service]:
    if not isinstance(file.data, dict):
        raise Refused(
            "The file has no `services:`." if file.data is None else "The file is not a mapping.",
            where=file.name,
            remedy="It begins with `services:`; the services stand below it, indented.",
        )
    _refuse_forbidden(file)
    services = file.data.get("services")
    if not isinstance(services, dict) or not services:
        raise Refused(
            "`services:` has no services below it."
            if "services" in file.data
            else "The file has no `services:`.",
            where=file.where("services"),
            remedy="Below `services:` stand the services' names, each followed by `:`, indented.",
        )
    return [_service(file, str(name), body, folder, variables) for name, body in services.items()]


def _service(
    file: YamlFile, name: str, body: Any, folder: Path, variables: Mapping[str, str]
) -> Service:
    if not isinstance(body, dict):
        raise Refused(
            f"Nothing is said of the service `{name}`."
            if body is None
            else f"The service `{name}` is not a mapping of keys and values.",
            where=file.where("services", name),
            remedy="Below its name stand its keys (`image:` and so on), indented further.",
        )
    image = body.get("image")
    if image is not None and not isinstance(image, str):
        raise Refused(
            "An image is a text like `redis:7`.",
            where=file.where("services", name, "image"),
            remedy="Put it in quotes.",
        )
    build = body.get("build")
    return Service(
        name=name,
        file=file,
        image=fill_in(image, variables) if image else None,
        build=_build(file, name, build, folder, variables) if build is not None else None,
        profiles=bool(body.get("profiles")),
    )


def _build(
    file: YamlFile, service: str, said: Any, folder: Path, variables: Mapping[str, str]
) -> Build:
    place = file.where("services", service, "build")
    said = {"context": said} if isinstance(said, str) else said
    if not isinstance(said, dict):
        raise Refused(
            "`build:` is a folder, or a mapping with `context:`.",
            where=place,
            remedy="Say `build: .` if the Dockerfile lies beside the compose file.",
        )
    texts = {
        key: fill_in(str(said[key]), variables)
        for key in ("context", "dockerfile", "target")
        if said.get(key) is not None
    }
    context = inside(texts.get("context", "."), place)
    if not (folder / context).is_dir():
        raise Refused(
            f"There is no folder `{context}` to build from.",
            where=place,
            remedy="The path counts from the compose file's folder; `.` is that folder itself.",
        )
    inline = said.get("dockerfile_inline")
    if inline is not None:
        return Build(context, None, str(inline), texts.get("target"))
    dockerfile = inside(str(context / texts.get("dockerfile", "Dockerfile")), place)
    if not (folder / dockerfile).is_file():
        raise Refused(
            f"There is no file `{dockerfile}` to build from.",
            where=place,
            remedy="Write that Dockerfile (its name has no ending), or correct `build:`.",
        )
    return Build(context, dockerfile, None, texts.get("target"))


def inside(path: str, where: str) -> PurePosixPath:
    """The path within the exercise's folder; Refused if it leads out of it."""
    if "://" in path or path.startswith(("git@", "github.com/")):
        raise Refused(
            f"`{path}` is not a folder of yours.", where=where, remedy="Build from `.`, say."
        )
    parts: list[str] = []
    for part in PurePosixPath(path.replace("\\", "/")).parts:
        if part == "..":
            if not parts:
                parts = ["/"]
                break
            parts.pop()
        else:
            parts.append(part)
    if parts[:1] == ["/"] or re.match(r"^([A-Za-z]:|~)", path):
        raise Refused(
            f"The path `{path}` leads out of the folder.",
            where=where,
            remedy="Put what you need beside the compose file, and write the path from there.",
        )
    return PurePosixPath(*parts)


def _refuse_forbidden(file: YamlFile) -> None:
    for pattern, remedy in FORBIDDEN.items():
        found: list[tuple[tuple[str, ...], Any]] = [((), file.data)]
        for key in pattern:
            found = [
                ((*path, str(name)), value)
                for path, data in found
                if isinstance(data, dict)
                for name, value in data.items()
                if key in ("*", name)
            ]
        if found:
            path = found[0][0]
            raise Refused(
                f"`{path[-1]}` is not used in this lab.", where=file.where(*path), remedy=remedy
            )


def suggestion(image: str, allowed: Collection[str]) -> str:
    """What to write instead: tags of the same name if there are any."""
    name = image.partition(":")[0].partition("@")[0]
    same = sorted(tag for tag in allowed if tag.partition(":")[0] == name)
    return f"Use one of: {', '.join(same or sorted(allowed))}."


def _near_miss(folder: Path) -> str:
    """What to do where no compose file was found, seen from what is there instead."""
    there = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    for name in there:
        if re.match(r"(docker-)?compose", name, re.IGNORECASE):
            return f"There is `{name}`: rename it to `compose.yaml`."
        if name.endswith((".yaml", ".yml")):
            return f"There is `{name}`: if that is it, rename it to `compose.yaml`."
    return "Write your services into `compose.yaml` in this folder."
