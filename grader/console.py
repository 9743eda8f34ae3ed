"""What the kit says on the terminal while it works.

Everything goes to standard error, so that standard output carries results only.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

console = Console(stderr=True, highlight=False, soft_wrap=True)

_display = threading.Lock()


def say(line: str) -> None:
    """One line, as it is (no markup)."""
    console.print(line, markup=False)


@contextmanager
def display(where: Console | None = None) -> Iterator[bool]:
    """Whether the block may show a spinner or bars: there is a terminal, and no other block does.

    One terminal can show only one of them; the second block writes lines.
    """
    free = (where or console).is_terminal and _display.acquire(blocking=False)
    try:
        yield free
    finally:
        if free:
            _display.release()


@contextmanager
def task(title: str) -> Iterator[Callable[[str], None]]:
    """Show that `title` is under way; yields a function that updates the detail shown.

    On a terminal a spinner with the latest detail; elsewhere, and beside another display, one line
    at the end with the seconds it took, preceded by one at the start, so that logs stay readable.
    """
    started = time.monotonic()
    with display() as shown:
        if shown:
            with console.status(title, spinner="dots") as status:

                def update(detail: str) -> None:
                    width = max(20, console.width - len(title) - 8)
                    status.update(f"{title} [dim]{_plain(detail)[:width]}[/dim]")

                yield update
        else:
            say(f"{title} …")
            sys.stderr.flush()
            yield lambda _detail: None
    say(f"{title}: done in {time.monotonic() - started:.1f} s")


def _plain(text: str) -> str:
    """One printable line without rich markup."""
    from rich.markup import escape

    return escape(" ".join("".join(c if c.isprintable() else " " for c in text).split()))
