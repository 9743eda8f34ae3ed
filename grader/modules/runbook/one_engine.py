"""A runbook of docker commands on one engine: containers, images, volumes.

This is all that an exercise needs beside its checks (docs/writing-a-lab.md shows one whole):

    book, scenario = one_engine.fixtures("hello/runbook.txt")

    @step_check("run", points=1)
    def check_runs(scene: Scene) -> None:
        # "Run: your container runs." as its docstring
        scene.must_run(scene.variant["name"])

Commands are typed after `laptop$`. An exercise that asks more of a step extends State, Scene and
Scenario, as lab3's registry does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from grader.checks import CheckFailed, fail, needs_first
from grader.modules import container, http
from grader.modules.confined import confined
from grader.modules.container import Container
from grader.modules.http import Answer
from grader.modules.runbook import scenario as playing
from grader.modules.runbook import vetted
from grader.modules.runbook.scenario import Ran, StepCheck
from grader.modules.runbook.vetted import Allowed, Part
from grader.nodes.node import Node
from grader.vetting import imagecli
from grader.vetting.imagecli import Rules, Vetted
from grader.waiting import wait_until

HOST = "laptop"
COMMAND_SECONDS = 120
ANSWERS_WITHIN = 20

Book = vetted.Book[Vetted]


@dataclass(frozen=True)
class State:
    """An engine at one moment: containers by name, including ended ones; IDs of images by name;
    names with a registry's digest; names of volumes."""

    containers: Mapping[str, Container]
    images: Mapping[str, str]
    digests: frozenset[str]
    volumes: frozenset[str]


def look(node: Node) -> State:
    """The present state of the node's engine."""
    api = node.docker.api
    images: dict[str, str] = {}
    digests: set[str] = set()
    for image in api.images():
        images.update({str(tag): str(image["Id"]) for tag in image.get("RepoTags") or []})
        digests.update(image.get("RepoDigests") or [])
    volumes = {str(volume["Name"]) for volume in api.volumes()["Volumes"] or []}
    there = {each.name: each for each in container.containers(node)}
    return State(there, images, frozenset(digests), frozenset(volumes))


@dataclass
class Scene(playing.Scene[Vetted]):
    """A step that was just played; `before` is the engine's state before it."""

    scenario: Scenario
    before: State

    @property
    def now(self) -> State:
        return look(self.scenario.node)

    @property
    def variant(self) -> Mapping[str, Any]:
        """The student's values."""
        return self.scenario.variant

    def must_exist(self, name: str) -> Container:
        """The container of this name, ended or not; ends the check if there is none."""
        there = self.now.containers
        if name not in there:
            self.fail(
                f"There is no container {name}.",
                expected=f"a container {name}",
                actual="containers: " + (", ".join(sorted(there)) or "none"),
                hint=f"docker run --detach --name {name} …",
            )
        return there[name]

    def must_run(self, name: str) -> Container:
        """The running container of this name; ends the check if there is none."""
        found = self.must_exist(name)
        if not found.running:
            self.fail(
                f"The container {name} does not run.",
                expected="running",
                actual=found.in_words,
                hint=f"docker logs {name} shows why.",
                log=container.log(self.scenario.node, found),
            )
        return found

    def is_new(self, name: str) -> bool:
        """Whether the container of this name is not the one from before the step."""
        there, before = self.now.containers.get(name), self.before.containers.get(name)
        return there is not None and (before is None or before.id != there.id)

    def must_answer(self, port: int, path: str = "/") -> Answer:
        """The answer to a browser on the student's computer at http://localhost:PORT; ends the
        check if there is no answer in time."""
        node = self.scenario.node
        answer = wait_until(
            lambda: http.get(node.address, port, path),
            within=ANSWERS_WITHIN * self.scenario.timeout_factor,
        )
        if answer is None:
            found = self.now.containers.values()
            ports = {f"{p.host_port} of {c.name}" for c in found for p in c.published}
            self.fail(
                f"Nothing answers at port {port}.",
                expected=f"an answer from http://localhost:{port}{path}",
                actual="published: " + (", ".join(sorted(ports)) or "no port"),
                hint=f"docker run --publish {port}:PORT …, with the port of the program in the"
                " container.",
            )
        return answer


class Scenario(playing.Scenario[Vetted, Scene]):
    """Plays the runbook on `node`."""

    def __init__(
        self,
        node: Node,
        book: Book,
        variant: Mapping[str, Any],
        timeout_factor: float,
        checks: Sequence[StepCheck[Any]],
        stage: Callable[[str], AbstractContextManager[Any]],
    ) -> None:
        super().__init__(book, checks, stage, f"{HOST}$")
        self.node = node
        self.variant = variant
        self.timeout_factor = timeout_factor

    def scene(self, part: Part[Vetted], checks: Sequence[StepCheck[Any]]) -> Scene:
        return Scene(part, self, look(self.node))

    def run(self, allowed: Allowed[Vetted]) -> Ran[Vetted]:
        try:
            argv = allowed.command.filled(self.values(allowed.command.names))
        except Unknown as unknown:
            return Ran(allowed, None, str(unknown))
        limit = COMMAND_SECONDS * self.timeout_factor
        return Ran(allowed, confined(self.node, argv, timeout=limit, cwd="/"))

    def values(self, names: Collection[str]) -> dict[str, str]:
        """The values of the ${NAMES} in a command. Raises Unknown."""
        return {}


class Unknown(Exception):
    """Why a value is unknown, so that a command does not run."""


def fixtures(
    file: str,
    *,
    registry: str | None = None,
    names: Collection[str] = (),
    scenario: type[Scenario] = Scenario,
) -> tuple[Any, Any]:
    """The fixtures `book` and `scenario` of an exercise with the runbook `file`.

    `registry` is the value with a registry's port on localhost: images may be pushed to it and
    pulled from it. `names` are those that the runbook may use as ${NAME}. The exercise has a check
    `runbook`, which uses `book`.
    """

    @pytest.fixture(scope="session", name="book")
    def read(submission: Path, allowed_images: Sequence[str], variant: Mapping[str, Any]) -> Book:
        rules = Rules(allowed_images, int(variant[registry]) if registry else None)
        return vetted.read(
            submission, file, [HOST], lambda words: imagecli.vet(words, rules), names
        )

    @pytest.fixture(scope="session", name="scenario")
    def play(
        node: Node,
        variant: Mapping[str, Any],
        target: Any,
        step_checks: list[Any],
        stage: Callable[[str], Any],
        request: pytest.FixtureRequest,
    ) -> Scenario:
        try:
            book = request.getfixturevalue("book")
        except CheckFailed:
            needs_first("runbook")
        return scenario(node, book, variant, target.timeout_factor, step_checks, stage)

    return read, play


def must_be_readable(book: Book) -> None:
    """The check `runbook`: there is at least one command, and all commands are allowed."""
    vetted.readable(book, f"docker commands, each after {HOST}$")
    if not any(part.commands for part in book.parts):
        fail(
            "The runbook has no command yet.",
            expected="below each step, the commands that you would type",
            hint=f"Begin with `{HOST}$ docker run …` below the first step.",
        )
