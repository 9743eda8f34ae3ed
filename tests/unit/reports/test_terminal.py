"""The table and the first things on the terminal."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from grader.record import Record
from grader.reports import terminal
from tests.unit import sample_record as sample

PAGE = Path("results") / "lab4" / "s1234567" / "feedback.html"


def printed(
    record: Record, *, width: int = 80, encoding: str = "utf-8", verbose: bool = False
) -> str:
    """What `render` prints on a console of that width and encoding (no colours)."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, errors="strict", newline="\n")
    console = Console(file=file, width=width, highlight=False)
    terminal.render(record, console, page=PAGE, verbose=verbose)
    file.flush()
    return raw.getvalue().decode(encoding)


def test_each_exercise_has_a_row_with_points() -> None:
    shown = printed(sample.typical())
    assert any("A web server with PHP" in r and "5.5 of 15" in r for r in shown.split("\n"))
    assert any("Applications with Compose" in r and "17.5 of 25.5" in r for r in shown.split("\n"))
    assert any("Together" in row and "23 of 40.5" in row for row in shown.split("\n"))


def test_first_things_come_with_reason_and_hint() -> None:
    shown = printed(sample.typical(), width=120)
    first = shown.index("1. The Dockerfile builds an image.")
    second = shown.index("2. Running `provision.sh` a second time changes nothing.")
    part = shown[first:second]
    assert "`apt-get install` does not find the package `php-fpn`." in part
    assert "Found:    exit code 100, at step 2 of 4" in part
    assert "Hint: Compare the package's name with `apt-cache search php`." in part
    assert "3 more checks (7 points) wait for this one." in part


def test_what_waits_for_a_shown_check_does_not_bury_it() -> None:
    shown = printed(sample.typical())
    assert "It needs another check to pass first" not in shown
    assert "Needed first" not in shown
    assert "Docker's routing mesh" in " ".join(shown.split())


def test_missing_engine_is_said_once_with_its_remedy() -> None:
    shown = " ".join(printed(sample.no_engine()).split())
    assert shown.count("There is no Docker engine.") == 1
    assert shown.count("Run `python -m grader engine start` as root") == 1
    assert "The grader broke: The checks' process ended with code 4." in shown
    assert "This does not cost you points." in shown
    assert "1 of 40 points so far; 39 points could not be graded." in shown


def test_page_is_named_on_one_line() -> None:
    shown = printed(sample.typical(), width=30)
    assert f"Feedback page: {PAGE}" in shown.split("\n")


def test_verbose_lists_every_check_with_outcome_in_words() -> None:
    shown = printed(sample.typical(), width=200, verbose=True)
    assert "passed      nginx and PHP-FPM are installed on the machine. (points: 1 of 1)" in shown
    assert "not graded  The image serves your page. (points: 0 of 3)" in shown
    assert "Waits for: The Dockerfile builds an image." in shown
    assert "failed      A hidden check. (points: 0 of 3)" in shown


@pytest.mark.parametrize("verbose", [False, True])
def test_hidden_checks_stay_hidden(verbose: bool) -> None:
    shown = printed(sample.typical(), verbose=verbose)
    assert "SECRET" not in shown
    assert "secret" not in shown


@pytest.mark.parametrize("width", [40, 80, 132])
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    for row in printed(sample.typical(), width=width, verbose=True).split("\n"):
        assert len(row) <= width or row.startswith("Feedback page: ")


def test_hostile_text_cannot_steer_the_terminal() -> None:
    shown = printed(sample.hostile(), verbose=True)
    assert not any(ord(char) < 0x20 and char != "\n" for char in shown)
    assert "\u202e" not in shown
    assert "[bold red]markup[/]" in " ".join(shown.split())
    assert len(shown) < 60_000


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
@pytest.mark.parametrize("name", ["typical", "no_engine", "hostile"])
def test_terminals_with_few_characters(name: str, encoding: str) -> None:
    shown = printed(getattr(sample, name)(), encoding=encoding, verbose=True)
    assert "Feedback page" in shown


def test_colour_only_repeats_what_words_say() -> None:
    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=True, color_system="standard")
    terminal.render(sample.typical(), console, page=PAGE, verbose=True)
    coloured = file.getvalue()
    assert "\x1b[31m" in coloured
    for escape in {part.split("m")[0] for part in coloured.split("\x1b[")[1:]}:
        coloured = coloured.replace(f"\x1b[{escape}m", "")
    assert coloured == printed(sample.typical(), verbose=True)


def test_table_needs_no_heavy_imports() -> None:
    """An unchanged recheck prints the table and must answer at once."""
    code = (
        "import sys, grader.reports.terminal\n"
        "heavy = {'jinja2', 'docker', 'jsonschema', 'requests', 'pytest', 'rich.progress',"
        " 'rich.markdown', 'pygments'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
