"""What has changed between two gradings of the same work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from grader.record import CheckResult, ExerciseResult, Outcome, Record
from grader.reports import summary
from grader.reports.summary import points, points_word
from grader.reports.terminal import STYLES, Printer


@dataclass(frozen=True)
class Change:
    """A check whose outcome is another one now; `was` is None if it is new."""

    exercise: ExerciseResult
    check: CheckResult
    was: Outcome | None


def changes(before: Record | None, after: Record) -> list[Change]:
    """The checks of `after` that ended otherwise in `before`, in order."""
    known = {check.id: check.outcome for check in before.checks} if before else {}
    return [
        Change(exercise, check, known.get(check.id))
        for exercise in after.exercises
        for check in exercise.checks
        if known.get(check.id) != check.outcome
    ]


def render(
    before: Record | None, after: Record, page: Path, console: Console | None = None
) -> None:
    """Print what is better and worse than before, the points, and what to do next."""
    before = summary.for_student(before) if before else None
    after = summary.for_student(after)
    out = Printer(console or Console(highlight=False))
    found = changes(before, after)
    for change in found:
        check = change.check
        was = f"was {summary.WORDS[change.was]}" if change.was else "new"
        word = f"{summary.WORDS[check.outcome]} now, {was}:"
        out.line(f"{word} {check.title}", hang=3, style=STYLES[check.outcome])
        if check.outcome == "failed" and check.cause:
            out.cause(check.cause, indent=3)
    if not found:
        out.line("No check has another result than before.")
    out.line()
    out.line(_points(before, after), style="bold")
    shown = {change.check.id for change in found if change.check.outcome == "failed"}
    todos = [t for t in summary.first_things(after) if t.check.id not in shown]
    if todos:
        out.line("Next:")
        out.todo(1, todos[0])
    out.where(page)


def _points(before: Record | None, after: Record) -> str:
    now = f"{points(after.score)} of {points_word(after.max_score)}"
    if before is None or (before.score, before.max_score) == (after.score, after.max_score):
        return f"{now}, as before." if before else f"{now}."
    gain = after.score - before.score
    turn = (
        f"{points(abs(gain))} {'more' if gain > 0 else 'fewer'}" if gain else "the sum is another"
    )
    return f"{points(before.score)} → {now} ({turn})."
