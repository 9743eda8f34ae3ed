"""The runbook of the registry exercise, played: each step judged by what is in the registry and on
the engine after it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from grader import runbook
from grader.checks import CheckFailed, NeedsFirst, eventually, fail, needs_first
from grader.modules import registry
from grader.modules.confined import confined
from grader.modules.container import Container
from grader.modules.registry import Registry
from grader.playbook import Allowed, Book, Part
from grader.targets.node import Completed
from grader.vetting.imagecli import Vetted

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


@dataclass(frozen=True)
class Ran:
    """A command and what came of it; None: a value it needs was not there."""

    allowed: Allowed[Vetted]
    done: Completed | None

    @property
    def ok(self) -> bool:
        return self.done is not None and self.done.ok

    @property
    def story(self) -> str:
        text = self.allowed.command.text
        if self.done is None:
            return f"{text}\n(not run: the registry has no tag latest, so ${{{DIGEST}}} is nothing)"
        late = "\n(it did not end, and was stopped)" if self.done.timed_out else ""
        return f"{text}\n{self.done.out.strip()}".strip() + late


@dataclass(frozen=True)
class Judge:
    """Decides one check after the step of its name; `needs` are checks that must have passed."""

    check: str
    step: str
    decide: Callable[[Scene], None]
    needs: tuple[str, ...] = ()


@dataclass
class Scene:
    """What a judge looks at: a step that was just played, and how things stood before it."""

    play: Play
    part: Part[Vetted]
    before: State
    ran: list[Ran] = field(default_factory=list)

    @property
    def now(self) -> State:
        return self.play.state()

    @property
    def story(self) -> str:
        told = [f"line {p.line}, not run: {p.reason}" for p in self.part.problems]
        return "\n\n".join([*(ran.story for ran in self.ran), *told])

    def wait_for_registry(self) -> State:
        """How things stand once the registry answers, or when it has had its time."""
        found = eventually(
            lambda: state if (state := self.now).registry.answers else None,
            within=ANSWERS_WITHIN * self.play.patience,
            every=0.5,
        )
        return found or self.now

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


class Play:
    """See the module. `stage` is the plugin's, for the times."""

    def __init__(
        self,
        node: Any,
        book: Book[Vetted],
        variant: Mapping[str, Any],
        patience: float,
        judges: Sequence[Judge],
        stage: Callable[[str], Any],
    ) -> None:
        self.node = node
        self.book = book
        self.patience = patience
        self.judges = judges
        self.stage = stage
        self.port = int(variant["registry_port"])
        self.name = str(variant["registry_name"])
        self.volume = str(variant["registry_volume"])
        self.repository = str(variant["repository"])
        self.first, self.second = str(variant["first_tag"]), str(variant["second_tag"])
        self.addresses = (f"localhost:{self.port}/", f"127.0.0.1:{self.port}/")
        self.verdicts: dict[str, BaseException | None] = {}
        self._left: deque[Part[Vetted]] | None = None

    def names(self, tag: str) -> tuple[str, ...]:
        """What the image of a tag may be called on the engine; the first is the usual one."""
        return tuple(f"{address}{self.repository}:{tag}" for address in self.addresses)

    def see(self, check: str) -> None:
        """Play on until the check is decided; raises what its judge raised."""
        step = next(judge.step for judge in self.judges if judge.check == check)
        if not self.book.named(step):
            self.book.miss(step, {judge.step for judge in self.judges})
        if self._left is None:
            self._left = deque(self.book.parts)
        while check not in self.verdicts:
            self._play_next(self._left.popleft())
        error = self.verdicts[check]
        if error is not None:
            raise error

    def passed(self, check: str) -> bool:
        return check in self.verdicts and self.verdicts[check] is None

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

    # ---------------------------------------------------------------------------------------

    def _play_next(self, part: Part[Vetted]) -> None:
        judges = [j for j in self.judges if runbook.normal(j.step) == runbook.normal(part.name)]
        scene = Scene(self, part, self.state())
        with self.stage("commands"):
            scene.ran += [self._run(allowed) for allowed in part.commands]
        with self.stage("observing"):
            for judge in judges:
                verdict = self._verdict(judge, scene)
                if verdict is None or not self.passed(judge.check):
                    self.verdicts[judge.check] = verdict

    def _run(self, allowed: Allowed[Vetted]) -> Ran:
        values: dict[str, str] = {}
        if DIGEST in allowed.command.names:
            latest = registry.look(self.node, self.port).tags(self.repository).get("latest")
            if latest is None:
                return Ran(allowed, None)
            values[DIGEST] = latest.digest
        argv = allowed.command.filled(values)
        limit = COMMAND_SECONDS * self.patience
        return Ran(allowed, confined(self.node, argv, timeout=limit, cwd="/"))

    def _verdict(self, judge: Judge, scene: Scene) -> BaseException | None:
        """What a judge raises, or nothing."""
        try:
            for need in judge.needs:
                if not self.passed(need):
                    self._blocked(need)
            if not scene.ran:
                scene.fail(
                    f"The step “{judge.step}” has no command that could be run.",
                    hint=f"Write them below `# step: {judge.step}`, each behind {HOST}$.",
                )
            judge.decide(scene)
        except Exception as error:
            return error
        return None

    def _blocked(self, check: str) -> NoReturn:
        """End a check that needs another; with that one's reason where it was no student's."""
        error = self.verdicts.get(check)
        if error is not None and not isinstance(error, (CheckFailed, NeedsFirst)):
            raise error
        needs_first(check)
