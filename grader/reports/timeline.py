"""The picture of a rollout: SVG with a row per slot, drawn from a record's trace.

A task's bar is full where the task counts (it runs and is not told to stop), a thin line below
while it is made ready, and a thin line above while it is being stopped: a hole in the full bars
is capacity that was missing. Colours stand for versions; rollout.css gives them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.modules.rollout.trace import Trace
from grader.reports import rollout_words as told
from grader.reports.svg import label, line, number, rect
from grader.reports.timeline_panels import draw_answers, draw_batches, draw_counts
from grader.reports.timeline_sheet import NARROW, WIDE, Layout, Sheet
from grader.reports.timeline_slots import draw_slots

if TYPE_CHECKING:
    from markupsafe import Markup

    from grader.record import ExerciseResult

_STATES = {
    "updating": ("updating", "ro-busy"),
    "completed": ("completed", "ro-done"),
    "paused": ("paused", "ro-down"),
    "rollback_started": ("rolling back", "ro-down"),
    "rollback_completed": ("rolled back", "ro-back"),
    "rollback_paused": ("rollback paused", "ro-down"),
}


@dataclass(frozen=True)
class Sign:
    """A number or letter on the picture, explained below it."""

    sign: str
    at: float
    css: str
    text: str

    @property
    def when(self) -> str:
        return told.span(self.at)


@dataclass(frozen=True)
class Drawn:
    """What a page shows of a rollout."""

    trace: Trace
    anchor: str
    headline: str
    summary: str
    pictures: tuple[Markup, ...]
    marks: tuple[Sign, ...]
    letters: dict[int, str]
    """Proof by number: the letter that stands where it was broken."""
    versions: tuple[tuple[str, str], ...]
    """(class, version), in order."""
    lines: tuple[str, ...]
    unknown: str
    """What is said of a promise that is neither kept nor broken for certain."""
    troubled: bool
    """Something on the picture failed."""


def of_exercise(exercise: ExerciseResult, anchor: str) -> list[Drawn]:
    """The rollouts that an exercise's result holds, as far as they can be drawn."""
    numbered = enumerate(exercise.rollouts, start=1)
    all_drawn = (drawn(data, f"{anchor}-rollout-{number}") for number, data in numbered)
    return [one for one in all_drawn if one is not None]


def drawn(data: object, anchor: str, unknown: str = told.ANSWERS[None]) -> Drawn | None:
    """A record's rollout, drawn for wide and narrow windows; None where it is no trace.

    `anchor` begins the ids of its elements; `unknown` is said of promises that are neither kept
    nor broken for certain.
    """
    from markupsafe import Markup

    trace = told.read(data)
    if trace is None:
        return None
    pictures = tuple(
        Markup(_picture(trace, layout, f"{anchor}-summary")) for layout in (WIDE, NARROW)
    )
    sheet = Sheet(trace, WIDE)
    signs = _signs(trace)
    letters = {
        n: sign.sign
        for n, proof in enumerate(trace.proofs)
        for sign in signs
        if sign.css == "ro-bad" and (sign.at, sign.text) == (proof.at, proof.promise)
    }
    return Drawn(
        trace=trace,
        anchor=anchor,
        headline=told.headline(trace),
        summary=told.summary(trace),
        pictures=pictures,
        marks=tuple(sign for sign in signs if sign.css == "ro-mark"),
        letters=letters,
        versions=tuple((sheet.colour(version), version) for version in sheet.versions),
        lines=tuple(told.lines(trace, unknown)),
        unknown=unknown,
        troubled='"ro-cross"' in pictures[0],
    )


def _picture(trace: Trace, layout: Layout, caption: str) -> str:
    sheet = Sheet(trace, layout)
    signs = _signs(trace)
    sheet.y = 20.0 if signs else 2.0
    _draw_states(sheet)
    draw_slots(sheet)
    draw_batches(sheet)
    draw_counts(sheet)
    draw_answers(sheet)
    foot = sheet.y + 8
    _draw_axis(sheet, foot)
    _draw_signs(sheet, signs, foot)
    sheet.y = foot + 18
    size = f"{number(layout.width)} {number(sheet.y)}"
    return (
        f'<svg class="ro ro-{layout.name}" viewBox="0 0 {size}" role="img" '
        f'aria-labelledby="{caption}">{sheet.text()}</svg>'
    )


