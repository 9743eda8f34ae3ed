"""The panels below the rows of a rollout's picture: batches, counts of tasks, answers."""

from __future__ import annotations

from itertools import pairwise

from grader.modules.rollout.trace import Requests
from grader.modules.rollout.updates import batches, counting
from grader.reports import rollout_words as told
from grader.reports.svg import boxes, label, line, number, rect
from grader.reports.timeline_sheet import Sheet

LANE = 16.0
COUNT = 56.0
NODE = 17.0
ANSWERS = 12.0
BIN = 3.0
"""Pixels whose answers are drawn as one column."""

Box = tuple[float, float, float, float]


def draw_batches(sheet: Sheet) -> None:
    """Which replacements were under way together, and the pauses between such batches."""
    groups = batches(sheet.trace)
    if not groups:
        return
    sheet.heading("Batches, and the pauses before them")
    # Where a batch begins while another is not done, they share two lanes.
    ends = [sheet.trace.seconds if g.done is None else g.done for g in groups]
    two = any(group.begun < end for group, end in zip(groups[1:], ends, strict=False))
    for place, (group, end) in enumerate(zip(groups, ends, strict=True)):
        y = sheet.y + (LANE if two and place % 2 else 0)
        x, width = sheet.scale.x(group.begun), sheet.scale.width(group.begun, end)
        css = "ro-batch" if group.done is not None else "ro-batch ro-open"
        sheet.panels.append(rect(css, x, y + 1, max(width, 2), 13, round_=2))
        texts = [
            f"batch {place + 1}: {told.listed(group.rows)}",
            f"batch {place + 1}",
            f"{place + 1}",
        ]
        text = next((text for text in texts if width > 6 * len(text) + 4), "")
        sheet.panels.append(label("ro-word", x + width / 2, y + 11.2, text, anchor="middle"))
        if group.pause and group.pause.by > 0:
            _draw_pause(sheet, group.begun - group.pause.by, group.begun, y + 7.5)
    sheet.y += LANE * (2 if two else 1)


def _draw_pause(sheet: Sheet, begin: float, end: float, y: float) -> None:
    a, b = sheet.scale.x(begin), sheet.scale.x(end) - 1
    text = told.span(end - begin)
    room = 6 * len(text) + 4
    ends = f"M{number(a)} {number(y - 4)}v8M{number(b)} {number(y - 4)}v8"
    if b - a < room + 10:
        whole = f"M{number(a)} {number(y)}H{number(b)}"
        sheet.panels.append(f'<path class="ro-pause" d="{ends}{whole}"/>')
        return
    left, right = number((a + b - room) / 2), number((a + b + room) / 2)
    halves = f"M{number(a)} {number(y)}H{left}M{right} {number(y)}H{number(b)}"
    sheet.panels.append(f'<path class="ro-pause" d="{ends}{halves}"/>')
    sheet.panels.append(label("ro-word", (a + b) / 2, y + 3.8, text, anchor="middle"))


def draw_counts(sheet: Sheet) -> None:
    """How many tasks counted, version on version; what the looks leave open in a light tone."""
    trace, scale = sheet.trace, sheet.scale
    spans = counting(trace)
    levels = sorted({p.level for p in trace.proofs if p.name == "available" and p.level})
    sheet.heading(f"Tasks that count{f', at least {levels[-1]} promised' if levels else ''}")
    most = max([1, *(span.most for span in spans), *levels])
    foot, unit = sheet.y + COUNT, (COUNT - 4) / most
    whole = [
        (scale.x(s.begin), foot - s.most * unit, scale.width(s.begin, s.end), s.most * unit)
        for s in spans
        if s.most > s.least
    ]
    sheet.panels.append(boxes("ro-maybe", whole))
    for version, stacked in _stacks(sheet, foot, unit).items():
        sheet.panels.append(boxes(sheet.colour(version), stacked))
    for count in {0, most, *levels}:
        if count != most or all(count == level or (count - level) * unit > 11 for level in levels):
            sheet.name(str(count), foot - count * unit + 4)
    for level in levels:
        y = foot - level * unit
        sheet.panels.append(line("ro-level", sheet.layout.left, y, sheet.layout.right, y))
    sheet.panels.append(line("ro-foot", sheet.layout.left, foot, sheet.layout.right, foot))
    sheet.y = foot


