"""The swarm's runbook, played on its nodes (see grader/modules/runbook/scenario.py); and what that
has in common with a look at a running swarm.
"""

from __future__ import annotations

import contextlib
import math
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from grader.modules.confined import confined
from grader.modules.runbook import scenario
from grader.modules.runbook.scenario import Ran, StepCheck
from grader.modules.service import Service
from grader.modules.swarm import NoManager, Swarm, SwarmNode
from grader.vetting.dockercli import Vetted
from grader.waiting import wait_until

from .book import Allowed, Book, Part, argv
from .probe import Probe

T = TypeVar("T")

LISTENING = 60
"""Seconds after which no one listens any longer, however slow the nodes are."""

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
class Moment:
    """The swarm before a step: members and services by name; nothing where no node manages."""

    managed: bool
    members: Mapping[str, SwarmNode]
    services: Mapping[str, Service]


@dataclass
class Scene(scenario.Scene[Vetted]):
    """What a check looks at: a step that was just played, and the swarm as it is now."""

    scenario: Round
    before: Moment

    @property
    def swarm(self) -> Swarm:
        return self.scenario.swarm

    @property
    def variant(self) -> Mapping[str, Any]:
        return self.scenario.variant

    def wait(
        self,
        what: Callable[[], T],
        within: float,
        stable_for: float = 0.0,
        every: float = 0.1,
    ) -> T | None:
        """`wait_until`, with the time that the target needs."""
        return wait_until(what, within=self.seconds(within), stable_for=stable_for, every=every)

    def seconds(self, usual: float) -> int:
        """So long here, where in a sandbox it would be `usual` seconds."""
        factor: float = self.scenario.target.timeout_factor
        return math.ceil(usual * factor)

    def listening(self, usual: float) -> int:
        """So long is listened for packets here: what comes at all comes soon, to slow nodes too."""
        return min(self.seconds(usual), max(LISTENING, math.ceil(usual)))

    def wants(self, there: bool, check: str, otherwise: str) -> None:
        """A precondition: if it is not there, the check waits for `check`, unless that passed."""
        if there:
            return
        if not self.scenario.passed(check):
            self.scenario.blocked(check)
        self.fail(otherwise)


class Round(scenario.Verdicts[Scene], ABC):
    """What a scenario and a look at a running swarm share: the verdicts, and what checks ask."""

    def __init__(self, target: Any, variant: Mapping[str, Any]) -> None:
        super().__init__()
        self.target = target
        self.swarm = Swarm(target)
        self.variant = variant
        self.probe = Probe(self.swarm)
        self.service = str(variant["swarm_service"])
        """The service that is scaled, under the name that it really got."""

    @abstractmethod
    def verdict(self, check: str) -> None:
        """Decide the check, if it is not decided yet; raises what it raised."""

    @abstractmethod
    def close(self) -> None:
        """Take away what the grader made, where that does not go with the target."""

    def moment(self) -> Moment:
        try:
            members = {n.name: n for n in self.swarm.nodes() if n.state != "down"}
            services = {s.name: s for s in self.swarm.services()}
        except NoManager:
            return Moment(False, {}, {})
        return Moment(True, members, services)

    def decided(
        self, decide: Callable[[Scene], None], scene: Scene, needs: Sequence[str]
    ) -> BaseException | None:
        def while_there_is_one(scene: Scene) -> None:
            try:
                decide(scene)
            except NoManager as error:
                scene.wants(False, "nodes", f"There is no swarm any more: {error}")

        return super().decided(while_there_is_one, scene, needs)


class Scenario(scenario.Scenario[Vetted, Scene], Round):
    """See the module's docstring. `stage` is the plugin's, for the record's times."""

    def __init__(
        self,
        target: Any,
        book: Book[Vetted],
        variant: Mapping[str, Any],
        checks: Sequence[StepCheck[Scene]],
        stage: Callable[[str], Any],
    ) -> None:
        Round.__init__(self, target, variant)
        scenario.Scenario.__init__(
            self, book, checks, stage, "the node it is typed on: manager1$ docker …"
        )
        self._timeout_factor = COMMAND_SECONDS * target.timeout_factor
        target.prepare()

    def close(self) -> None:
        self.target.restore()

    def scene(self, part: Part[Vetted], checks: Sequence[StepCheck[Scene]]) -> Scene:
        if any(each.step == "drain" for each in checks):
            with contextlib.suppress(NoManager):
                self.probe.ensure()
                self.probe.everywhere()
        return Scene(part, self, self.moment())

    def run(self, allowed: Allowed) -> Ran[Vetted]:
        node = self.target.node(allowed.command.node)
        try:
            values = self._values(allowed.command.names)
        except NoManager:
            names = ", ".join(sorted(allowed.command.names))
            return Ran(allowed, None, f"{names} has no value, since there is no swarm")
        words = argv(allowed, values)
        deadline = time.monotonic() + OWN_FAULT_SECONDS * self.target.timeout_factor
        while True:
            done = confined(node, words, timeout=self._timeout_factor, cwd="/")
            if done.timed_out:
                self._timeout_factor = AFTER_A_LONG_ONE * self.target.timeout_factor
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
