"""The lines at the top of a Dockerfile that say how it is read: `# syntax=`, `# escape=`.

>>> lines = ["# syntax=docker/dockerfile:1", "# escape=`", "FROM a"]
>>> directives(lines, print), lines[:2]
('`', ['# escape=`', '# (syntax)'])
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from grader.vetting.dockerwords import shown

Refuse: TypeAlias = Callable[[int, str, str], None]
"""Is told what is wrong: the line, why, and what to do instead."""

_DIRECTIVE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_FRONTEND = re.compile(
    r"(docker\.io/)?docker/dockerfile(:(1|1\.\d+|1\.\d+\.\d+|latest))?", re.ASCII
)


def directives(lines: list[str], problem: Refuse) -> str:
    """The escape sign; a harmless syntax line is taken out of `lines`.

    BuildKit stops at the first line that is no directive, its versions differ in which that is:
    an escape sign is taken only where all of them take it.
    """
    first = 1 if lines[0].startswith("#!") else 0
    if "\n".join(lines[first:]).lstrip().startswith("{"):
        _other_language(first, "JSON", problem)
    certain = not first
    escape = "\\"
    taken: list[int] = []
    for number, line in enumerate(lines[first:], first):
        found = _directive(line)
        certain = certain and line.isascii() and line.replace("\t", " ").rstrip("\r").isprintable()
        if line.strip() and not line.lstrip().startswith(("#", "//")):
            break
        certain = certain and found is not None and line.lstrip().startswith("#")
        name, value = found or ("", "")
        if name == "syntax":
            # The line stays as an empty comment, so that line numbers in messages are right.
            lines[number] = "# (syntax)"
            taken.append(number)
            if not _FRONTEND.fullmatch(value):
                _other_language(number, value, problem)
        elif name == "escape":
            escape = _escape(number, value, escape if certain else None, problem)
            if taken and certain:
                # Behind what is only a comment now it would not count.
                lines[taken[0]], lines[number] = lines[number], lines[taken[0]]
        else:
            certain = False
    return escape


def _directive(line: str) -> tuple[str, str] | None:
    """Name and value of `# name=value`, or `// name=value`."""
    line = line.strip()
    comment = line.removeprefix("#") if line.startswith("#") else line.removeprefix("//")
    name, equals, value = comment.partition("=")
    name, value = name.strip(), value.strip()
    if comment == line or not equals or not value or not _DIRECTIVE_NAME.fullmatch(name):
        return None
    return name.lower(), value


def _escape(number: int, value: str, before: str | None, problem: Refuse) -> str:
    """The sign that counts from now on; `before` is None where none can be set."""
    if value == "`" and before == "\\":
        return value
    if value != "\\" or before != value:
        problem(
            number + 1,
            f"Line {number + 1} sets an escape character, {shown(value)}, in a place where it has "
            f"no effect.",
            "Remove the line, or write '# escape=`' as the first line.",
        )
    return before or "\\"


def _other_language(number: int, value: str, problem: Refuse) -> None:
    problem(
        number + 1,
        f"Line {number + 1} asks for another Dockerfile language: {shown(value)}.",
        "Remove the line '# syntax=…': nothing here needs it.",
    )
