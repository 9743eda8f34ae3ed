"""Reads a submitted compose file before any compose command sees it.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "compose.yaml").write_text("services: {redis: {image: redis:7}}")
    ...     file = read(Path(folder), "counter")
    >>> file.files, list(file.services)
    (['compose.yaml'], ['redis'])
    >>> file.refuse_images({"redis:7", "python:3.11"})

Every file that Compose would read here is held against the allow-list of grader.vetting.model,
with its variables filled in from `.env`. A refusal (`Refused`) names file, line, key and remedy.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from grader.files.submitted_path import checked, kind_below
from grader.vetting import envfile, model
from grader.vetting.allowlist import Place, Setting, check
from grader.vetting.dockerfile import reference
from grader.vetting.variables import Variables
from grader.vetting.yamlfile import Key, Refused, YamlFile

_UNUSUAL = re.compile(r"[^\x21-\x7e]")
"""No image's name has such a character."""

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


@dataclass(frozen=True)
class Build:
    """How a service's image is built: paths relative to the exercise's folder."""

    context: PurePosixPath
    dockerfile: PurePosixPath | None
    """None where the file's text stands in the compose file itself."""
    inline: str | None
    target: str | None
    args: Mapping[str, str] = field(default_factory=dict)
    """What stands instead of the Dockerfile's own ARG values."""


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
    env_file: str | None = None
    """The file of variables, if there is one."""
    variables: Variables = field(default_factory=Variables)
    texts: tuple[YamlFile, ...] = ()
    """The files that were read, in the order of `files`."""

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
    names = [found[0], *([] if found[0].endswith(".json") else overrides)]
    variables = envfile.read(folder, name)
    files = [YamlFile.read(folder / n, f"{name}/{n}") for n in names]
    for file in files:
        _refuse_no_services(file, needed=file is files[0])
    setting = Setting(folder, variables, defined(files), model.ELSEWHERE)
    entries: list[Service] = []
    builds: dict[str, dict[str, Any]] = {}
    for file in files:
        check(Place(file, setting, (), file.data), model.MODEL)
        for service, body in (file.data.get("services") or {}).items():
            place = Place(file, setting, ("services", service), body)
            entries.append(_service(place, builds))
    runnable = {e.name for e in entries if e.image or e.build}
    for entry in entries:
        if entry.name not in runnable:
            raise Refused(
                f"The service `{entry.name}` has neither an image nor a build.",
                where=entry.where(),
                remedy="Write `image: NAME:TAG`, or `build: .` if there is a Dockerfile.",
            )
    env_file = envfile.NAME if (folder / envfile.NAME).is_file() else None
    return ComposeFile(folder, names, found[1:], entries, env_file, variables, tuple(files))


def of_document(file: YamlFile, setting: Setting, text: ComposeFile) -> ComposeFile:
    """The same of a document that Compose resolved from `text`, its paths relative to the folder.

    It was held against the allow-list before. See grader.vetting.resolved.
    """
    entries = []
    for service, body in file.data["services"].items():
        refuse_empty(file, service, body)
        entries.append(_service(Place(file, setting, ("services", service), body), {}))
    return replace(text, entries=entries)


def _refuse_no_services(file: YamlFile, needed: bool) -> None:
    """A file that is no mapping, or has no services where there must be some."""
    if not isinstance(file.data, dict):
        raise Refused(
            "The file has no `services:`." if file.data is None else "The file is not a mapping.",
            where=file.name,
            remedy="Begin with `services:` and write the services below it, indented.",
        )
    services = file.data.get("services")
    if (needed or services is not None) and (not isinstance(services, dict) or not services):
        raise Refused(
            "`services:` has no services below it."
            if "services" in file.data
            else "The file has no `services:`.",
            where=file.where("services"),
            remedy="Write the services' names below `services:`, indented, each followed by `:`.",
        )
    for name, body in (services or {}).items():
        refuse_empty(file, str(name), body)


def refuse_empty(file: YamlFile, name: str, body: Any) -> None:
    """Refuse a service of which nothing, or nothing like keys and values, is said."""
    if not isinstance(body, dict):
        raise Refused(
            f"The service `{name}` is empty."
            if body is None
            else f"The service `{name}` is not a mapping of keys and values.",
            where=file.where("services", name),
            remedy="Write its keys (`image:` and so on) below its name, indented further.",
        )