def _stacks(sheet: Sheet, foot: float, unit: float) -> dict[str, list[Box]]:
    """For each version the boxes of its count, on top of those of the versions before it."""
    own = {version: counting(sheet.trace, version) for version in sheet.versions}
    moments = sorted({at for spans in own.values() for s in spans for at in (s.begin, s.end)})
    stacks: dict[str, list[Box]] = {version: [] for version in own}
    places = dict.fromkeys(own, 0)
    for begin, end in pairwise(moments):
        top = foot
        x, width = sheet.scale.x(begin), sheet.scale.width(begin, end)
        for version, spans in own.items():
            while places[version] < len(spans) - 1 and spans[places[version]].end <= begin:
                places[version] += 1
            height = spans[places[version]].least * unit if spans else 0.0
            if height and width:
                top -= height
                _join(stacks[version], (x, top, width, height))
    return stacks


def _join(drawn: list[Box], box: Box) -> None:
    """Add a box, as part of the last one where it goes on at the same height."""
    x, y, width, height = box
    if drawn:
        a, b, c, d = drawn[-1]
        if abs(a + c - x) < 1e-6 and (b, d) == (y, height):
            drawn[-1] = (a, b, c + width, d)
            return
    drawn.append(box)


def draw_answers(sheet: Sheet) -> None:
    """A row per node: who answered when, by version, and which requests failed."""
    if not sheet.trace.requests:
        return
    every = min(requests.every for requests in sheet.trace.requests)
    rate = f", {1 / every:.0f} a second" if every > 0 else ""
    sheet.heading(f"Answers at each node{rate}")
    for requests in sheet.trace.requests:
        sheet.name(requests.node, sheet.y + 10)
        _draw_node(sheet, requests)
        sheet.y += NODE


def _draw_node(sheet: Sheet, requests: Requests) -> None:
    columns: dict[int, dict[str, int]] = {}
    failed: set[int] = set()
    # Where requests are rarer than columns, each stands for the time until the next.
    pixels = sheet.room / sheet.scale.seconds
    size = max(BIN, min(40.0, requests.every * pixels * 1.5))
    for one in requests.sent:
        place = int((sheet.scale.x(one.at) - sheet.layout.left) / size)
        if one.ok:
            counts = columns.setdefault(place, {})
            counts[one.version] = counts.get(one.version, 0) + 1
        else:
            failed.add(place)
    drawn: dict[str, list[Box]] = {}
    for place, counts in sorted(columns.items()):
        x, y, total = sheet.layout.left + place * size, sheet.y + ANSWERS, sum(counts.values())
        width = min(size, sheet.layout.right - x)
        for version in sorted(counts, key=lambda v: (*sheet.versions, v).index(v)):
            height = ANSWERS * counts[version] / total
            y -= height
            _join(drawn.setdefault(sheet.colour(version), []), (x, y, width, height))
    for css, columns_of in drawn.items():
        sheet.panels.append(boxes(css, columns_of))
    slow = [
        (sheet.scale.x(one.at), sheet.y + ANSWERS / 2 - 1, width, 2.0)
        for one in requests.sent
        if (width := sheet.scale.width(one.at, one.at + one.ms / 1000)) > 1.5 * size
    ]
    sheet.panels.append(boxes("ro-wait", slow))
    for place in sorted(failed):
        x = sheet.layout.left + (place + 0.5) * size
        a, b = number(x - 3.5), number(sheet.y + ANSWERS / 2 - 3.5)
        sheet.panels.append(rect("ro-miss", x - size / 2, sheet.y - 1, size, ANSWERS + 2))
        sheet.over.append(f'<path class="ro-cross" d="M{a} {b}l7 7m0-7l-7 7"/>')
