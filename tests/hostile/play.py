"""The corpus is played: class by class, beside canaries, and each class is judged."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from grader.engine.client import Engine
from grader.engine.sandbox import Sandbox
from grader.lab import model as labs
from tests.hostile import canaries as birds
from tests.hostile import layout
from tests.hostile.canaries import Canaries
from tests.hostile.cases import Case
from tests.hostile.judge import Verdict, judge
from tests.hostile.run import Progress, run

EVERY = ("compose", "layers", "registry", "rollout", "swarm", "webserver")


@dataclass
class Findings:
    """What is not as it must be: by case, and what could be laid to none of them."""

    wrong: dict[str, list[str]] = field(default_factory=dict)
    shared: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.shared and not any(self.wrong.values())


@dataclass
class Play:
    """One run over (some of) the corpus; `begin` puts up the canaries, `end` looks at the last."""

    canaries: Canaries
    volume: str
    jobs: int | None
    tell: Callable[[str], None] = lambda _line: None
    """Hears what was noticed at once, before it is known whose it is."""
    correct: set[str] = field(default_factory=lambda: {*EVERY})
    """Exercises of which a correct submission is still to be graded beside the hostile ones."""
    found: Findings = field(default_factory=Findings)
    _labs: dict[str, labs.Lab] = field(default_factory=dict)

    @classmethod
    @contextlib.contextmanager
    def begin(
        cls,
        root: Path,
        engine: Engine,
        volume: str,
        jobs: int | None,
        tell: Callable[[str], None] = lambda _line: None,
    ) -> Iterator[Play]:
        """`root` is a new folder; it is the caller's to remove."""
        birds.wait_for_mirror(engine)
        with birds.canaries(root, engine, volume) as canaries:
            yield cls(canaries, volume, jobs, tell)

    def play(self, batch: Sequence[Case], progress: Progress = lambda _done: None) -> None:
        """Grade cases of one group as a class, the first time with a correct submission at the end
        (of the exercises in `correct`).

        What one of them did, and it is not known which, is looked for in ever smaller classes.
        """
        door, lab_id, exercise = batch[0].group
        correct = door == "grade" and exercise in self.correct
        self.correct -= {exercise} if correct else set()
        verdict = self._class(batch, correct, progress)
        self.found.wrong.update({n: w for n, w in verdict.wrong.items() if n != layout.CORRECT})
        if lines := verdict.wrong.get(layout.CORRECT):
            self.found.shared += [f"{lab_id} {exercise}: {line}" for line in lines]
        if verdict.shared:
            self._blame(batch, verdict.shared)

    def _class(
        self, batch: Sequence[Case], correct: bool, progress: Progress = lambda _done: None
    ) -> Verdict:
        door, lab_id, exercise = batch[0].group
        group = layout.members(batch, correct=correct)
        ran = run(
            self.canaries,
            self._lab(lab_id),
            exercise,
            door,
            group,
            jobs=self.jobs,
            progress=progress,
        )
        return judge(ran, self.canaries.look(), self.canaries.secrets)

    def _blame(self, batch: Sequence[Case], shared: list[str]) -> None:
        """Whose it is: that case is played alone. What comes of none of them stays the class's."""
        for line in shared:
            self.tell(line)
        if len(batch) == 1:
            self.found.wrong.setdefault(batch[0].name, []).extend(shared)
            return
        middle = len(batch) // 2
        blamed = False
        for half in (batch[:middle], batch[middle:]):
            verdict = self._class(half, correct=False)
            for case in half:
                self.found.wrong[case.name] = verdict.wrong[case.name]
            if verdict.shared:
                blamed = True
                self._blame(half, verdict.shared)
        if not blamed:
            names = ", ".join(case.name for case in batch)
            self.found.shared += [f"{line} (seen once, with {names})" for line in shared]

    def end(self) -> None:
        """The image set is as it was, and a new sandbox has the same."""
        before = self.canaries.image_set
        with Sandbox.create(
            self.canaries.engine, submission="afterwards", image_set=self.volume
        ) as sandbox:
            if birds.image_set_sum(sandbox) != before:
                self.found.shared.append("The image set is not as it was.")

    def _lab(self, lab_id: str) -> labs.Lab:
        if lab_id not in self._labs:
            place = self.canaries.root / "kits" / lab_id
            self._labs[lab_id] = layout.hurried(lab_id, place)
        return self._labs[lab_id]