def _signs(trace: Trace) -> list[Sign]:
    """What the grader did, numbered, and promises that were broken, lettered, by time."""
    marks = sorted((e.at, e.text) for e in trace.events if e.kind == "mark")
    broken = sorted((p.at, p.promise) for p in trace.proofs if p.ok is False and p.at is not None)
    signs = [Sign(str(n), at, "ro-mark", text) for n, (at, text) in enumerate(marks[:9], 1)]
    letters = zip("ABCDEFGHIJKL", broken, strict=False)
    signs += [Sign(letter, at, "ro-bad", text) for letter, (at, text) in letters]
    return sorted(signs, key=lambda sign: sign.at)


def _draw_signs(sheet: Sheet, signs: list[Sign], foot: float) -> None:
    """Each sign on top, a line from it through all panels, and what was broken as a band."""
    for proof in sheet.trace.proofs:
        if proof.ok is False and proof.at is not None:
            until = proof.at if proof.until is None else proof.until
            x, width = sheet.scale.x(proof.at), sheet.scale.width(proof.at, until)
            sheet.under.append(rect("ro-broken", x, 17, max(width, 2), foot - 17))
    taken = 0.0
    for sign in signs:
        x = sheet.scale.x(sign.at)
        taken = min(max(x, taken + 16), sheet.layout.width - 8)
        sheet.over.append(line(f"ro-rule {sign.css}", x, 16, x, foot))
        sheet.over.append(rect(f"ro-badge {sign.css}", taken - 7, 1, 14, 14, round_=7))
        sheet.over.append(label("ro-sign", taken, 12, sign.sign, anchor="middle"))


def _draw_states(sheet: Sheet) -> None:
    """What the engine said of the update, and which nodes were down when."""
    trace = sheet.trace
    states = [status for status in trace.statuses[1:] if status.state]
    if states:
        parts = [(s.at, *_STATES.get(s.state, (s.state, "ro-busy"))) for s in states]
        _draw_lane(sheet, "update", parts)
    for node in sorted({c.node for c in trace.nodes if c.state == "down"}):
        changes = [c for c in trace.nodes if c.node == node]
        kinds = {"down": "ro-down", "ready": "ro-done"}
        parts = [(c.by if c.after > 0 else 0.0, c.state, kinds.get(c.state, "")) for c in changes]
        _draw_lane(sheet, node, parts)


def _draw_lane(sheet: Sheet, name: str, parts: list[tuple[float, str, str]]) -> None:
    end = sheet.trace.seconds
    sheet.name(name, sheet.y + 11)
    # Words are painted last: the short last state has its word before it, over the one before.
    later: list[str] = []
    taken = sheet.layout.left
    for place, (at, text, css) in enumerate(parts):
        until = parts[place + 1][0] if place + 1 < len(parts) else end
        x, width = sheet.scale.x(at), sheet.scale.width(at, until)
        sheet.panels.append(rect(f"ro-state {css}", x, sheet.y + 1, max(width, 2), 13, round_=2))
        room = 6.2 * len(text) + 8
        if width > room:
            later.append(label("ro-word", x + 5, sheet.y + 11.2, text))
            taken = x + room
        elif place == len(parts) - 1 and x - taken > room:
            later.append(label("ro-word", x - 5, sheet.y + 11.2, text, anchor="end"))
    sheet.panels += later
    sheet.y += 17


def _draw_axis(sheet: Sheet, foot: float) -> None:
    """Seconds, and where the looks were too far apart."""
    for gap in sheet.trace.gaps:
        width = max(1.0, sheet.scale.width(gap.after, gap.by))
        sheet.panels.append(rect("ro-gap", sheet.scale.x(gap.after), foot - 4, width, 4))
    sheet.panels.append(line("ro-foot", sheet.layout.left, foot, sheet.layout.right, foot))
    for at in sheet.scale.ticks():
        x = sheet.scale.x(at)
        sheet.under.insert(0, line("ro-grid", x, 20, x, foot + 3))
        anchor = "middle" if sheet.layout.right - x > 12 else "end"
        sheet.panels.append(label("ro-tick", x, foot + 14, f"{at:g} s", anchor=anchor))
