"""Reads a submitted stack file before any docker command sees it.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "stack.yaml").write_text("services: {app: {image: nginx:1.22}}")
    ...     file = read(Path(folder), "stack.yaml", "rollout")
    >>> list(file.services), file.services["app"].image
    (['app'], 'nginx:1.22')
    >>> file.refuse_images({"nginx:1.22", "drydock/demo:1.0"})

`docker stack deploy` ignores some keys that reach into the host and obeys others, such as bind
mounts. So only what grader.vetting.model_stack lists is taken. A refusal names file, line, key and
remedy.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.vetting import model, model_stack
from grader.vetting.allowlist import Place, Setting, check
from grader.vetting.compose import refuse_empty, suggestion
from grader.vetting.dockerfile import reference
from grader.vetting.environment import ENVIRONMENT
from grader.vetting.variables import fill_in
from grader.vetting.yamlfile import Key, Refused, YamlFile

MAX_SERVICES = 10


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
            remedy=f"Write your stack into {name}/{file_name}; with exactly this name.",
        )
    file = YamlFile.read(folder / file_name, f"{name}/{file_name}")
    data = file.data
    if not isinstance(data, dict) or not isinstance(data.get("services"), dict):
        raise Refused(
            "The file has no services.",
            where=file.where("services") if isinstance(data, dict) else file.name,
            remedy="Write the services' names below `services:`, indented, each followed by `:`.",
        )
    setting = Setting(folder, None, elsewhere=model.ELSEWHERE)
    if len(data["services"]) > MAX_SERVICES:
        raise Refused(
            f"There are more than {MAX_SERVICES} services.",
            where=file.where("services"),
            remedy="Remove services that the worksheet does not ask for.",
        )
    check_services(file)
    check(Place(file, setting, (), data), model_stack.MODEL)
    services = {str(n): _service(file, str(n), body) for n, body in data["services"].items()}
    return StackFile(file, services)


def check_services(file: YamlFile) -> None:
    """Refuse services of which nothing is said."""
    for service, body in file.data["services"].items():
        refuse_empty(file, str(service), body)


def of_document(file: YamlFile) -> StackFile:
    """The same of a document that the docker CLI resolved and that was held against the list."""
    check_services(file)
    return StackFile(
        file,
        {
            name: StackService(name, str(body.get("image") or ""), body, file)
            for name, body in file.data["services"].items()
        },
    )


def _service(file: YamlFile, name: str, body: dict[str, Any]) -> StackService:
    image = body.get("image")
    if not isinstance(image, str) or not image:
        raise Refused(
            f"The service `{name}` has no image.",
            where=file.where("services", name, "image"),
            remedy="Write `image: NAME:TAG`.",
        )
    return StackService(name, fill_in(image, ENVIRONMENT), _filled(body), file)


def _filled(value: Any) -> Any:
    """The same data with variables filled in as the docker CLI does."""
    if isinstance(value, str):
        return fill_in(value, ENVIRONMENT)
    if isinstance(value, list):
        return [_filled(item) for item in value]
    if isinstance(value, dict):
        return {key: _filled(item) for key, item in value.items()}
    return value
