"""The distribution of a class's points as a drawing: bars by tenths, quartiles and median below."""

from __future__ import annotations

from markupsafe import Markup

from grader.classroom.reports.classfacts import Spread
from grader.reports.summary import points
from grader.reports.svg import words
from grader.text.words import count as counted

_HEIGHT = 150
_TOP = 22
_BASE = _TOP + _HEIGHT


def draw(spread: Spread) -> Markup:
    """The picture as SVG. Widths are in percent, so that words keep their size on a phone."""
    most = max(spread.bins)
    parts = []
    for place, count in enumerate(spread.bins):
        height = max(2.0, _HEIGHT * count / most) if count else 0.0
        middle = 10 * place + 5
        if count:
            box = f'x="{10 * place + 0.6:.1f}%" width="8.8%"'
            parts.append(
                f'<rect class="column" {box} y="{_BASE - height:.1f}" height="{height:.1f}"/>'
            )
            y = _BASE - height - 6
            parts.append(f'<text class="count" x="{middle}%" y="{y:.1f}">{count}</text>')
    parts.append(f'<rect class="axis" x="0" width="100%" y="{_BASE}" height="1"/>')
    for place in (0, 2, 4, 6, 8, 10):
        anchor = {0: "start", 10: "end"}.get(place, "middle")
        mark = points(round(spread.top * place / 10, 1)) + ("%" if spread.unit == "%" else "")
        parts.append(
            f'<text class="tick" x="{10 * place}%" y="{_BASE + 17}"'
            f' text-anchor="{anchor}">{words(mark)}</text>'
        )
    parts += _quartiles(spread, _BASE + 36)
    label = words(_said(spread))
    return Markup(
        f'<svg class="histogram" width="100%" height="{_BASE + 46}" role="img"'
        f' aria-label="{label}">{"".join(parts)}</svg>'
    )


def _quartiles(spread: Spread, y: float) -> list[str]:
    def x(value: float) -> float:
        return 100 * min(max(value / spread.top, 0.0), 1.0)

    low, high = x(spread.quarter), x(spread.three_quarters)
    return [
        f'<rect class="range" x="{x(spread.values[0]):.1f}%" y="{y - 0.5}" height="1"'
        f' width="{x(spread.values[-1]) - x(spread.values[0]):.1f}%"/>',
        f'<rect class="half" x="{low:.1f}%" y="{y - 5}" width="{max(high - low, 0.4):.1f}%"'
        ' height="10"/>',
        f'<svg class="median" x="{x(spread.middle):.1f}%" y="{y - 9}" width="1" height="18">'
        '<rect x="-1.5" width="3" height="18"/></svg>',
    ]


def _said(spread: Spread) -> str:
    tenths = [
        f"{points(round(spread.top * n / 10, 1))} to {points(round(spread.top * (n + 1) / 10, 1))}:"
        f" {counted(count, 'student')}"
        for n, count in enumerate(spread.bins)
        if count
    ]
    return f"Distribution of {spread.unit}. {'; '.join(tenths)}."
