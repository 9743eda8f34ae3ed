"""Replaces a student's own values in a text by their names, so that equal texts can be compared."""

from __future__ import annotations

import re
from collections.abc import Mapping

_WORD = re.compile(r"(?<![\w-])[\w-]*\w")
_NUMBER = re.compile(r"(?<![^\W\d])\d+(?![^\W\d])")
_SMALLEST = 100
"""Smaller numbers are often counts and exit codes, not a student's value."""


class Placeholders:
    """`Placeholders(variant)("port 8473")` is `port ‹web_port›`, if that is the student's port.

    Fast on long texts: each word is looked up, however many values there are. If two values are
    equal, the name of the first one is used.
    """

    def __init__(self, values: Mapping[str, int | str]) -> None:
        self._words: dict[str, str] = {}
        self._phrases: list[tuple[str, str]] = []
        for name, value in values.items():
            text = str(value)
            if isinstance(value, int) and value < _SMALLEST:
                continue
            if _WORD.fullmatch(text):
                self._words.setdefault(text, f"‹{name}›")
            elif text.strip():
                self._phrases.append((text, f"‹{name}›"))
        self._phrases.sort(key=lambda phrase: -len(phrase[0]))

    def __call__(self, text: str) -> str:
        for phrase, name in self._phrases:
            text = text.replace(phrase, name)
        return _WORD.sub(self._named, text)

    def _named(self, found: re.Match[str]) -> str:
        word = found[0]
        name = self._words.get(word)
        if name is not None:
            return name
        # 9120-9129 is one word to the pattern, and two values.
        return _NUMBER.sub(lambda n: self._words.get(n[0], n[0]), word) if "-" in word else word
