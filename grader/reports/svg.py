"""SVG elements as text: short numbers, escaped words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from grader.reports.text import visible


def number(value: float) -> str:
    """At most one decimal: finer than a screen's pixel."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text


def words(text: str) -> str:
    """Text for the inside of an element or a quoted attribute."""
    from markupsafe import escape

    return str(escape(visible(text)))


def rect(
    css: str, x: float, y: float, width: float, height: float, *, round_: float = 0, tip: str = ""
) -> str:
    """A rectangle; `tip` is shown where a pointer rests on it."""
    corner = f' rx="{number(round_)}"' if round_ else ""
    box = f'x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}"'
    inner = f"><title>{words(tip)}</title></rect>" if tip else "/>"
    return f'<rect class="{css}" {box}{corner}{inner}'


def line(css: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<path class="{css}" d="M{number(x1)} {number(y1)}L{number(x2)} {number(y2)}"/>'


def boxes(css: str, rectangles: Iterable[tuple[float, float, float, float]]) -> str:
    """Many rectangles (x, y, width, height) as one path; nothing if there are none."""
    drawn = "".join(
        f"M{number(x)} {number(y)}h{number(w)}v{number(h)}h{number(-w)}z"
        for x, y, w, h in rectangles
    )
    return f'<path class="{css}" d="{drawn}"/>' if drawn else ""


def label(css: str, x: float, y: float, text: str, *, anchor: str = "") -> str:
    """Words whose baseline is at `y`; `anchor` is `middle` or `end`."""
    place = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text class="{css}" x="{number(x)}" y="{number(y)}"{place}>{words(text)}</text>'


@dataclass(frozen=True)
class Scale:
    """Where a moment lies on the picture: `left` is 0 s, `right` is the end."""

    seconds: float
    left: float
    right: float

    def x(self, at: float) -> float:
        within = min(max(at, 0.0), self.seconds)
        return self.left + (self.right - self.left) * within / self.seconds

    def width(self, begin: float, end: float) -> float:
        return self.x(end) - self.x(begin)

    def ticks(self, room: float = 46) -> list[float]:
        """Round moments that lie at least `room` apart."""
        for step in (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600):
            if self.width(0, step) >= room or step == 3600:
                break
        count = int(self.seconds / step + 1e-9)
        return [step * n for n in range(min(count, 200) + 1)]
