"""Makes text from submissions safe to show: no invisible characters, limited length."""

from __future__ import annotations

import re
import unicodedata

# Colours and the like in the output of tools: presentation, not content.
_COLOURS = re.compile(r"\x1b\[[0-9;:]*m")
_NAMES = {"\0": "NUL", "\a": "BEL", "\b": "BS", "\r": "CR", "\x1b": "ESC", "\x7f": "DEL"}
_MARKS_IN_A_ROW = 4
"""Combining marks on one letter that real scripts need; more would paint over other lines."""


def visible(text: str) -> str:
    """`text` with every character that could hide, reorder or repaint text made visible.

    Control characters become their names (‹ESC›), format characters such as those of
    bidirectional text their numbers (‹U+202E›). Line feeds and tabs stay.
    """
    if text.isascii() and text.isprintable():
        return text
    shown = []
    marks = 0
    for char in text:
        category = unicodedata.category(char)
        if category not in ("Mn", "Me"):
            if marks > _MARKS_IN_A_ROW:
                shown.append(_too_many(marks))
            marks = 0
            shown.append(_shown(char, category))
        else:
            marks += 1
            if marks <= _MARKS_IN_A_ROW:
                shown.append(char)
    if marks > _MARKS_IN_A_ROW:
        shown.append(_too_many(marks))
    return "".join(shown)


def _shown(char: str, category: str) -> str:
    code = ord(char)
    if char in "\n\t":
        return char
    if char in _NAMES:
        return f"‹{_NAMES[char]}›"
    no_one = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    if no_one or category in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
        return f"‹U+{code:04X}›"
    return char


def _too_many(marks: int) -> str:
    return f"‹{marks - _MARKS_IN_A_ROW} more marks›"


def capped(text: str, *, lines: int, width: int) -> str:
    """At most `lines` lines of at most `width` characters; says what was left out.

    Of too many lines the first third and the last two thirds stay, since output that
    explains a failure mostly ends with it; of a long line its beginning and end.
    """
    rows = text.split("\n")
    if len(rows) > lines:
        head = lines // 3
        tail = lines - head
        left_out = f"… {len(rows) - lines:,} lines left out …"
        rows = [*rows[:head], left_out, *rows[-tail:]]
    return "\n".join(_capped_line(row, width) for row in rows)


def _capped_line(row: str, width: int) -> str:
    if len(row) <= width:
        return row
    tail = width // 4
    return f"{row[: width - tail]} … {len(row) - width:,} characters left out … {row[-tail:]}"


def log_text(text: str, *, lines: int = 60, width: int = 400) -> str:
    """Output of a tool for reading: no colours, no CR LF, capped, visible."""
    plain = _COLOURS.sub("", text).replace("\r\n", "\n").strip("\n")
    return visible(capped(plain, lines=lines, width=width))


def value_text(text: str, *, lines: int = 12, width: int = 240) -> str:
    """An expected or actual value: capped and visible, CR included since it may be the point."""
    return visible(capped(text, lines=lines, width=width))


def sentence(text: str, *, width: int = 600) -> str:
    """A reason or a hint: one paragraph of bounded length."""
    return visible(_capped_line(" ".join(text.split()), width))
