"""The runbook of the compose exercise, played: each step judged by what it did to the containers.

What is played on is the kit's own small application (templates/lab4/compose), so that nothing of
this depends on the student's counter or blog. Before some steps the kit changes a file of it, as
somebody who works on it would.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from grader import runbook
from grader.checks import CheckFailed, NeedsFirst, fail, needs_first
from grader.modules.compose import ComposeProject, Named
from grader.modules.confined import confined
from grader.modules.container import Container
from grader.playbook import Allowed, Book, Part
from grader.targets.node import Completed
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


@dataclass(frozen=True)
class Ran:
    """A command and what came of it."""

    allowed: Allowed[Vetted]
    done: Completed

    @property
    def story(self) -> str:
        late = "\n(it did not end, and was stopped)" if self.done.timed_out else ""
        return f"{self.allowed.command.text}\n{self.done.out.strip()}".strip() + late


@dataclass(frozen=True)
class Judge:
    """Decides one check after the step of its name; `change` is done to the files before it."""

    check: str
    step: str
    decide: Callable[[Scene], None]
    change: Callable[[Files], Files] | None = None


@dataclass
class Scene:
    """What a judge looks at: a step that was just played, the project before and after it."""

    play: Play
    part: Part[Vetted]
    before: State
    ran: list[Ran] = field(default_factory=list)

    @property
    def now(self) -> State:
        return self.play.state()

    @property
    def variant(self) -> Mapping[str, Any]:
        return self.play.variant

    @property
    def story(self) -> str:
        told = [f"line {p.line}, not run: {p.reason}" for p in self.part.problems]
        return "\n\n".join([*(ran.story for ran in self.ran), *told])

    def fail(
        self,
        reason: str,
        *,
        expected: object = None,
        actual: object = None,
        hint: str | None = None,
    ) -> NoReturn:
        """End the check; a refused command is the first hint."""
        if self.part.problems:
            problem = self.part.problems[0]
            hint = f"Line {problem.line} was not run: {problem.reason} {problem.hint}"
        fail(reason, expected=expected, actual=actual, hint=hint, log=self.story)

    def wants(self, there: bool, otherwise: str) -> None:
        """A precondition of the step; without a good start the check waits for that."""
        if there:
            return
        if not self.play.passed("life_started"):
            self.play.blocked()
        self.fail(otherwise, actual=self.before.in_words)


class Play:
    """See the module. `files` are the application's; `stage` is the plugin's, for the times."""

    def __init__(
        self,
        node: Any,
        book: Book[Vetted],
        files: Files,
        variant: Mapping[str, Any],
        judges: Sequence[Judge],
        stage: Callable[[str], Any],
    ) -> None:
        self.node = node
        self.book = book
        self.variant = variant
        self.judges = judges
        self.stage = stage
        self.project = ComposeProject(node, "compose", PLACE, ["compose.yaml"])
        self.verdicts: dict[str, BaseException | None] = {}
        self._files = files
        self._left: deque[Part[Vetted]] | None = None

    def see(self, check: str) -> None:
        """Play on until the check is decided; raises what its judge raised."""
        step = next(judge.step for judge in self.judges if judge.check == check)
        if not self.book.named(step):
            self.book.miss(step, {judge.step for judge in self.judges})
        if self._left is None:
            self.node.put(self._files, PLACE)
            self._left = deque(self.book.parts)
        while check not in self.verdicts:
            self._play_next(self._left.popleft())
        error = self.verdicts[check]
        if error is not None:
            raise error

    def passed(self, check: str) -> bool:
        return check in self.verdicts and self.verdicts[check] is None

    def blocked(self) -> NoReturn:
        """End a check that needs the start; with its reason where the student cannot help it."""
        error = self.verdicts.get("life_started")
        if error is not None and not isinstance(error, (CheckFailed, NeedsFirst)):
            raise error
        needs_first("life_started")

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

    # ---------------------------------------------------------------------------------------

    def _play_next(self, part: Part[Vetted]) -> None:
        judges = [j for j in self.judges if runbook.normal(j.step) == runbook.normal(part.name)]
        for judge in judges:
            if judge.change is not None:
                self._files = judge.change(self._files)
                self.node.put(self._files, PLACE)
        scene = Scene(self, part, self.state())
        with self.stage("commands"):
            scene.ran += [self._run(allowed) for allowed in part.commands]
        with self.stage("observing"):
            for judge in judges:
                verdict = _verdict(judge, scene)
                if verdict is None or not self.passed(judge.check):
                    self.verdicts[judge.check] = verdict

    def _run(self, allowed: Allowed[Vetted]) -> Ran:
        done = confined(self.node, allowed.vetted.argv, timeout=COMMAND_SECONDS, cwd=PLACE)
        return Ran(allowed, done)


def _verdict(judge: Judge, scene: Scene) -> BaseException | None:
    """What a judge raises, or nothing."""
    try:
        if not scene.ran:
            scene.fail(
                f"The step “{judge.step}” has no command that could be run.",
                hint=f"Write them below `# step: {judge.step}`, each behind {HOST}$.",
            )
        judge.decide(scene)
    except Exception as error:
        return error
    return None
