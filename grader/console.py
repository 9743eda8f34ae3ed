"""What the kit says on the terminal while it works.

Everything goes to standard error, so that standard output carries results only.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

console = Console(stderr=True, highlight=False, soft_wrap=True)


def say(line: str) -> None:
    """One line, as it is (no markup)."""
    console.print(line, markup=False)


@contextmanager
def task(title: str) -> Iterator[Callable[[str], None]]:
    """Show that `title` is under way; yields a function that updates the detail shown.

    On a terminal a spinner with the latest detail; elsewhere one line at the end with
    the seconds it took, preceded by one at the start, so that logs stay readable.
    """
    started = time.monotonic()
    if console.is_terminal:
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
