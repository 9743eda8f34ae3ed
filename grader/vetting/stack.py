"""What a submitted stack file says, read before any docker command sees it.

    >>> file = read(Path("rollout"), "stack.yaml", "rollout")
    >>> list(file.services), file.services["app"].image
    (['front', 'app'], 'drydock/demo:1.0')
    >>> file.refuse_images({"nginx:1.22", "drydock/demo:1.0"})

`docker stack deploy` ignores some keys that reach into the host and obeys others, such as bind
mounts. So only what is listed here is taken. A refusal names file, line, key and remedy.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.vetting.compose import inside, suggestion
from grader.vetting.dockerfile import reference
from grader.vetting.variables import fill_in
from grader.vetting.yamlfile import Key, Refused, YamlFile

MAX_REPLICAS = 12
MAX_SERVICES = 10

TOP = {"version", "name", "services", "networks", "volumes", "configs"}

SERVICE = {
    "image", "command", "entrypoint", "environment", "deploy", "ports", "expose", "networks",
    "configs", "volumes", "tmpfs", "healthcheck", "stop_signal", "stop_grace_period", "labels",
    "hostname", "init", "user", "working_dir", "read_only", "tty", "stdin_open", "depends_on",
    "restart", "container_name",
}  # fmt: skip
"""Keys of a service. Swarm ignores the last three, and says so."""

NETWORK = {"driver", "attachable", "internal", "labels", "name"}
VOLUME = {"driver", "labels", "name"}
CONFIG = {"file", "labels", "name"}

REMEDIES = {
    "build": "A stack builds nothing: name an image of the lab with `image:`.",
    "env_file": "Write the variables under `environment:`.",
    "external": "Remove it: then the stack makes what it needs.",
    "extends": "Write the keys out, or use a YAML anchor.",
    "include": "Write all services into this one file.",
    "secrets": "This lab uses `configs:` and `environment:`.",
    "network_mode": "List the networks under `networks:`.",
    "driver_opts": "Remove it: the driver's own settings do.",
}


@dataclass(frozen=True)
class StackService:
    """One service: `body` is what the file says of it, with variables filled in."""

    name: str
    image: str
    body: dict[str, Any]
    file: YamlFile

    def where(self, *keys: Key) -> str:
        return self.file.where("services", self.name, *keys)


@dataclass(frozen=True)
class StackFile:
    """A stack file that may be deployed, once its images are vetted as well."""

    file: YamlFile
    services: dict[str, StackService]

    def refuse_images(self, allowed: Collection[str]) -> None:
        """Refuse images that are not in `allowed` (`name:tag`)."""
        for service in self.services.values():
            image = reference(service.image)
            if image not in allowed:
                raise Refused(
                    f"The image `{service.image}` is not one of the lab's.",
                    where=service.where("image"),
                    remedy=suggestion(image, allowed),
                )


def read(folder: Path, file_name: str, name: str) -> StackFile:
    """Read and vet `folder/file_name`; `name` is how a person calls the folder."""
    if not (folder / file_name).is_file():
        raise Refused(
            f"There is no file `{file_name}`.",
            where=f"{name}/",
            remedy=f"Write your stack into {name}/{file_name}; its name must be exactly that.",
        )
    file = YamlFile.read(folder / file_name, f"{name}/{file_name}")
    data = file.data
    if not isinstance(data, dict) or not isinstance(data.get("services"), dict):
        raise Refused(
            "The file has no services.",
            where=file.where("services") if isinstance(data, dict) else file.name,
            remedy="Below `services:` stand the services' names, each followed by `:`, indented.",
        )
    _only(file, data, TOP)
    _networks(file, data)
    _volumes(file, data)
    _configs(file, data, folder)
    if len(data["services"]) > MAX_SERVICES:
        raise Refused(f"There are more than {MAX_SERVICES} services.", where=file.where("services"))
    services = {str(n): _service(file, str(n), body) for n, body in data["services"].items()}
    return StackFile(file, services)


def _service(file: YamlFile, name: str, body: Any) -> StackService:
    keys: tuple[Key, ...] = ("services", name)
    if not isinstance(body, dict):
        raise Refused(
            f"Nothing is said of the service `{name}`."
            if body is None
            else f"The service `{name}` is not a mapping of keys and values.",
            where=file.where(*keys),
            remedy="Below its name stand its keys (`image:` and so on), indented further.",
        )
    _only(file, body, SERVICE, *keys)
    image = body.get("image")
    if not isinstance(image, str) or not image:
        raise Refused(
            f"The service `{name}` has no image.",
            where=file.where(*keys, "image"),
            remedy="Say `image: NAME:TAG`.",
        )
    for number, mount in enumerate(_items(body.get("volumes"))):
        _refuse_host_files(file, mount, *keys, "volumes", number)
    _refuse_crowds(file, body, *keys)
    return StackService(name, fill_in(image, {}), _filled(body), file)


def _refuse_host_files(file: YamlFile, mount: Any, *keys: Key) -> None:
    """Only volumes and memory are mounted: no file or folder of the node, no image, no plugin."""
    where = file.where(*keys)
    if isinstance(mount, dict):
        kind, source = _plain(mount.get("type", "volume"), where), mount.get("source")
        if kind not in ("volume", "tmpfs") or "bind" in mount:
            raise _host_files(where)
        _only(file, mount, {"type", "source", "target", "read_only", "volume", "tmpfs"}, *keys)
        _only(file, mount.get("volume"), {"nocopy"}, *keys, "volume")
    else:
        first, colon, _ = _plain(mount, where).partition(":")
        source = first if colon else None
    text = _plain(source or "", where)
    # The docker CLI takes one letter before a colon for a drive of Windows.
    if text[:1] in (".", "~") or "/" in text or "\\" in text or len(text) == 1:
        raise _host_files(where)


def _host_files(where: str) -> Refused:
    return Refused(
        "A file or folder of the host is mounted into a container.",
        where=where,
        remedy="On another node that path has other content. Give configuration files by"
        " `configs:`, and data a named volume.",
    )


def _refuse_crowds(file: YamlFile, body: dict[str, Any], *keys: Key) -> None:
    deploy = body.get("deploy")
    if not isinstance(deploy, dict):
        return
    said = deploy.get("replicas", 1)
    text = fill_in(said, {}) if isinstance(said, str) else said
    try:
        replicas = int(text)
    except (TypeError, ValueError):
        return  # The docker CLI says what is wrong with it.
    if replicas > MAX_REPLICAS:
        raise Refused(
            f"{replicas} replicas are more than this lab's nodes bear.",
            where=file.where(*keys, "deploy", "replicas"),
            remedy="The worksheet says how many there should be.",
        )


def _networks(file: YamlFile, data: dict[str, Any]) -> None:
    for name, body in _entries(data.get("networks")):
        _only(file, body, NETWORK, "networks", name)
        place = file.where("networks", name, "driver")
        driver = _plain((body or {}).get("driver") or "overlay", place)
        if driver != "overlay":
            raise Refused(
                f"The network `{name}` has the driver `{driver}`.",
                where=place,
                remedy="Services on several nodes meet in a network with `driver: overlay`.",
            )


def _volumes(file: YamlFile, data: dict[str, Any]) -> None:
    for name, body in _entries(data.get("volumes")):
        _only(file, body, VOLUME, "volumes", name)
        place = file.where("volumes", name, "driver")
        if _plain((body or {}).get("driver") or "local", place) != "local":
            raise Refused(
                "Volumes of this lab are local ones.", where=place, remedy="Remove `driver:`."
            )


def _configs(file: YamlFile, data: dict[str, Any], folder: Path) -> None:
    for name, body in _entries(data.get("configs")):
        _only(file, body, CONFIG, "configs", name)
        place = file.where("configs", name, "file")
        path = _plain((body or {}).get("file") or "", place)
        if not path:
            raise Refused(
                f"The config `{name}` has no file.", where=place, remedy="Say `file: ./NAME`."
            )
        if not (folder / inside(path, place)).is_file():
            raise Refused(
                f"There is no file `{path}`.",
                where=place,
                remedy="The path counts from the stack file's folder.",
            )


def _only(file: YamlFile, data: Any, allowed: Collection[str], *keys: Key) -> None:
    """Refuse keys that are not `allowed`; those that begin with x- mean nothing to Docker."""
    for key in data if isinstance(data, dict) else ():
        if key not in allowed and not str(key).startswith("x-"):
            raise Refused(
                f"`{key}` is not used in this lab.",
                where=file.where(*keys, str(key)),
                remedy=REMEDIES.get(str(key), "Remove it, or check its spelling and indentation."),
            )


def _plain(value: Any, where: str) -> str:
    """A text without variables: what decides about the host must not depend on any."""
    text = str(value)
    if "$" in text:
        raise Refused("A variable is used here.", where=where, remedy="Write the value itself.")
    return text.strip()


def _filled(value: Any) -> Any:
    """The same data with variables filled in as the docker CLI does (there are none set)."""
    if isinstance(value, str):
        return fill_in(value, {})
    if isinstance(value, list):
        return [_filled(item) for item in value]
    if isinstance(value, dict):
        return {key: _filled(item) for key, item in value.items()}
    return value


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _entries(value: Any) -> list[tuple[str, Any]]:
    """A mapping's entries; those that are neither mappings nor empty are the CLI's to refuse."""
    if not isinstance(value, dict):
        return []
    return [(str(n), b) for n, b in value.items() if b is None or isinstance(b, dict)]
