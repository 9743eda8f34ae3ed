"""What all parts share: the engine, the options, and where figures go."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from grader.engine import find, images
from grader.engine.client import Engine
from grader.engine.images import ImageSet
from grader.grading import examples
from grader.grading.progress import Progress
from grader.lab import labfile
from grader.targets import providers
from tests.bench.measured import Report, Row


@dataclass
class Setting:
    """`repeat`: runs of each figure. `students`: whole labs of the class, of which `apart` are also
    graded one after the other. `against`: an older checkout. The engine is found when it is needed.
    """

    report: Report
    part: str = ""
    repeat: int = 5
    students: int = 4
    apart: int | None = None
    against: Path | None = None

    def row(
        self,
        measured: str,
        figure: str = "",
        goal: str = "",
        values: Mapping[str, float] | None = None,
    ) -> None:
        """Print and keep a figure of the current part."""
        self.report.add(Row(self.part, measured, figure, goal, values or {}))

    @cached_property
    def engine(self) -> Engine:
        engine = find.ensure()
        self.report.facts["machine"]["engine"] = f"{engine.version}, {engine.origin}"
        return engine

    @cached_property
    def image_set(self) -> ImageSet:
        return images.ensure(self.engine)

    def get_ready(self) -> None:
        """Start the engine and complete the image set, so that no figure has that in it."""
        _ = self.image_set

    @property
    def trust(self) -> Sequence[str]:
        """What `grade` needs to accept an engine of the user's own."""
        return [] if self.engine.isolation == "userns" else ["--trust"]

    def solve(
        self, exercise: str, follow: Progress | None = None
    ) -> tuple[float, examples.Compared]:
        """Grade the solution of an exercise of lab4: the seconds, and the result."""
        lab = labfile.load("lab4")
        (solution,) = examples.find(lab, [f"{exercise}/solution"])
        provider = providers.Sandboxes(self.engine, self.image_set)
        with tempfile.TemporaryDirectory(prefix="drydock-bench-") as folder:
            began = time.monotonic()
            compared = examples.run(lab, solution, provider, Path(folder), follow=follow)
            seconds = time.monotonic() - began
        if compared.differences:
            raise SystemExit(f"{solution.name} has not full marks: {compared.differences}")
        return seconds, compared


def took(times: Sequence[float], against: Sequence[float] | None = None) -> str:
    """The median in words, and what multiple it is of the other one's."""
    middle = statistics.median(times)
    words = f"{middle:.2f} s" if middle < 10 else f"{middle:.1f} s"
    return words if against is None else f"{words} = {middle / statistics.median(against):.2f} ×"
