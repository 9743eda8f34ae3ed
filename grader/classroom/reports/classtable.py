"""A class's results on the terminal after a batch: short, but complete about problems."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from grader.classroom.reports import classfacts
from grader.classroom.reports.classfacts import Row
from grader.classroom.results import Results
from grader.reports import facts, summary, text
from grader.text.words import count

SMALL = 40
"""Classes of at most this size get a line for each student."""
_STYLES = {"graded": "", "partly": "yellow", "open": "yellow", "missing": "dim"}


def render(results: Results, console: Console | None = None) -> None:
    """Print the class's results: a line for each student of a small class, a few lines for a large
    one.

    Students who were not graded are always named, with the reason and what to do. Without a console
    it prints to standard output.
    """
    console = console or Console(highlight=False)
    everybody = classfacts.rows(results)
    if 0 < len(everybody) <= SMALL:
        console.print(_table(everybody))
    for line in _summary(results, everybody):
        _say(console, line)
    for trouble in classfacts.troubles(everybody):
        _say(console, "")
        _say(console, trouble.reason, style="bold")
        _say(console, f"  {', '.join(trouble.students)}")
        _say(console, f"  What to do: {trouble.remedy}")
    if results.unmatched:
        _say(console, "")
        _say(console, "Submissions of unknown students:", style="bold")
        for one in results.unmatched:
            _say(console, f"  {one.source}: {one.reason}")


def _table(everybody: Sequence[Row]) -> Table:
    exercises = list(
        dict.fromkeys(e.id for row in everybody if row.record for e in row.record.exercises)
    )
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("Student", no_wrap=True)
    for name in ("Points", *exercises, "Time"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("State", overflow="fold")
    for row in everybody:
        results = [row.record.exercise(e) if row.record else None for e in exercises]
        cells = [
            f"{summary.points(row.record.score)} of {summary.points(row.record.max_score)}"
            if row.record
            else "-",
            *(summary.points(result.score) if result else "-" for result in results),
            facts.seconds(row.seconds) if row.seconds else "-",
            classfacts.STATUS[row.status],
        ]
        shown = [Text(text.sentence(cell, width=60)) for cell in (row.student, *cells)]
        table.add_row(*shown, style=_STYLES[row.status])
    return table


def _summary(results: Results, everybody: Sequence[Row]) -> list[str]:
    counts = classfacts.counts(everybody)
    parts = [
        f"{count} {classfacts.STATUS[status]}"
        for status, count in counts.items()
        if count or status == "graded"
    ]
    if results.unmatched:
        parts.append(f"{len(results.unmatched)} of unknown students")
    lines = ["", f"{count(len(everybody), 'student')}: {', '.join(parts)}."]
    spread = classfacts.spread(everybody)
    if spread:
        of = f" of {summary.points(spread.top)}" if spread.unit == "points" else ""
        lines.append(
            f"Median {spread.text(spread.middle)}{of}, the middle half from"
            f" {spread.text(spread.quarter)} to {spread.text(spread.three_quarters)}."
        )
    if results.similarities:
        hints = count(len(results.similarities), "hint")
        lines.append(f"{hints} at shared values or files: see the class page.")
    return lines


def _say(console: Console, line: str, style: str = "") -> None:
    shown = text.visible(line)
    encoding = console.encoding or "utf-8"
    try:
        shown.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        shown = shown.encode("ascii", "backslashreplace").decode("ascii")
    console.print(Text(shown, style=style), soft_wrap=True)
