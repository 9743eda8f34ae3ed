"""The words of one command line, told apart as a shell does, and never given to one.

    >>> reader = Reader("docker swarm join --token ${WORKER_TOKEN} 'a b'", 0, {"WORKER_TOKEN"})
    >>> words = reader.words()
    >>> [str(word) for word in words]
    ['docker', 'swarm', 'join', '--token', '${WORKER_TOKEN}', 'a b']
    >>> words[4].filled({"WORKER_TOKEN": "SWMTKN-1 x"})
    'SWMTKN-1 x'

Quotes, `\\` before a sign and at a line's end, comments, and `${NAME}` or `$NAME` of a fixed set
of names. A value is put in place of its name after words were told apart, so no value makes two
words of one. What only a shell could do is refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import groupby

from grader.vetting.refusal import Refusal

_NAME = re.compile(r"\{([^}\n]*)\}|([A-Za-z_]\w*|[0-9@*#?$!-])")
_LINE_ENDS = re.compile(r"[ \t]*\n")
_NEEDS_QUOTES = re.compile(r"[\s'\"\\;|&<>()`#]")
_NEXT_LINE = re.compile(r"(?:[ \t]*>(?=[ \t]))?")
"""A terminal shows `> ` where a command goes on."""

_SHELL_ONLY = {
    ";": "Write each command on a line of its own.",
    "|": "Leave out what stands behind it; the kit reads the output by itself.",
    "&": "Write each command on a line of its own; none has to wait in the background.",
    "<": "Commands here read no files.",
    ">": "Leave it out; the kit keeps the output by itself.",
    "(": "Put the word in quotes if the bracket belongs to it.",
    ")": "Put the word in quotes if the bracket belongs to it.",
    "`": "Write the value itself, or one of the names in ${…}.",
}
_TYPESET = {
    "“": '"',
    "”": '"',
    "„": '"',
    "‘": "'",
    "’": "'",
    "–": "--",
    "—": "--",
    "‑": "-",
    "−": "-",
    "\u00a0": "an ordinary space",
}


@dataclass(frozen=True)
class Part:
    """A piece of a word: text, or the name of a value."""

    text: str
    is_name: bool = False


@dataclass(frozen=True)
class Word:
    """One word of a command; as text it shows names as `${NAME}`."""

    parts: tuple[Part, ...]

    def __str__(self) -> str:
        return "".join(f"${{{p.text}}}" if p.is_name else p.text for p in self.parts)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(p.text for p in self.parts if p.is_name)

    def filled(self, values: Mapping[str, str]) -> str:
        """With values in place; KeyError if one is missing."""
        return "".join(values[p.text] if p.is_name else p.text for p in self.parts)


class Reader:
    """Reads the words of the command that begins at `at` in `text` (line ends are \\n)."""

    def __init__(self, text: str, at: int, names: Collection[str]) -> None:
        self.text = text
        self.at = at
        self.known = frozenset(names)

    def words(self) -> list[Word]:
        """All words; `at` is then the end of the command's last line. Refusal."""
        words: list[Word] = []
        parts: list[Part] | None = None
        while True:
            char = self._char()
            if char == "\\" and self._continues():
                continue
            if char in " \t\n":
                if parts is not None:
                    words.append(_word(parts))
                    parts = None
                if char == "\n":
                    return words
                self.at += 1
            elif char == "#" and parts is None:
                self.at = self.end_of_line()
            else:
                parts = [] if parts is None else parts
                parts.extend(self._piece(char))

    def skip(self) -> None:
        """To the end of a command that cannot be read, past the lines that continue it."""
        while True:
            start, end = self.text.rfind("\n", 0, self.at) + 1, self.end_of_line()
            self.at = end
            if not self.text[start:end].rstrip(" \t").endswith("\\") or end == len(self.text):
                return
            self.at += 1

    def end_of_line(self) -> int:
        end = self.text.find("\n", self.at)
        return len(self.text) if end < 0 else end

    def _char(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else "\n"

    def _continues(self) -> bool:
        """Whether the `\\` here continues the line (white space behind it is forgiven)."""
        ends = _LINE_ENDS.match(self.text, self.at + 1)
        if ends is None:
            return False
        found = _NEXT_LINE.match(self.text, ends.end())
        self.at = found.end() if found else ends.end()
        return True

    def _piece(self, char: str) -> list[Part]:
        """What begins at `at`: a quoted text, a name, an escaped or an ordinary sign."""
        if char == "'":
            return [Part(self._quoted())]
        if char == '"':
            return self._double_quoted()
        if char == "$":
            return [self._name()]
        if char in _SHELL_ONLY:
            raise _shell_only(char)
        if char in _TYPESET:
            raise Refusal(
                f"“{char}” comes from a word processor or a PDF.", f"Type {_TYPESET[char]} instead."
            )
        if char == "\\":
            self.at += 1
            char = self._char()
            if char == "\n":
                raise Refusal("It ends with a \\, and no line follows.", "Leave the \\ out.")
        _refuse_control(char)
        self.at += 1
        return [Part(char)]

    def _quoted(self) -> str:
        end = self.text.find("'", self.at + 1, self.end_of_line())
        if end < 0:
            raise _not_closed("'")
        inside = self.text[self.at + 1 : end]
        for char in inside:
            _refuse_control(char)
        self.at = end + 1
        return inside

    def _double_quoted(self) -> list[Part]:
        parts = [Part("")]
        end = self.end_of_line()
        self.at += 1
        while self.at < end:
            char = self.text[self.at]
            if char == '"':
                self.at += 1
                return parts
            if char == "$":
                parts.append(self._name())
                continue
            if char == "`":
                raise _shell_only(char)
            if char == "\\" and self.text[self.at + 1 : self.at + 2] in ('"', "\\", "$", "`"):
                self.at += 1
                char = self.text[self.at]
            _refuse_control(char)
            parts.append(Part(char))
            self.at += 1
        raise _not_closed('"')

    def _name(self) -> Part:
        """A `$` that begins no name is an ordinary sign."""
        if self.text.startswith("$(", self.at):
            raise Refusal("“$(…)” is a shell's, and there is none here.", _SHELL_ONLY["`"])
        found = _NAME.match(self.text, self.at + 1)
        if not found:
            if self.text.startswith("${", self.at):
                raise Refusal("A ${ is not closed.", "Write ${NAME}, with a } behind the name.")
            self.at += 1
            return Part("$")
        name = found[2] if found[1] is None else found[1]
        if name not in self.known:
            raise Refusal(
                f"There is no value called ${{{name}}}.",
                "There are " + ", ".join(f"${{{known}}}" for known in sorted(self.known)) + ".",
            )
        self.at = found.end()
        return Part(name, is_name=True)


def shown(word: str) -> str:
    """A word as it is typed: in quotes where it would not be one word otherwise."""
    if word and not _NEEDS_QUOTES.search(word):
        return word
    return "'" + word.replace("'", "'\\''") + "'"


def _shell_only(char: str) -> Refusal:
    return Refusal(f"“{char}” is a shell's, and there is none here.", _SHELL_ONLY[char])


def _not_closed(quote: str) -> Refusal:
    return Refusal(
        f"A quote ({quote}) is not closed on its line.", f"Put a {quote} behind the text."
    )


def _refuse_control(char: str) -> None:
    if (ord(char) < 32 and char != "\t") or 127 <= ord(char) < 160 or char in "\u2028\u2029":
        raise Refusal(
            f"There is an invisible character in it (U+{ord(char):04X}).", "Type the line again."
        )


def _word(parts: list[Part]) -> Word:
    """Neighbouring texts as one, empty ones left out beside others."""
    found: list[Part] = []
    for is_name, group in groupby(parts, key=lambda part: part.is_name):
        same = list(group)
        found += same if is_name else [Part("".join(part.text for part in same))]
    full = [part for part in found if part.is_name or part.text]
    return Word(tuple(full or found[:1]))
