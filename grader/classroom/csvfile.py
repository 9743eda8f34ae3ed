"""CSV files from other programs: read and written with their own encoding and separator.

Excel writes semicolons if the decimal point is a comma, a byte order mark or UTF-16, and sometimes
Windows' own encoding. An LMS writes UTF-8 with commas.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from grader.errors import KitError
from grader.files import private

MAX_BYTES = 20_000_000
DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True)
class Table:
    """The rows of a CSV file as texts, the header first, and how the file was written.

    `bom` is the byte order mark, `hint` a first line that only Excel reads (`sep=;`). `lines` are
    the line numbers in the file at which the rows begin.
    """

    file: Path
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]
    encoding: str = "utf-8"
    bom: bytes = b""
    delimiter: str = ","
    ends: str = "\r\n"
    hint: str = ""

    @property
    def header(self) -> tuple[str, ...]:
        return self.rows[0]

    def with_rows(self, rows: list[list[str]]) -> Table:
        return replace(self, rows=tuple(tuple(row) for row in rows))

    def to_bytes(self) -> bytes:
        """The file's bytes, in its original encoding and with its original separators."""
        out = io.StringIO()
        out.write(self.hint)
        csv.writer(out, delimiter=self.delimiter, lineterminator=self.ends).writerows(self.rows)
        # What was read can be written; new texts are made fit by whoever puts them in.
        return self.bom + out.getvalue().encode(self.encoding, errors="replace")


def cell(row: Sequence[str], place: int | None) -> str:
    """The text in a row's column, "" if the row is too short or there is no such column."""
    return row[place].strip() if place is not None and place < len(row) else ""


def read(file: Path, unreadable: str | None = None) -> Table:
    """Read the table in `file`. Raises KitError if it contains none; `unreadable` is the hint if
    the file does not exist or cannot be read."""
    remedy = "Save it as CSV (UTF-8, comma or semicolon), or export it again."
    try:
        if file.stat().st_size > MAX_BYTES:
            raise KitError("This file is too large for a list of people.", where=str(file))
        content = private.read(file, MAX_BYTES)
    except OSError as error:
        raise KitError(
            f"The file cannot be read: {error.strerror or error}.",
            where=str(file),
            remedy=unreadable,
        ) from None
    if content.startswith(b"PK"):
        raise KitError("This is a workbook, not a CSV file.", where=str(file), remedy=remedy)
    encoding, bom, text = _decoded(content, file)
    if "\0" in text:
        raise KitError("This is not a text file.", where=str(file), remedy=remedy)
    hint = ""
    if text[:4].lower() == "sep=":
        hint, text = text[: text.find("\n") + 1], text[text.find("\n") + 1 :]
    delimiter = hint[4:5] or _delimiter(text)
    ends = "\r\n" if "\r\n" in text else "\n" if "\n" in text else "\r" if "\r" in text else "\r\n"
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[tuple[str, ...]] = []
    lines: list[int] = []
    begun = 1 + bool(hint)
    try:
        for row in reader:
            rows.append(tuple(row))
            lines.append(begun)
            begun = 1 + bool(hint) + reader.line_num
    except csv.Error as error:
        raise KitError(
            f"This is not a CSV file: {error}.", where=f"{file}, line {begun}", remedy=remedy
        ) from None
    if not any(any(cell.strip() for cell in row) for row in rows):
        raise KitError("This file is empty.", where=str(file), remedy=remedy)
    return Table(file, tuple(rows), tuple(lines), encoding, bom, delimiter, ends, hint)


def _decoded(content: bytes, file: Path) -> tuple[str, bytes, str]:
    """Encoding, byte order mark and text."""
    for bom, encoding in (
        (b"\xef\xbb\xbf", "utf-8"),
        (b"\xff\xfe", "utf-16-le"),
        (b"\xfe\xff", "utf-16-be"),
    ):
        if content.startswith(bom):
            try:
                return encoding, bom, content[len(bom) :].decode(encoding)
            except UnicodeDecodeError as error:
                raise KitError(
                    f"This is not {encoding}: {error.reason}.", where=str(file)
                ) from None
    if content[:200].count(b"\0") > 20:  # UTF-16 without a mark.
        encoding = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
        return encoding, b"", content.decode(encoding, errors="replace")
    try:
        return "utf-8", b"", content.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        return "cp1252", b"", content.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1", b"", content.decode("latin-1")


def _delimiter(text: str) -> str:
    """The separator of the header's cells; quoted texts do not count."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    outside = "".join(header.split('"')[::2])
    return max(DELIMITERS, key=outside.count)
