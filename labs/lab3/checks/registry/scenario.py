"""The runbook of the registry exercise, played: each step judged by what is in the registry and on
the engine after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grader.modules import registry
from grader.modules.confined import confined
from grader.modules.container import Container
from grader.modules.registry import Registry
from grader.modules.runbook import scenario
from grader.modules.runbook.scenario import Ran, StepCheck
from grader.modules.runbook.vetted import Allowed, Book, Part
from grader.vetting.imagecli import Vetted
from grader.waiting import wait_until

FILE = "registry/runbook.txt"
HOST = "laptop"
DIGEST = "DIGEST"
"""Stands for the digest that the registry has for the tag latest."""

COMMAND_SECONDS = 120
ANSWERS_WITHIN = 20


@dataclass(frozen=True)
class State:
    """The engine and the registry at one moment: IDs of images by name, digests by ID."""

    registry: Registry
    containers: Mapping[str, Container]
    images: Mapping[str, str]
    digests: frozenset[str]

    def of(self, addresses: Sequence[str]) -> list[str]:
        """The names of images that begin with one of the registry's addresses."""
        return sorted(name for name in self.images if name.startswith(tuple(addresses)))


@dataclass
class Scene(scenario.Scene[Vetted]):
    """What a check looks at: a step that was just played, and how things stood before it."""

    scenario: Scenario
    before: State

    @property
    def now(self) -> State:
        return self.scenario.state()

    def wait_for_registry(self) -> State:
        """How things stand once the registry answers, or when it has had its time."""
        found = wait_until(
            lambda: state if (state := self.now).registry.answers else None,
            within=ANSWERS_WITHIN * self.scenario.timeout_factor,
            every=0.5,
        )
        return found or self.now


class Scenario(scenario.Scenario[Vetted, Scene]):
    """See the module."""

    def __init__(
        self,
        node: Any,
        book: Book[Vetted],
        variant: Mapping[str, Any],
        timeout_factor: float,
        checks: Sequence[StepCheck[Scene]],
        stage: Callable[[str], Any],
    ) -> None:
        super().__init__(book, checks, stage, f"{HOST}$")
        self.node = node
        self.timeout_factor = timeout_factor
        self.port = int(variant["registry_port"])
        self.name = str(variant["registry_name"])
        self.volume = str(variant["registry_volume"])
        self.repository = str(variant["repository"])
        self.first, self.second = str(variant["first_tag"]), str(variant["second_tag"])
        self.addresses = (f"localhost:{self.port}/", f"127.0.0.1:{self.port}/")

    def names(self, tag: str) -> tuple[str, ...]:
        """What the image of a tag may be called on the engine; the first is the usual one."""
        return tuple(f"{address}{self.repository}:{tag}" for address in self.addresses)

    def image(self, name: str) -> str:
        """The ID of one of the lab's own images."""
        return str(self.node.docker.images.get(name).id)

    def state(self) -> State:
        api = self.node.docker.api
        images: dict[str, str] = {}
        digests: set[str] = set()
        for image in api.images():
            images.update({tag: str(image["Id"]) for tag in image.get("RepoTags") or []})
            digests.update(image.get("RepoDigests") or [])
        found = (Container(api.inspect_container(c["Id"])) for c in api.containers(all=True))
        there = {container.name: container for container in found}
        return State(registry.look(self.node, self.port), there, images, frozenset(digests))

    def scene(self, part: Part[Vetted], checks: Sequence[StepCheck[Scene]]) -> Scene:
        return Scene(part, self, self.state())

    def run(self, allowed: Allowed[Vetted]) -> Ran[Vetted]:
        values: dict[str, str] = {}
        if DIGEST in allowed.command.names:
            latest = registry.look(self.node, self.port).tags(self.repository).get("latest")
            if latest is None:
                why = f"the registry has no tag latest, so ${{{DIGEST}}} is nothing"
                return Ran(allowed, None, why)
            values[DIGEST] = latest.digest
        argv = allowed.command.filled(values)
        limit = COMMAND_SECONDS * self.timeout_factor
        return Ran(allowed, confined(self.node, argv, timeout=limit, cwd="/"))
