"""Cells that a spreadsheet would treat as a formula become text; numbers stay numbers.

Excel, LibreOffice and Google Sheets run cells that begin with = + - or @ (also full-width forms),
also after a tab or a line end. If a file is opened with another separator than it was written with,
a new cell begins at each of those separators, too.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

Cell = str | int | float | None

_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?", re.ASCII)
_BEGINS = re.compile(
    r"(^|[,;\t\n|])([ \"\v\f\xa0\u200b\ufeff]*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])"
)
_BLANK = re.compile(r"^[\t\n]")


def neutral(text: str) -> str:
    """`text` as a cell that no spreadsheet executes: ' before each beginning that it would."""
    if _NUMBER.fullmatch(text):
        return text
    # A lone carriage return ends a line for some, and csv does not quote it for that.
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _BLANK.sub(lambda found: "'" + found.group(), _BEGINS.sub(r"\1'\2", text))


def plain(text: str) -> str:
    """The inverse of `neutral`, for the beginning of the text."""
    return text[1:] if text[:1] == "'" == neutral(text[1:])[:1] else text


def cell(value: Cell) -> str:
    """A value as text: None is empty, numbers have a decimal point and no trailing zeros."""
    if value is None:
        return ""
    if isinstance(value, int | float):
        return f"{value:.2f}".rstrip("0").rstrip(".") or "0"
    return neutral(value)


def table(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """A CSV file's text: commas, \\n, every cell neutral."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([neutral(name) for name in header])
    writer.writerows([cell(value) for value in row] for row in rows)
    return out.getvalue()