def defined(files: Sequence[YamlFile]) -> dict[str, frozenset[str]]:
    """The names of all that the files define, by kind."""
    found: dict[str, set[str]] = {}
    for file in files:
        for kind in ("services", "networks", "volumes", "configs", "secrets"):
            said = file.data.get(kind)
            if isinstance(said, dict):
                found.setdefault(kind, set()).update(map(str, said))
    return {kind: frozenset(names) for kind, names in found.items()}


def _service(place: Place, builds: dict[str, dict[str, Any]]) -> Service:
    """What one file says of a service; `builds` is what the files before it said of builds."""
    name, body = str(place.keys[-1]), place.value
    image = body.get("image")
    if image is not None and not isinstance(image, str):
        place.at("image", image).refuse("An image is a text like `redis:7`.", "Put it in quotes.")
    # With a variable in it (`${TAG:?say which}`) it is looked at once that is filled in.
    if image is not None and "$" not in image and _UNUSUAL.search(image.strip(" \t\n")):
        place.at("image", image).refuse(
            "The image's name has a character that is not allowed in image names.",
            "Type the name again: copying may bring invisible characters.",
        )
    said = body.get("build")
    if said is not None and not isinstance(said, (str, dict)):
        place.at("build", said).refuse(
            "`build:` must be a folder, or a mapping with `context:`.",
            "Write `build: .` if the Dockerfile is beside the compose file.",
        )
    if place.file.tagged(*place.keys):
        builds.pop(name, None)  # It stands instead of what was said before.
    elif "build" in body and place.file.tagged(*place.keys, "build"):
        place.at("build", said).refuse(
            "`build:` has a tag that changes how Compose merges it.", "Remove the tag with the `!`."
        )
    if said is not None:
        builds[name] = _merged(builds.get(name, {}), said)
    return Service(
        name=name,
        file=place.file,
        image=place.at("image", image).text() if image else None,
        build=_build(place.at("build", builds[name])) if name in builds else None,
        profiles=bool(body.get("profiles")),
    )


def _merged(before: dict[str, Any], said: str | dict[str, Any]) -> dict[str, Any]:
    """What two files say of a build, as Compose puts it together: each may say a part of it."""
    now = {"context": said} if isinstance(said, str) else dict(said)
    args: dict[str, Any] = {}
    for each in (before.get("args"), now.get("args")):
        if isinstance(each, dict):
            args |= each
        for item in each if isinstance(each, list) else []:
            name, equals, value = str(item).partition("=")
            args[name] = value if equals else None
    return {**before, **now, "args": args}


def _build(place: Place) -> Build:
    said = place.value
    texts = {
        key: place.at(key, said[key]).text()
        for key in ("context", "dockerfile", "target")
        if said.get(key) is not None
    }
    where = place.file.where(*place.keys)
    context = checked(texts.get("context", "."), where)
    if kind_below(place.setting.folder, context) != "folder":
        place.refuse(
            f"There is no folder `{context}` to build from.",
            "The path starts at the compose file's folder; `.` is that folder itself.",
        )
    args = _arguments(place.at("args", said["args"]))
    inline = said.get("dockerfile_inline")
    if inline is not None:
        text = place.at("dockerfile_inline", inline)
        return Build(context, None, text.filled(str(inline)), texts.get("target"), args)
    dockerfile = checked(str(context / texts.get("dockerfile", "Dockerfile")), where)
    if kind_below(place.setting.folder, dockerfile) != "file":
        place.refuse(
            f"There is no file `{dockerfile}` to build from.",
            "Write that Dockerfile (its name has no ending), or correct `build:`.",
        )
    return Build(context, dockerfile, None, texts.get("target"), args)


def _arguments(place: Place) -> dict[str, str]:
    """Build arguments; one without a value has that of the variable of its name, if it is set."""
    values = place.setting.variables.values if place.setting.variables else {}
    found: dict[str, str] = {}
    for written, value in place.value.items():
        name = place.filled(written)
        said = values.get(name) if value is None else place.at(written, value).text()
        if said is not None:
            found[name] = said
    return found


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
            return f"There is `{name}`: if this is your compose file, rename it to `compose.yaml`."
    return "Write your services into `compose.yaml` in this folder."
