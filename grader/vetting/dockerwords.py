"""The words of a Dockerfile's line, told apart as BuildKit does.

    >>> flags("--from=a --chown='1 2' x y", "\\\\")
    (['--from=a', '--chown=1 2'], 'x y')
    >>> expanded("${A}:'$B'", {"A": "debian"}, "\\\\")
    'debian:$B'
    >>> here_documents('RUN cat <<A 3<<-"B"')
    [('A', False), ('B', True)]

What BuildKit's versions read in different ways, or refuse, is Uncertain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

MAX_VALUE = 4096
"""Characters of a value with its variables filled in."""

SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    chr(code) for code in range(0x2000, 0x200B)
)
"""What BuildKit takes for white space; Python's str.strip() takes more."""

BETWEEN = re.compile(r"[\t\v\f\r ]+")
"""What separates an instruction's name and words."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BRACED = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-+?])([^{}$'\"\\`<\s]*))?\}")
_HERE = re.compile(r"[0-9]*<<(-?)([^<]*)")
_HERE_NAME = re.compile(r"[\w.!@%+=:,/>;|&(){}*?~^#\[\]-]+", re.ASCII)
_SPECIAL = "@*#?-$!0123456789"


class Uncertain(Exception):
    """Text that cannot be read for certain: why (goes on from "Line 3"), and what to write."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


def shown(text: str) -> str:
    """Text for a message, shortened."""
    return text if len(text) <= 120 else f"{text[:120]}…"


def flags(rest: str, escape: str) -> tuple[list[str], str]:
    """The `--flags` before an instruction's words, without quotes; and those words."""
    found: list[str] = []
    word: list[str] | None = None
    quote = ""
    at = 0
    while at < len(rest):
        char = rest[at]
        if word is None:
            if char in SPACE:
                at += 1
                continue
            if not rest.startswith("--", at):
                return found, rest[at:].strip(SPACE)
            word = []
        if ord(char) > 126:
            raise Uncertain(
                f"has an unusual character in a flag: {shown(rest[:at] + char)}",
                "Write flags with plain letters, digits and signs.",
            )
        if quote and char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        elif not quote and char in SPACE:
            if word == ["-", "-"]:
                return found, rest[at:].strip(SPACE)
            found.append("".join(word))
            word = None
        elif char == escape:
            at += 1
            if ord(rest[at : at + 1] or " ") > 126:
                continue
            word.append(rest[at : at + 1])
        else:
            word.append(char)
        at += 1
    if word is not None and word != ["-", "-"]:
        found.append("".join(word))
    return found, ""


def pairs(rest: str, escape: str) -> list[str]:
    """The words of ARG and ENV, with their quotes: a space in quotes ends no word."""
    found: list[str] = []
    word: list[str] = []
    quote = ""
    at = 0
    while at < len(rest):
        char = rest[at]
        at += 1
        if not quote and char in SPACE:
            if word:
                found.append("".join(word))
            word = []
            continue
        literal = quote == "'"
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        if char == escape and not literal:
            if at < len(rest):
                word += [char, rest[at]]
                at += 1
            continue
        word.append(char)
    return [*found, "".join(word)] if word else found


def expanded(
    word: str, values: Mapping[str, str | None], escape: str, *, complete: bool = True
) -> str:
    """A word without quotes, its variables filled in.

    A value of None is not known. Names that are not in `values` are unset, unless it is not
    `complete`: then they are not known either.
    """
    word = word.removeprefix("\ufeff")
    made: list[str] = []
    size = at = 0
    quoted = False
    while at < len(word):
        char = word[at]
        at += 1
        if char == "$":
            char, at = _variable(word, at, values, complete)
        elif char == '"':
            quoted = not quoted
            char = ""
        elif char == "'" and not quoted:
            end = word.find("'", at)
            if end < 0:
                raise _open_quote(word)
            char, at = word[at:end], end + 1
        elif char == escape:
            following = word[at : at + 1]
            if not quoted or (following and following in f'"${escape}'):
                char = following
                at += 1
        made.append(char)
        size += len(char)
        if size > MAX_VALUE:
            raise Uncertain(
                f"has a value of more than {MAX_VALUE} characters.", "Write a shorter one."
            )
    if quoted:
        raise _open_quote(word)
    return "".join(made)


