"""Progress while exercises are graded: bars on a terminal, lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from grader.console import console, display, say
from grader.grading.progress import Progress
from grader.lab.model import Exercise
from grader.record import ExerciseResult


@contextmanager
def following(exercises: Sequence[Exercise]) -> Iterator[Progress]:
    """Show the progress of these exercises until the block ends."""
    with display() as shown:
        if shown:
            with _bars(exercises) as progress:
                yield progress
        else:
            yield Progress(
                waiting=lambda e, what: say(f"{e.id}: waiting for {what}"),
                started=lambda e: say(f"{e.id}: grading {e.title} …"),
                finished=_line,
            )


def _line(result: ExerciseResult) -> None:
    seconds = result.seconds.get("sandbox", 0.0) + result.seconds.get("checks", 0.0)
    say(f"{result.id}: {result.score:g} of {result.max_score:g} points, in {seconds:.0f} s")


@contextmanager
def _bars(exercises: Sequence[Exercise]) -> Iterator[Progress]:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    with Bars(
        TextColumn("{task.fields[name]}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.description}", table_column=None),
        console=console,
        transient=True,
    ) as bars:
        ids = {
            exercise.id: bars.add_task("waiting", name=exercise.id, start=False, total=None)
            for exercise in exercises
        }

        def waiting(exercise: Exercise, what: str) -> None:
            doing(exercise, f"waiting for {what}")

        def started(exercise: Exercise) -> None:
            bars.start_task(ids[exercise.id])
            bars.update(ids[exercise.id], description="making the sandbox")

        def collected(exercise: Exercise, checks: int) -> None:
            bars.update(ids[exercise.id], total=checks)

        def check(exercise: Exercise, _result: dict[str, Any]) -> None:
            bars.advance(ids[exercise.id])

        def doing(exercise: Exercise, what: str) -> None:
            from rich.markup import escape

            bars.update(ids[exercise.id], description=escape(what[:60]))

        yield Progress(started, collected, check, doing, _line, waiting)
