"""A record on the terminal: a table of the exercises, and what to do first.

Everything is said in words; colour only repeats it, so that the output reads the same in a
log, aloud, and on a terminal with few characters.
"""

from __future__ import annotations

from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from grader.record import Cause, CheckResult, ExerciseResult, Outcome, Record
from grader.reports import summary, text
from grader.reports.lines import Lines
from grader.reports.summary import Todo, points, points_word

STYLES: dict[Outcome, str] = {"passed": "green", "failed": "red", "not_graded": "yellow"}


def render(
    record: Record,
    console: Console | None = None,
    page: Path | None = None,
    verbose: bool = False,
) -> None:
    """Print what `record` says to its student; `page` is where the feedback page lies.

    `verbose` lists every check. Without a console it goes to standard output.
    """
    Printer(console or Console(highlight=False)).everything(
        summary.for_student(record), page, verbose
    )


class Printer(Lines):
    def everything(self, record: Record, page: Path | None, verbose: bool) -> None:
        self.line(f"{record.lab_title}, student {record.student}", style="bold")
        self.line()
        self.table(record)
        if verbose:
            for exercise in record.exercises:
                self.line()
                self.checks(exercise)
        todos = summary.first_things(record)
        if todos:
            self.line()
            self.line("First things to do", style="bold")
            for number, todo in enumerate(todos, start=1):
                self.todo(number, todo)
        self.unanswered(record, {todo.check.id for todo in todos})
        self.line()
        self.line(summary.headline(record), style="bold")
        if not record.gradable:
            self.line("Some checks could not be graded. This does not cost you points.")
        if page:
            drawn = sum(len(exercise.rollouts) for exercise in record.exercises)
            if drawn:
                what = f"{drawn} timelines" if drawn > 1 else "A timeline"
                self.line(f"{what} of what your stack did: see the page.")
            self.where(page)

    def where(self, page: Path) -> None:
        # A path has to stay in one piece.
        shown = self.fit(f"Feedback page: {page}")
        self.console.print(shown, soft_wrap=True, markup=False, highlight=False)

    def table(self, record: Record) -> None:
        # Rich takes ASCII lines by itself where the encoding has no others.
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, show_footer=True)
        table.add_column(
            "Exercise", footer="Together", ratio=5, footer_style="bold", overflow="fold"
        )
        total = f"{points(record.score)} of {points(record.max_score)}"
        table.add_column("Points", footer=total, no_wrap=True, footer_style="bold")
        table.add_column("Checks", ratio=6, overflow="fold")
        for exercise in record.exercises:
            table.add_row(
                self.cell(exercise.title),
                f"{points(exercise.score)} of {points(exercise.max_score)}",
                self.cell(summary.counts_text(exercise)),
            )
        self.console.print(table)

    def todo(self, number: int, todo: Todo) -> None:
        check = todo.check
        self.line()
        self.line(f"{number}. {check.title}", style="bold", hang=3)
        at_stake = f"{todo.exercise.title}: {points_word(check.max_points - check.points)} missed."
        self.line(f"{at_stake} {todo.unlocks_text}".rstrip(), indent=3, style="dim")
        if check.cause:
            self.cause(check.cause, indent=3)
        elif check.visibility == "hidden":
            self.line("This check is hidden. Read the exercise again.", indent=3)

    def cause(self, cause: Cause, indent: int) -> None:
        self.line(summary.closed(cause.reason), indent=indent)
        for name, value in (("Expected", cause.expected), ("Found", cause.actual)):
            if value is not None:
                shown = text.value_text(value, lines=4, width=300) or "(nothing)"
                first, *rest = shown.split("\n")
                self.line(f"{f'{name}:':<10}{first}", indent=indent, hang=10)
                for row in rest:
                    self.line(row, indent=indent + 10)
        if cause.hint:
            self.line(f"Hint: {summary.closed(cause.hint)}", indent=indent, hang=6)

    def unanswered(self, record: Record, shown: set[str]) -> None:
        """What was not graded and why; what waits for a check in `shown` was said there."""
        hints: list[str] = []
        for exercise in record.exercises:
            for group in summary.unanswered(exercise):
                if group.costs and group.start.id in shown:
                    continue
                self.line()
                self.line(f"{exercise.title}: {group.what}. {group.cause_text}")
                cause = group.start.cause
                if cause and cause.hint and not group.costs and cause.hint not in hints:
                    hints.append(cause.hint)
        for hint in hints:
            self.line()
            self.line(f"Hint: {summary.closed(hint)}", hang=6)

    def checks(self, exercise: ExerciseResult) -> None:
        self.line(f"{exercise.title}: every check", style="bold")
        for check in exercise.checks:
            self.check(exercise, check)

    def check(self, exercise: ExerciseResult, check: CheckResult) -> None:
        word = summary.WORDS[check.outcome]
        share = f"points: {summary.share_of_check(exercise, check)}"
        self.line(f"{word:<10}  {check.title} ({share})", hang=12, style=STYLES[check.outcome])
        if check.visibility == "hidden" or check.outcome == "passed":
            return
        start = summary.origin(exercise, check)
        if start.id != check.id:
            self.line(f"Waits for: {start.title}", indent=12)
        elif check.cause and check.why != "needs":
            self.cause(check.cause, indent=12)

    def cell(self, words: str) -> Text:
        return Text(self.fit(text.sentence(words)))
