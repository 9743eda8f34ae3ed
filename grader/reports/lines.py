"""Lines on a terminal: wrapped to its width, in the characters that it supports."""

from __future__ import annotations

import textwrap

from rich.console import Console
from rich.text import Text

from grader.reports import text

_PLAIN = str.maketrans(
    {
        "→": "->",
        "…": "...",
        "–": "-",
        "—": "-",
        "“": '"',
        "”": '"',
        "‘": "'",
        "’": "'",
        "‹": "<",
        "›": ">",
        "±": "+-",
    }
)


class Lines:
    """Prints to one console."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.encoding = console.encoding or "utf-8"

    def line(self, words: str = "", *, indent: int = 0, hang: int = 0, style: str = "") -> None:
        """One paragraph; its further lines begin `hang` columns to the right of its first."""
        rows = textwrap.wrap(
            self.fit(text.visible(words)),
            width=max(indent + hang + 20, self.console.width),
            initial_indent=" " * indent,
            subsequent_indent=" " * (indent + hang),
            break_on_hyphens=False,
        )
        for row in rows or [""]:
            self.console.print(Text(row, style=style), soft_wrap=True)

    def fit(self, words: str) -> str:
        """`words` in the characters that this console's encoding has."""
        try:
            words.encode(self.encoding)
        except UnicodeEncodeError:
            plain = words.translate(_PLAIN)
            return plain.encode(self.encoding, "backslashreplace").decode(self.encoding)
        except LookupError:
            return words.encode("ascii", "backslashreplace").decode("ascii")
        return words