def _open_quote(word: str) -> Uncertain:
    return Uncertain(f"has a quote that is not closed: {shown(word)}", "Close the quote.")


def _variable(
    word: str, at: int, values: Mapping[str, str | None], complete: bool
) -> tuple[str, int]:
    """The value of the variable whose `$` stands before `at`, and where it ends."""
    found = _BRACED.match(word, at)
    if found:
        name, how, other = found[1], found[2] or "", found[3] or ""
    else:
        found = _NAME.match(word, at)
        following = word[found.end() if found else at :][:1]
        # Names go on with letters of any alphabet; `$1`, `$@` and `${` are variables, too.
        if following > "~" or (found is None and following and following in _SPECIAL + "{"):
            raise _unknown(word)
        if found is None:
            return "$", at
        name, how, other = found[0], "", ""
    if (name in values and values[name] is None) or (name not in values and not complete):
        raise _unknown(word)
    value = values.get(name)
    present = value is not None and (value != "" or not how.startswith(":"))
    if how.endswith("-") and not present:
        value = other
    elif how.endswith("+"):
        value = other if present else ""
    elif how.endswith("?") and not present:
        raise _unknown(word)
    return value or "", found.end()


def _unknown(word: str) -> Uncertain:
    return Uncertain(
        f"has a variable whose value cannot be read from this file: {shown(word)}",
        "Write the value itself.",
    )


def here_documents(line: str) -> list[tuple[str, bool]]:
    """Name, and whether tabs before it are left out, of each here-document that begins in a line
    of RUN, COPY or ADD."""
    if "<<" not in line:
        return []
    words = _shell_words(line)
    found = [made for word in words if (made := _here_document(word))]
    if found and any(word.endswith("<<") for word in words):
        raise Uncertain("has << with a space after it.", "Write <<EOF.")
    return found


def spaced_here_documents(line: str) -> list[str]:
    """Names behind `<<` and a space: newer versions of BuildKit take these, too."""
    words = _shell_words(line) if "<<" in line else []
    return [name.strip("'\"") for word, name in pairwise(words) if word.endswith("<<")]


def _here_document(word: str) -> tuple[str, bool] | None:
    found = _HERE.fullmatch(word)
    if not found or not found[2]:
        return None
    name = found[2]
    if name[0] in "'\"" and len(name) > 2 and name[-1] == name[0]:
        name = name[1:-1]
    name = name.removeprefix("\\")
    if not _HERE_NAME.fullmatch(name):
        raise Uncertain(
            f"begins a here-document with an unusual name: {shown(word)}",
            "Write <<EOF, and EOF alone on the line that ends it.",
        )
    return name, bool(found[1])


def _shell_words(line: str) -> list[str]:
    """Words with their quotes, as BuildKit tells them apart to find here-documents.

    The escape sign is `\\` here whatever the file says. None where a quote is not closed.
    """
    words: list[str] = []
    word: list[str] = []
    quoted = False
    at = 0
    while at < len(line):
        char = line[at]
        if char in SPACE and not quoted:
            if word:
                words.append("".join(word))
            word = []
            at += 1
            continue
        if char == "'" and not quoted:
            end = line.find("'", at + 1)
            if end < 0:
                return []
            end += 1
        elif char == "$":
            end = _past_variable(line, at)
        elif char == "\\":
            end = at + 2
        else:
            quoted ^= char == '"'
            end = at + 1
        word.append(line[at:end])
        at = end
    if quoted:
        return []
    return [*words, "".join(word)] if word else words


def _past_variable(line: str, at: int) -> int:
    """Where the variable ends whose `$` is at `at`."""
    following = line[at + 1 : at + 2]
    if following == "{":
        found = _BRACED.match(line, at + 1)
        if not found:
            raise Uncertain(
                "has << and a complex variable in one line.",
                "Write ${NAME}, or put the commands into a script and COPY it.",
            )
        return found.end()
    return at + 2 if following and following in _SPECIAL else at + 1
