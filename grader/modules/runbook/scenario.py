"""A runbook is played: each step is judged by its effect before the next one begins.

The order is the runbook's. A check of a step is one function, which decides it by what the step
has done:

    @step_check("scale", points=0.5)
    def check_scaled(scene: Scene) -> None:
        # "Scale: your number of containers run." as its docstring
        if len(scene.now.pages) != scene.variant["replicas"]:
            scene.fail("There are not that many.", …)

The scenario goes on as far as the next check needs, and what was decided on the way is kept for the
checks to come. An exercise says what its checks look at and how a command is run, in a fixture
`scenario`:

    @dataclass
    class Scene(scenario.Scene[Vetted]):
        before: State

    class Scenario(scenario.Scenario[Vetted, Scene]):
        def scene(self, part, checks):
            return Scene(part, self.state())

        def run(self, allowed):
            return Ran(allowed, confined(self.node, allowed.command.filled({}), …))

    @pytest.fixture(scope="session")
    def scenario(book, step_checks, stage):
        return Scenario(book, step_checks, stage, "laptop$")
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Generic, NoReturn, TypeVar

from grader.checks import CheckFailed, NeedsFirst, check, fail, needs_first
from grader.modules.runbook import parse
from grader.modules.runbook.vetted import Allowed, Book, Part
from grader.nodes.node import Completed

V = TypeVar("V")
"""What vetting makes of a command that may be run."""

S = TypeVar("S", bound="Scene[Any]")


@dataclass(frozen=True)
class Ran(Generic[V]):
    """A command and its result. If it needs an unknown value, it does not run, and `unknown`
    says why."""

    allowed: Allowed[V]
    done: Completed | None
    unknown: str = ""

    @property
    def ok(self) -> bool:
        return self.done is not None and self.done.ok

    @property
    def out(self) -> str:
        return self.done.out if self.done else ""

    @property
    def transcript(self) -> str:
        """The command, and below it its output."""
        text = self.allowed.command.text
        if self.done is None:
            return f"{text}\n(not run: {self.unknown})"
        late = "\n(it did not end, and was stopped)" if self.done.timed_out else ""
        return f"{text}\n{self.done.out.strip()}".strip() + late


@dataclass
class Scene(Generic[V]):
    """What a check judges: a step that was just played. Exercises add the state before it."""

    part: Part[V]
    ran: list[Ran[V]] = field(default_factory=list, init=False)

    @property
    def transcript(self) -> str:
        """All commands of the step and their output."""
        told = [f"line {p.line}, not run: {p.reason}" for p in self.part.problems]
        return "\n\n".join([*(ran.transcript for ran in self.ran), *told])

    def fail(
        self,
        reason: str,
        *,
        expected: object = None,
        actual: object = None,
        hint: str | None = None,
        log: str = "",
    ) -> NoReturn:
        """End the check; the step's commands are the log, and a refused one is the first hint."""
        if self.part.problems:
            problem = self.part.problems[0]
            hint = f"Line {problem.line} was not run: {problem.reason} {problem.hint}"
        told = "\n\n".join(filter(None, [self.transcript, log]))
        fail(reason, expected=expected, actual=actual, hint=hint, log=told)


@dataclass(frozen=True)
class StepCheck(Generic[S]):
    """Decides one check after the step of its name; `needs` are checks that must have passed.

    `read_only` decides it by the present state, if nothing is played; or it says why that is
    impossible. `options` are the exercise's own.
    """

    check: str
    step: str
    decide: Callable[[S], None]
    needs: tuple[str, ...] = ()
    read_only: Callable[[S], None] | str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


def step_check(
    step: str,
    *,
    points: float,
    needs: Sequence[str] = (),
    hint: str | None = None,
    read_only: Callable[[Any], None] | str = "",
    **options: Any,
) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Make a function of a scene the check of the runbook's step `step` (see `StepCheck`).

    Unlike the `needs` of `check`, its `needs` may come later in the file: the runbook has its own
    order.
    """

    def decorate(decide: Callable[[Any], None]) -> Callable[[Any], None]:
        name = decide.__name__.removeprefix("check_")

        def checked(scenario: Any) -> None:
            scenario.verdict(name)

        checked.__name__, checked.__doc__ = decide.__name__, decide.__doc__
        checked.__module__ = decide.__module__
        made = check(points=points, hint=hint)(checked)
        made.step_check = StepCheck(  # type: ignore[attr-defined]
            name, step, decide, tuple(needs), read_only, options
        )
        return made

    return decorate


class Verdicts(Generic[S]):
    """What has been decided so far, by check."""

    def __init__(self) -> None:
        self.verdicts: dict[str, BaseException | None] = {}

    def passed(self, check: str) -> bool:
        return check in self.verdicts and self.verdicts[check] is None

    def blocked(self, check: str) -> NoReturn:
        """End a check that needs one which has not passed.

        If that one was not graded (the grader broke, or the target cannot show it), its reason is
        used.
        """
        error = self.verdicts.get(check)
        if error is not None and not isinstance(error, (CheckFailed, AssertionError, NeedsFirst)):
            raise error
        needs_first(check)

    def decided(
        self, decide: Callable[[S], None], scene: S, needs: Sequence[str]
    ) -> BaseException | None:
        """The exception that `decide` raises, or None."""
        try:
            for need in needs:
                if not self.passed(need):
                    self.blocked(need)
            decide(scene)
        except Exception as error:
            return error
        return None


class Scenario(Verdicts[S], Generic[V, S], ABC):
    """See the module. `prompt` is the prompt of commands in the runbook (`laptop$`), `stage` is
    the plugin's, for the record's times."""

    def __init__(
        self,
        book: Book[V],
        checks: Sequence[StepCheck[S]],
        stage: Callable[[str], AbstractContextManager[Any]],
        prompt: str,
    ) -> None:
        Verdicts.__init__(self)  # Not super(): an exercise may have another base besides.
        self.book = book
        self.checks = checks
        self.stage = stage
        self.prompt = prompt
        self._left = deque(book.parts)
        self._steps = {each.check: each.step for each in checks}

    @abstractmethod
    def scene(self, part: Part[V], checks: Sequence[Any]) -> S:
        """The state before a step, for the checks that judge the step."""

    @abstractmethod
    def run(self, allowed: Allowed[V]) -> Ran[V]:
        """Run a command on its node."""

    def verdict(self, check: str) -> None:
        """Play until the check is decided; raises what the check raised."""
        step = self._steps[check]
        if not self.book.named(step):
            self.book.miss(step, set(self._steps.values()))
        while check not in self.verdicts:
            self._play(self._left.popleft())
        error = self.verdicts[check]
        if error is not None:
            raise error

    def _play(self, part: Part[V]) -> None:
        name = parse.normal(part.name)
        checks = [each for each in self.checks if parse.normal(each.step) == name]
        scene = self.scene(part, checks)
        with self.stage("commands"):
            scene.ran += [self.run(allowed) for allowed in part.commands]
        with self.stage("observing"):
            for each in checks:
                verdict = self.decided(self._unless_empty(each), scene, each.needs)
                if verdict is None or not self.passed(each.check):
                    self.verdicts[each.check] = verdict

    def _unless_empty(self, step_check: StepCheck[S]) -> Callable[[S], None]:
        def decide(scene: S) -> None:
            if not scene.ran:
                scene.fail(
                    f"The step “{step_check.step}” has no command that could be run.",
                    hint=f"Write them below `# step: {step_check.step}`, each after {self.prompt}",
                )
            step_check.decide(scene)

        return decide
