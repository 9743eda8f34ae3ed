"""Limits for untrusted text: patterns see only a bounded part of it.

>>> len(cut("a" * 10**7)) < MAX_TEXT
True
"""

from __future__ import annotations

MAX_TEXT = 200_000
"""Characters of a text, such as a command's output."""

MAX_LINE = 600
"""Characters of a line: a sentence for a person has fewer."""

_GAP = " … "


def cut(text: str) -> str:
    """The beginning and the end of a text, and of each of its lines that are too long."""
    if len(text) > MAX_TEXT:
        half = MAX_TEXT // 2 - len(_GAP)
        text = f"{text[:half]}\n…\n{text[-half:]}"
    if len(text) <= MAX_LINE:
        return text
    return "\n".join(
        line if len(line) <= MAX_LINE else f"{line[: MAX_LINE // 2]}{_GAP}{line[-MAX_LINE // 3 :]}"
        for line in text.split("\n")
    )
