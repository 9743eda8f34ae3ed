"""The runbook of the registry exercise, played: each step judged by what is in the registry and on
the engine after it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from grader.modules import registry
from grader.modules.registry import Registry
from grader.modules.runbook import one_engine
from grader.modules.runbook.one_engine import ANSWERS_WITHIN, Unknown
from grader.modules.runbook.scenario import StepCheck
from grader.modules.runbook.vetted import Part
from grader.vetting.imagecli import Vetted
from grader.waiting import wait_until

FILE = "registry/runbook.txt"
DIGEST = "DIGEST"
"""Stands for the digest that the registry has for the tag latest."""


@dataclass(frozen=True)
class State(one_engine.State):
    """The engine and the registry at one moment."""

    registry: Registry

    def of(self, addresses: Sequence[str]) -> list[str]:
        """The names of images that begin with one of the registry's addresses."""
        return sorted(name for name in self.images if name.startswith(tuple(addresses)))


@dataclass
class Scene(one_engine.Scene):
    """A step that was just played; `before` is how engine and registry were."""

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


class Scenario(one_engine.Scenario):
    """See the module."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        variant = self.variant
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
        there = registry.look(self.node, self.port)
        return State(**vars(one_engine.look(self.node)), registry=there)

    def scene(self, part: Part[Vetted], checks: Sequence[StepCheck[Any]]) -> Scene:
        return Scene(part, self, self.state())

    def values(self, names: Collection[str]) -> dict[str, str]:
        if DIGEST not in names:
            return {}
        latest = registry.look(self.node, self.port).tags(self.repository).get("latest")
        if latest is None:
            raise Unknown(f"the registry has no tag latest, so ${{{DIGEST}}} is nothing")
        return {DIGEST: latest.digest}
