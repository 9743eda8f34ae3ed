"""What a tutor sees while a class is graded: a bar per stage on a terminal, otherwise lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from rich.console import Console

from grader.console import console as kit_console
from grader.console import display


class Stage:
    """One stage of the work; `update` shows its progress."""

    def __init__(self, bars: Any, number: Any) -> None:
        self._bars = bars
        self._number = number

    def update(self, done: int, total: int | None = None, detail: str = "") -> None:
        from rich.markup import escape

        if self._bars is not None:
            self._bars.update(
                self._number, completed=done, total=total or None, description=escape(detail[:60])
            )


class Show:
    """Lines and stages on the kit's console. A context manager."""

    def __init__(self, console: Console = kit_console) -> None:
        self._console = console
        self._bars: Any = None
        self._shown = ExitStack()

    def __enter__(self) -> Show:
        if self._shown.enter_context(display(self._console)):
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bars

            self._bars = Bars(
                TextColumn("{task.fields[name]}"),
                BarColumn(bar_width=20),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("[dim]{task.description}"),
                console=self._console,
            )
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()
        self._shown.close()

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Stage]:
        if self._bars is None:
            yield Stage(None, None)
            return
        number = self._bars.add_task("", name=name, total=total)
        try:
            yield Stage(self._bars, number)
        finally:
            self._bars.stop_task(number)

    def line(self, text: str, count: str = "") -> None:
        """Print one line, above the bars if there are any; `count` is printed if no bar shows
        it."""
        if count and self._bars is None:
            text = f"{text} ({count})"
        self._console.print(text, markup=False)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Hide the bars while something else shows its own progress."""
        if self._bars is None:
            yield
            return
        self._bars.stop()
        try:
            yield
        finally:
            self._bars.start()
