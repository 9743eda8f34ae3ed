"""YAML files of the kit and its lecturers, read key by key: what is wrong is told with file, line
and key."""

from __future__ import annotations

import re
from collections.abc import Set
from pathlib import Path
from typing import Any, NoReturn

from grader.errors import KitError
from grader.vetting.yamlfile import YamlFile

Key = tuple[str | int, ...]
"""Where something stands in the file: ("exercises", 0, "points")."""


class Reader:
    """A file's `data`, and what its parts must be. Raises KitError with file, line and key."""

    def __init__(self, file: Path, text: str) -> None:
        self.file = file
        self.yaml = YamlFile.parse(text, str(file))
        self.data: Any = self.yaml.data

    def wrong(self, key: Key, what: str, remedy: str | None = None) -> NoReturn:
        where = self.yaml.where(*key) if key else f"{self.file}, line 1"
        raise KitError(what, where=where, remedy=remedy)

    def mapping(
        self, value: Any, key: Key, needed: Set[str], optional: Set[str] = frozenset()
    ) -> dict[str, Any]:
        """A mapping with the needed keys and no unknown ones."""
        if not isinstance(value, dict):
            self.wrong(key, f"This must be a mapping with {', '.join(sorted(needed))}.")
        for name in value:
            if name not in needed | optional:
                self.wrong(
                    (*key, str(name)),
                    f"There is no key {name!r}.",
                    f"Keys are: {', '.join(sorted(needed | optional))}.",
                )
        for name in sorted(needed - value.keys()):
            self.wrong(key, f"The key {name!r} is missing.")
        return value

    def text(self, value: Any, key: Key) -> str:
        if not isinstance(value, str) or not value.strip():
            self.wrong(key, f"This must be a text, it is {value!r}.")
        return value

    def name(self, value: Any, key: Key) -> str:
        """A text that can be a file name, a label and a Python-like identifier."""
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.text(value, key)):
            self.wrong(key, f"{value!r} is not a name.", "Use small letters, digits and _.")
        return str(value)

    def number(self, value: Any, key: Key, least: int = 1) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            self.wrong(key, f"This must be a whole number of {least} or more, it is {value!r}.")
        return value

    def truth(self, value: Any, key: Key) -> bool:
        if not isinstance(value, bool):
            self.wrong(key, f"This must be true or false, it is {value!r}.")
        return value

    def texts(self, value: Any, key: Key) -> list[str]:
        """A list of texts, at least one, none twice."""
        if not isinstance(value, list) or not value:
            self.wrong(key, "This must be a list of texts.", "Write [one, two].")
        result = [
            self.text(v, (*key, i)) if isinstance(v, str) else self._no_text(v, (*key, i))
            for i, v in enumerate(value)
        ]
        for index, item in enumerate(result):
            if item in result[:index]:
                self.wrong((*key, index), f"{item!r} is there twice.")
        return result

    def _no_text(self, value: Any, key: Key) -> NoReturn:
        self.wrong(
            key,
            f"YAML reads this not as a text but as {value!r}.",
            "Put it in quotes (YAML reads words such as no, on and 7 as other values).",
        )
