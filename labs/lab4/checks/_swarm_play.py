"""A runbook is played: each step on its nodes, and judged by its effect before the next one.

The order is the runbook's. A check asks for its verdict with `see`; the play goes on as far as
that takes, and what was judged on the way is kept for the checks to come. A verdict is what the
judge raised, or nothing.
"""

from __future__ import annotations

import contextlib
import math
import re
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

from _swarm_book import Allowed, Book, Part, argv
from _swarm_probe import Probe

from grader import runbook
from grader.checks import CheckFailed, NeedsFirst, eventually, fail, needs_first
from grader.modules.confined import confined
from grader.modules.service import Service
from grader.modules.swarm import NoManager, Swarm, SwarmNode
from grader.targets.node import Completed

T = TypeVar("T")

LISTENING = 60
"""Seconds after which nobody listens any longer, however slow the nodes are."""

COMMAND_SECONDS = 90
AFTER_A_LONG_ONE = 20
"""`docker service create` and the like wait until all tasks run, if need be for ever. That they
are stopped changes nothing: the swarm has been told. So one long wait is enough."""

OWN_FAULT_SECONDS = 20
"""How long a command is tried again that an engine refuses for a reason of its own."""

_ENGINES_OWN = re.compile(
    r"out of sequence|can't find manager in raft memberlist|raft: failed to process the request"
    r"|swarm does not have a leader"
)


@dataclass(frozen=True)
class Judge:
    """Decides one check after the step of its name; `needs` are checks that must have passed.

    `live` decides it by what is there now (see _swarm_live.py); or it says why nothing can.
    """

    check: str
    step: str
    decide: Callable[[Scene], None]
    needs: tuple[str, ...] = ()
    live: Callable[[Scene], None] | str = ""


@dataclass(frozen=True)
class Ran:
    """A command and what came of it; `done` is None if a value it needs was not there."""

    allowed: Allowed
    done: Completed | None
    unknown: str = ""

    @property
    def ok(self) -> bool:
        return self.done is not None and self.done.ok

    @property
    def story(self) -> str:
        text = self.allowed.command.text
        if self.done is None:
            return f"{text}\n(not run: {self.unknown} has no value, since there is no swarm)"
        return f"{text}\n{self.done.out.strip()}".strip()


@dataclass(frozen=True)
class Moment:
    """The swarm before a step: members and services by name; nothing where no node manages."""

    managed: bool
    members: Mapping[str, SwarmNode]
    services: Mapping[str, Service]


@dataclass
class Scene:
    """What a judge looks at: a step that was just played, and the swarm as it is now."""

    play: Round
    part: Part
    before: Moment
    ran: list[Ran] = field(default_factory=list)

    @property
    def swarm(self) -> Swarm:
        return self.play.swarm

    @property
    def variant(self) -> Mapping[str, Any]:
        return self.play.variant

    @property
    def story(self) -> str:
        """All commands of the step and what they said."""
        told = [f"line {p.line}, not run: {p.reason}" for p in self.part.problems]
        return "\n\n".join([*(ran.story for ran in self.ran), *told])

    def wait(
        self,
        what: Callable[[], T],
        within: float,
        stable_for: float = 0.0,
        every: float = 0.1,
    ) -> T | None:
        """`eventually`, with the patience that the target needs."""
        return eventually(what, within=self.seconds(within), stable_for=stable_for, every=every)

    def seconds(self, usual: float) -> int:
        """So long here, where in a sandbox it would be `usual` seconds."""
        return math.ceil(usual * self.play.target.patience)

    def listening(self, usual: float) -> int:
        """So long is listened for packets here: what comes at all comes soon, to slow nodes too."""
        return min(self.seconds(usual), max(LISTENING, math.ceil(usual)))

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
        fail(
            reason,
            expected=expected,
            actual=actual,
            hint=hint,
            log="\n\n".join(filter(None, [self.story, log])),
        )

    def wants(self, there: bool, check: str, otherwise: str) -> None:
        """A precondition: if it is not there, the check waits for `check`, unless that passed."""
        if there:
            return
        if not self.play.passed(check):
            self.play.blocked(check)
        self.fail(otherwise)


