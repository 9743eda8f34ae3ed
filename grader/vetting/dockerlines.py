"""A Dockerfile's instructions, each with its line, as BuildKit's parser finds them.

    >>> [(i.line, i.name, i.words) for i in instructions(["FR\\\\", "OM a", "", "RUN b"], "\\\\")]
    [(1, 'FROM', ('a',)), (4, 'RUN', ('b',))]

Lines end with \\n only. A line goes on where its last sign, but for blanks, is one escape sign;
then nothing is put between it and the next. Comments and empty lines are left out there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from grader.vetting.dockerwords import (
    BETWEEN,
    SPACE,
    Uncertain,
    flags,
    here_documents,
    shown,
    spaced_here_documents,
)

_HOLDS_DOCUMENTS = ("RUN", "COPY", "ADD")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_INVISIBLE = "Type the line again; it has an invisible character."


@dataclass(frozen=True)
class Instruction:
    """`rest` is what stands behind name and flags; `is_json` says that it is a JSON list.

    `inner` is the instruction of an ONBUILD.
    """

    line: int
    name: str
    flags: tuple[str, ...]
    rest: str
    words: tuple[str, ...]
    is_json: bool = False
    inner: Instruction | None = None

    @property
    def at(self) -> str:
        """The beginning of a message about it."""
        return f"Line {self.line}"


class Misread(Exception):
    """A line from which on the file cannot be read for certain."""

    def __init__(self, line: int, cause: Uncertain) -> None:
        super().__init__(cause.reason)
        self.line = line
        self.cause = cause


def instructions(lines: list[str], escape: str) -> Iterator[Instruction]:
    """All instructions in their order. Misread, with its line, where one is not certain."""
    reader = _Lines(lines, escape)
    while (whole := reader.next_line()) is not None:
        start, text = whole
        try:
            instruction = _instruction(start, text, escape)
            inner = instruction.inner or instruction
            documents: list[tuple[str, bool]] = []
            if inner.name in _HOLDS_DOCUMENTS and not inner.is_json:
                documents = here_documents(text)
                for name in spaced_here_documents(text):
                    reader.refuse_spaced(name)
            yield instruction
            for name, chomped in documents:
                reader.skip(name, chomped)
        except Uncertain as error:
            raise Misread(start, error) from None


class _Lines:
    """Reads lines; `at` is the number of those that were read."""

    def __init__(self, lines: list[str], escape: str) -> None:
        self.lines = lines
        self.escape = escape
        self.at = 0
        self.alone = {line.strip("\t\r ") for line in lines}

    def next_line(self) -> tuple[int, str] | None:
        """The next instruction's whole text, and the number of its first line."""
        while self.at < len(self.lines):
            line = self._take().lstrip(SPACE)
            start = self.at
            if line.startswith("#"):
                continue
            piece, goes_on = self._continued(line)
            if not piece and not goes_on:
                continue
            joined = [piece]
            while goes_on and self.at < len(self.lines):
                line = self._take()
                if line.strip(SPACE) and not line.lstrip(SPACE).startswith("#"):
                    piece, goes_on = self._continued(line)
                    joined.append(piece)
            text = "".join(joined)
            odd = _CONTROL.search(text)
            if odd:
                raise Misread(
                    start,
                    Uncertain(f"has the control character U+{ord(odd[0]):04X}.", _INVISIBLE),
                )
            return start, text
        return None

    def _take(self) -> str:
        self.at += 1
        return self.lines[self.at - 1].rstrip("\r")

    def _continued(self, line: str) -> tuple[str, bool]:
        """A line without the sign that says that it goes on, and whether there was one."""
        text = line.rstrip("\t ")
        if not text.endswith(self.escape) or text.endswith(self.escape * 2):
            return line, False
        return text[:-1], True

    def skip(self, name: str, chomped: bool) -> None:
        """Past a here-document's lines and its end."""
        while self.at < len(self.lines):
            line = self._take()
            if (line.lstrip("\t") if chomped else line) == name:
                return
        raise Uncertain(
            f"begins a here-document, <<{shown(name)}, which is not closed.",
            f"Write {shown(name)} alone on the line that ends it, with no space before or after.",
        )

    def refuse_spaced(self, name: str) -> None:
        """A `<< EOF` is a here-document for some versions of BuildKit only."""
        if name in self.alone:
            raise Uncertain(f"has a space between << and {shown(name)}.", f"Write <<{shown(name)}.")


def _instruction(line: int, text: str, escape: str) -> Instruction:
    name, _, behind = _split(text.strip(SPACE))
    if not name.isascii():
        raise Uncertain(
            f"begins with {shown(name)!a}, which is no instruction.",
            "Type its name again; it has an unusual or invisible character.",
        )
    name = name.upper()
    given, rest = flags(behind, escape)
    rest = rest.strip(SPACE)
    found = Instruction(line, name, tuple(given), rest, ())
    if name == "ONBUILD":
        if escape == "`" and ("\\" in rest or "`" in rest):
            # BuildKit reads it again later, with \ as the escape sign.
            raise Uncertain("has ONBUILD and an escape character.", "Leave ONBUILD out.")
        return replace(found, inner=_instruction(line, rest, escape)) if rest else found
    words = _json_list(rest) if name in _HOLDS_DOCUMENTS else None
    if words is not None:
        return replace(found, words=tuple(words), is_json=True)
    return replace(found, words=tuple(BETWEEN.split(rest)) if rest else ())


def _split(text: str) -> tuple[str, str, str]:
    found = BETWEEN.search(text)
    return (text[: found.start()], found[0], text[found.end() :]) if found else (text, "", "")


def _json_list(rest: str) -> list[str] | None:
    """The words of `["a", "b"]`; None where it is no JSON, and so means what it says."""
    if not rest.startswith("["):
        return None
    try:
        words = json.loads(rest, parse_constant=_no_constant)
    except RecursionError:
        words = [None]
    except ValueError:
        return None
    if not all(isinstance(word, str) for word in words):
        raise Uncertain("has a JSON list with values other than texts.", 'Write ["one", "two"].')
    return list(words)


def _no_constant(name: str) -> None:
    raise ValueError(name)
