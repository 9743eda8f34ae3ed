"""The runbook of the compose exercise, played: each step judged by what it did to the containers.

What is played on is the kit's own small application (templates/lab4/compose), so that nothing of
this depends on the student's counter or blog. Before some steps the kit changes a file of it, as
someone who works on it would.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grader.modules.compose import ComposeProject, Named
from grader.modules.confined import confined
from grader.modules.container import Container
from grader.modules.runbook import scenario
from grader.modules.runbook.scenario import Ran, StepCheck
from grader.modules.runbook.vetted import Allowed, Book, Part
from grader.vetting.composecli import Vetted

FILE = "compose/runbook.txt"
HOST = "laptop"
PLACE = "/drydock/compose"
COMMAND_SECONDS = 60

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class State:
    """The project at one moment; one-off containers of `run` stand apart."""

    pages: tuple[Container, ...]
    stores: tuple[Container, ...]
    once: tuple[Container, ...]
    networks: tuple[Named, ...]
    volumes: tuple[Named, ...]

    @property
    def everything(self) -> tuple[Container, ...]:
        return (*self.pages, *self.stores, *self.once)

    @property
    def in_words(self) -> str:
        return "; ".join(c.in_words for c in self.everything) or "no container"


@dataclass
class Scene(scenario.Scene[Vetted]):
    """What a check looks at: a step that was just played, the project before and after it."""

    scenario: Scenario
    before: State

    @property
    def now(self) -> State:
        return self.scenario.state()

    @property
    def variant(self) -> Mapping[str, Any]:
        return self.scenario.variant

    def wants(self, there: bool, otherwise: str) -> None:
        """A precondition of the step; without a good start the check waits for that."""
        if there:
            return
        if not self.scenario.passed("life_started"):
            self.scenario.blocked("life_started")
        self.fail(otherwise, actual=self.before.in_words)


class Scenario(scenario.Scenario[Vetted, Scene]):
    """See the module. `files` are the application's; a check's `change` is done to them before its
    step."""

    def __init__(
        self,
        node: Any,
        book: Book[Vetted],
        files: Files,
        variant: Mapping[str, Any],
        checks: Sequence[StepCheck[Scene]],
        stage: Callable[[str], Any],
    ) -> None:
        super().__init__(book, checks, stage, f"{HOST}$")
        self.node = node
        self.variant = variant
        self.project = ComposeProject(node, "compose", PLACE, ["compose.yaml"])
        self._files = files
        self._placed: Files = {}

    def state(self) -> State:
        found = self.project.containers()
        once = [c for c in found if c.one_off]
        usual = [c for c in found if not c.one_off]
        return State(
            tuple(c for c in usual if c.service == "page"),
            tuple(c for c in usual if c.service == "store"),
            tuple(once),
            tuple(self.project.networks()),
            tuple(self.project.volumes()),
        )

    def inside(self, container: Container, argv: Sequence[str]) -> str:
        """What a command in a container of the kit's own application prints."""
        api = self.node.docker.api
        made = api.exec_create(container.id, list(argv))
        return bytes(api.exec_start(made["Id"])).decode("utf-8", errors="replace")

    def scene(self, part: Part[Vetted], checks: Sequence[StepCheck[Scene]]) -> Scene:
        for each in checks:
            if "change" in each.options:
                self._files = each.options["change"](self._files)
        if self._placed != self._files:
            self.node.put(self._files, PLACE)
            self._placed = self._files
        return Scene(part, self, self.state())

    def run(self, allowed: Allowed[Vetted]) -> Ran[Vetted]:
        done = confined(self.node, allowed.vetted.argv, timeout=COMMAND_SECONDS, cwd=PLACE)
        return Ran(allowed, done)