class Round(ABC):
    """What a play and a look at a live swarm share: the verdicts, and what judges ask."""

    def __init__(self, target: Any, variant: Mapping[str, Any], judges: Sequence[Judge]) -> None:
        self.target = target
        self.swarm = Swarm(target)
        self.variant = variant
        self.judges = judges
        self.probe = Probe(self.swarm)
        self.service = str(variant["swarm_service"])
        """The service that is scaled, under the name that it really got."""
        self.verdicts: dict[str, BaseException | None] = {}

    @abstractmethod
    def see(self, check: str) -> None:
        """Decide the check, if it is not decided yet; raises what its judge raised."""

    @abstractmethod
    def close(self) -> None:
        """Take away what the grader made, where that does not go with the target."""

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

    def moment(self) -> Moment:
        try:
            members = {n.name: n for n in self.swarm.nodes() if n.state != "down"}
            services = {s.name: s for s in self.swarm.services()}
        except NoManager:
            return Moment(False, {}, {})
        return Moment(True, members, services)

    def verdict(
        self, decide: Callable[[Scene], None], scene: Scene, needs: Sequence[str]
    ) -> BaseException | None:
        """What a judge raises, or nothing."""
        try:
            for need in needs:
                if not self.passed(need):
                    self.blocked(need)
            decide(scene)
        except NoManager as error:
            try:
                scene.wants(False, "nodes", f"There is no swarm any more: {error}")
            except Exception as verdict:
                return verdict
        except Exception as error:
            return error
        return None


class Play(Round):
    """See the module's docstring. `stage` is the plugin's, for the record's times."""

    def __init__(
        self,
        target: Any,
        book: Book,
        variant: Mapping[str, Any],
        judges: Sequence[Judge],
        stage: Callable[[str], Any],
    ) -> None:
        super().__init__(target, variant, judges)
        self.book = book
        self.stage = stage
        self._left = deque(book.parts)
        self._patience = COMMAND_SECONDS * target.patience
        self._steps = {judge.check: judge.step for judge in judges}
        target.prepare()

    def see(self, check: str) -> None:
        """Play on until the check is decided."""
        step = self._steps[check]
        if not self.book.named(step):
            self.book.miss(step, set(self._steps.values()))
        while check not in self.verdicts and self._left:
            self._play_next()
        error = self.verdicts[check]
        if error is not None:
            raise error

    def close(self) -> None:
        self.target.restore()

    # ---------------------------------------------------------------------------------------

    def _play_next(self) -> None:
        part = self._left.popleft()
        judges = [j for j in self.judges if runbook.normal(j.step) == runbook.normal(part.name)]
        if any(judge.step == "drain" for judge in judges):
            with contextlib.suppress(NoManager):
                self.probe.ensure()
                self.probe.everywhere()
        scene = Scene(self, part, self.moment())
        with self.stage("commands"):
            scene.ran += [self._run(allowed) for allowed in part.commands]
        with self.stage("observing"):
            for judge in judges:
                verdict = self._verdict(judge, scene)
                if verdict is None or not self.passed(judge.check):
                    self.verdicts[judge.check] = verdict

    def _verdict(self, judge: Judge, scene: Scene) -> BaseException | None:
        def decide(scene: Scene) -> None:
            if not scene.ran:
                scene.fail(
                    f"The step “{judge.step}” has no command that could be run.",
                    hint=f"Write them below `# step: {judge.step}`, each behind the node it is"
                    " typed on: manager1$ docker …",
                )
            judge.decide(scene)

        return self.verdict(decide, scene, judge.needs)

    def _run(self, allowed: Allowed) -> Ran:
        node = self.target.node(allowed.command.node)
        try:
            values = self._values(allowed.command.names)
        except NoManager:
            return Ran(allowed, None, ", ".join(sorted(allowed.command.names)))
        words = argv(allowed, values)
        deadline = time.monotonic() + OWN_FAULT_SECONDS * self.target.patience
        while True:
            done = confined(node, words, timeout=self._patience, cwd="/")
            if done.timed_out:
                self._patience = AFTER_A_LONG_ONE * self.target.patience
            again = not done.ok and _ENGINES_OWN.search(done.out)
            if not again or time.monotonic() > deadline:
                return Ran(allowed, done)
            time.sleep(0.5)

    def _values(self, names: frozenset[str]) -> dict[str, str]:
        values = {}
        for name in names:
            subject, _, kind = name.lower().rpartition("_")
            if kind == "addr":
                values[name] = self.target.node(subject).address
            else:
                values[name] = self.swarm.join_token(subject)
        return values
