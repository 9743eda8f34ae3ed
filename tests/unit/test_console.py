"""What moves on a terminal: one thing at a time."""

from __future__ import annotations

import io
import threading

import pytest
from rich.console import Console

from grader import console


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    shown = io.StringIO()
    monkeypatch.setattr(console, "console", Console(file=shown, force_terminal=True, width=80))
    return shown


def test_a_second_task_at_the_same_time_writes_lines(terminal: io.StringIO) -> None:
    def second() -> None:
        with console.task("The second") as detail:
            detail("not shown")

    with console.task("The first") as detail:
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
        detail("shown")
        with console.display() as free:
            assert not free
    assert "The second …" in terminal.getvalue()
    assert "not shown" not in terminal.getvalue()
    with console.display() as free:
        assert free, "it is free again"


def test_without_a_terminal_nothing_moves() -> None:
    with console.display(Console(file=io.StringIO())) as free:
        assert not free
