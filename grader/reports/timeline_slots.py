"""The rows of a rollout's picture: one per slot, a bar per task."""

from __future__ import annotations

from grader.modules.rollout.trace import Task, rows
from grader.modules.rollout.updates import lost
from grader.reports import rollout_words as told
from grader.reports.svg import label, number, rect
from grader.reports.timeline_sheet import Sheet

ROW = 25.0
FULL = 15.0
THIN = 3.5
SHOWN = 40
"""Rows that are drawn; a service of more is told of in words."""


def draw_slots(sheet: Sheet) -> None:
    found = list(rows(sheet.trace.tasks).items())
    sheet.heading("Tasks, slot by slot" if any(t.slot for t in sheet.trace.tasks) else "Tasks")
    for row, tasks in found[:SHOWN]:
        sheet.name(f"slot {row}" if tasks[0].slot else row, sheet.y + ROW / 2 + 4)
        sheet.under.append(rect("ro-track", sheet.layout.left, sheet.y + 5, sheet.room, FULL))
        for task in tasks:
            _draw_task(sheet, task)
        sheet.y += ROW
    if len(found) > SHOWN:
        sheet.name(f"{len(found) - SHOWN} more", sheet.y + 11)
        sheet.y += 15


def _draw_task(sheet: Sheet, task: Task) -> None:
    scale, css, end = sheet.scale, sheet.colour(task.version), sheet.trace.seconds
    up, down, gone, away = task.up(), task.down(), task.gone(), lost(sheet.trace, task)
    full, low, high = sheet.y + 5, sheet.y + ROW - THIN - 0.5, sheet.y + 0.5
    tip = told.story(task)
    begun = max(task.created, 0.0)
    ended = gone.by if gone else end
    if up is None:
        _thin(sheet, f"{css} ro-ready", begun, _starting(task, ended), low, tip)
        _thin(sheet, css, _starting(task, ended), ended, low, tip)
    else:
        if task.created > 0:
            _thin(sheet, f"{css} ro-ready", begun, _starting(task, up.by), low, tip)
            _thin(sheet, css, _starting(task, up.by), up.by, low, tip)
        # What is told to stop on a node that is down cannot be told: it is lost, not stopped.
        stop = min((w for w in (down, away) if w and w.by > up.after), default=None)
        last = stop.by if stop else end
        x, width = scale.x(up.by), scale.width(up.by, last)
        sheet.panels.append(rect(css, x, full, max(width, 1), FULL, round_=2, tip=tip))
        well = any(one.verdict == "healthy" and one.at > 0 for one in task.health)
        if well and width > 12:
            dot = f'cx="{number(x + 7)}" cy="{number(full + FULL / 2)}" r="2.3"'
            sheet.panels.append(f'<circle class="ro-well" {dot}/>')
        _name(sheet, task, x + (13 if well else 6), width - (16 if well else 9), full)
        if away and stop and away.after <= last:
            sheet.panels.append(
                rect("ro-lost", scale.x(last), full, scale.width(last, ended), FULL, tip=tip)
            )
        elif down:
            _thin(sheet, css, down.by, ended, high, tip)
    for at in _troubles(task, away is not None):
        a, b = number(scale.x(at) - 4), number(low + THIN / 2 - 4)
        sheet.over.append(f'<path class="ro-cross" d="M{a} {b}l8 8m0-8l-8 8"/>')


def _troubles(task: Task, away: bool) -> list[float]:
    """When it was found unhealthy, or failed without its node having failed."""
    sick = [one.at for one in task.health if one.verdict == "unhealthy" and one.at >= 0]
    gone = task.gone()
    if not sick and not away and gone and task.state in ("failed", "rejected"):
        sick = [gone.by]
    return sick[:1]


def _starting(task: Task, until: float) -> float:
    """When its container was started: what follows is waiting for its health check."""
    begun = max(task.created, 0.0)
    found = (c.by for c in task.changes if c.state in ("starting", "running"))
    return min(max(next(found, until), begun), until)


def _thin(sheet: Sheet, css: str, begin: float, end: float, y: float, tip: str) -> None:
    width = sheet.scale.width(begin, end)
    if width > 0:
        sheet.panels.append(rect(css, sheet.scale.x(begin), y, width, THIN, tip=tip))


def _name(sheet: Sheet, task: Task, x: float, room: float, y: float) -> None:
    """Version and node on the bar, as far as there is room."""
    for text in (f"{task.version} on {task.node}", task.version):
        if room > 5.9 * len(text) and (task.node or " on " not in text):
            css = f"ro-ink {sheet.colour(task.version)}"
            sheet.panels.append(label(css, x, y + 11.3, text))
            return
