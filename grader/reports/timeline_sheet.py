"""The sheet that a rollout is drawn on: its size, its time scale, its colours."""

from __future__ import annotations

from dataclasses import dataclass, field

from grader.modules.rollout.trace import Trace
from grader.reports import rollout_words as told
from grader.reports.svg import Scale, label

COLOURS = 4


@dataclass(frozen=True)
class Layout:
    """Widths in CSS pixels: of the picture, and where its time runs from and to."""

    name: str
    width: float
    left: float
    right: float


WIDE = Layout("wide", 760, 72, 754)
NARROW = Layout("narrow", 336, 56, 331)


@dataclass
class Sheet:
    """Parts of a picture as they are drawn, from top to bottom; `y` is where the next begins."""

    trace: Trace
    layout: Layout
    y: float = 0.0
    under: list[str] = field(default_factory=list)
    panels: list[str] = field(default_factory=list)
    over: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        seconds = max(self.trace.seconds, 0.1)
        self.scale = Scale(seconds, self.layout.left, self.layout.right)
        self.versions = told.versions(self.trace)

    @property
    def room(self) -> float:
        """The width of the whole time."""
        return self.layout.right - self.layout.left

    def colour(self, version: str) -> str:
        """The class that paints a version: four, then again from the first."""
        if version not in self.versions:
            return "ro-vx"
        return f"ro-v{self.versions.index(version) % COLOURS}"

    def heading(self, text: str) -> None:
        self.y += 20
        self.panels.append(label("ro-head", self.layout.left, self.y, text))
        self.y += 6

    def name(self, text: str, baseline: float) -> None:
        """Words left of the panels."""
        short = text if len(text) <= 11 else f"{text[:10]}…"
        self.panels.append(label("ro-name", self.layout.left - 7, baseline, short, anchor="end"))

    def text(self) -> str:
        return "".join((*self.under, *self.panels, *self.over))
