"""A runbook is played: each step is judged by its effect before the next one begins.

The order is the runbook's. A check asks for its verdict with `see`; the play goes on as far as
that takes, and what was judged on the way is kept for the checks to come. A verdict is what the
judge raised, or nothing.

An exercise says what its judges look at, and how a command is run:

    @dataclass
    class Scene(playing.Scene[Vetted]):
        before: State

    class Play(playing.Play[Vetted, Scene]):
        def scene(self, part, judges):
            return Scene(part, self.state())

        def run(self, allowed):
            return Ran(allowed, confined(self.node, allowed.command.filled({}), …))
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Generic, NoReturn, TypeVar

from grader.checks import CheckFailed, NeedsFirst, fail, needs_first
from grader.modules.runbook import parse
from grader.modules.runbook.vetted import Allowed, Book, Part
from grader.nodes.node import Completed

V = TypeVar("V")
"""What vetting makes of a command that may be run."""

S = TypeVar("S", bound="Scene[Any]")


@dataclass(frozen=True)
class Ran(Generic[V]):
    """A command and what came of it; without a value it needs it is not run, and `unknown` says
    why."""

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
    def story(self) -> str:
        """The command, and below it what it said."""
        text = self.allowed.command.text
        if self.done is None:
            return f"{text}\n(not run: {self.unknown})"
        late = "\n(it did not end, and was stopped)" if self.done.timed_out else ""
        return f"{text}\n{self.done.out.strip()}".strip() + late


@dataclass
class Scene(Generic[V]):
    """What a judge looks at: a step that was just played. Exercises add how things stood before."""

    part: Part[V]
    ran: list[Ran[V]] = field(default_factory=list, init=False)

    @property
    def story(self) -> str:
        """All commands of the step and what they said."""
        told = [f"line {p.line}, not run: {p.reason}" for p in self.part.problems]
        return "\n\n".join([*(ran.story for ran in self.ran), *told])

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
        told = "\n\n".join(filter(None, [self.story, log]))
        fail(reason, expected=expected, actual=actual, hint=hint, log=told)


@dataclass(frozen=True)
class Judge(Generic[S]):
    """Decides one check after the step of its name; `needs` are checks that must have passed."""

    check: str
    step: str
    decide: Callable[[S], None]
    needs: tuple[str, ...] = ()


class Verdicts(Generic[S]):
    """What was decided so far, by check."""

    def __init__(self) -> None:
        self.verdicts: dict[str, BaseException | None] = {}

    def passed(self, check: str) -> bool:
        return check in self.verdicts and self.verdicts[check] is None

    def blocked(self, check: str) -> NoReturn:
        """End a check that needs one which has not passed.

        Where that was not the student's to pass (the grader broke there, the target cannot show
        it), with its reason.
        """
        error = self.verdicts.get(check)
        if error is not None and not isinstance(error, (CheckFailed, AssertionError, NeedsFirst)):
            raise error
        needs_first(check)

    def verdict(
        self, decide: Callable[[S], None], scene: S, needs: Sequence[str]
    ) -> BaseException | None:
        """What a judge raises, or nothing."""
        try:
            for need in needs:
                if not self.passed(need):
                    self.blocked(need)
            decide(scene)
        except Exception as error:
            return error
        return None


class Play(Verdicts[S], Generic[V, S], ABC):
    """See the module. `behind` says what commands stand behind in the runbook (`laptop$`), `stage`
    is the plugin's, for the record's times."""

    def __init__(
        self,
        book: Book[V],
        judges: Sequence[Judge[S]],
        stage: Callable[[str], AbstractContextManager[Any]],
        behind: str,
    ) -> None:
        Verdicts.__init__(self)  # Not super(): an exercise may have another base besides.
        self.book = book
        self.judges = judges
        self.stage = stage
        self.behind = behind
        self._left = deque(book.parts)
        self._steps = {judge.check: judge.step for judge in judges}

    @abstractmethod
    def scene(self, part: Part[V], judges: Sequence[Any]) -> S:
        """How things stand before a step, which these judges will decide about."""

    @abstractmethod
    def run(self, allowed: Allowed[V]) -> Ran[V]:
        """Run a command, where it is typed."""

    def see(self, check: str) -> None:
        """Play on until the check is decided; raises what its judge raised."""
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
        judges = [judge for judge in self.judges if parse.normal(judge.step) == name]
        scene = self.scene(part, judges)
        with self.stage("commands"):
            scene.ran += [self.run(allowed) for allowed in part.commands]
        with self.stage("observing"):
            for judge in judges:
                verdict = self.verdict(self._unless_empty(judge), scene, judge.needs)
                if verdict is None or not self.passed(judge.check):
                    self.verdicts[judge.check] = verdict

    def _unless_empty(self, judge: Judge[S]) -> Callable[[S], None]:
        def decide(scene: S) -> None:
            if not scene.ran:
                scene.fail(
                    f"The step “{judge.step}” has no command that could be run.",
                    hint=f"Write them below `# step: {judge.step}`, each behind {self.behind}",
                )
            judge.decide(scene)

        return decide
