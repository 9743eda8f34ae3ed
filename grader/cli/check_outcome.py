"""The result of a check of a workspace: shown, and as an exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from grader.console import say
from grader.files.private import write_text
from grader.grading import submission
from grader.lab.model import Lab
from grader.record import Record
from grader.reports.summary import points_word

if TYPE_CHECKING:
    from grader.targets.providers import Provider


def grade(request: submission.Request, planned: submission.Plan, provider: Provider) -> Record:
    """Run what the plan says, with bars or lines that show how far it is."""
    from grader.cli.progress import following
    from grader.grading import first_run

    kept = [exercise for exercise in planned.keys if exercise not in {e.id for e in planned.to_run}]
    if kept:
        say(f"Unchanged and kept: {', '.join(kept)}.")
    with (
        following(planned.to_run) as progress,
        first_run.making(provider, progress) as admission,
    ):
        return submission.grade(request, planned, provider, progress, submission.Stop(), admission)


def show(found: Record, out: Path, *, fresh: bool, verbose: bool) -> int:
    """Write the page if there is something new, print the record; the exit code."""
    from grader.reports import terminal

    page = write_page(found, out, fresh=fresh)
    terminal.render(found, console=None, page=page, verbose=verbose)
    return exit_code(found)


def not_graded_yet(lab: Lab, found: Record) -> str:
    """The lab's exercises that were never graded, and how they are; empty if there are none."""
    seen = {exercise.id for exercise in found.exercises}
    rest = [exercise for exercise in lab.exercises if exercise.id not in seen]
    if not rest:
        return ""
    names = ", ".join(f"{exercise.id} ({points_word(exercise.points)})" for exercise in rest)
    return f"Not graded yet: {names}. Without --exercise all exercises are graded."


def write_page(found: Record, out: Path, *, fresh: bool = True) -> Path:
    page = out / "feedback.html"
    if fresh or not page.exists():
        from grader.reports import feedback

        write_text(page, feedback.render(found))
    return page


def exit_code(found: Record) -> int:
    if not found.gradable:
        return 3
    return 0 if found.score >= found.max_score else 1
