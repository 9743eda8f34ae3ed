"""Variables in compose files: `$NAME`, `${NAME:-default}`, as Compose fills them in.

    >>> fill_in("${TAG:-7}", {})
    '7'
    >>> exactly("${A:-${B}}", Variables())
    Traceback (most recent call last):
    grader.vetting.variables.Unclear: ${A:-${B}}

`fill_in` is for showing and for what cannot do harm. `exactly` is for what a rule decides about:
it takes only what cannot be read in two ways.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_VARIABLE = re.compile(
    r"\$(?:(?P<dollar>\$)|(?P<plain>[A-Za-z_]\w*)"
    r"|\{(?P<name>[A-Za-z_]\w*)(?:(?P<how>:?[-+?])(?P<other>[^}]{0,1000}))?\})",
    re.ASCII,
)


MAX_TEXT = 64 * 1024
"""Characters of a text with its variables filled in: thirty lines of `A1=$A0$A0` are gigabytes."""


class Unclear(ValueError):
    """A variable of which it is not certain what Compose makes of it."""


@dataclass(frozen=True)
class Variables:
    """What is set; `unclear` are names that are set to something one cannot be sure of.

    `own` are those that the submission sets itself. With `literal` there are none, and a `$` is
    what it is.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    unclear: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()
    literal: bool = False


def fill_in(text: str, variables: Mapping[str, str]) -> str:
    """Compose's `$NAME`, `${NAME:-default}` and the like; cut at MAX_TEXT characters."""

    def value(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        found = variables.get(match["plain"] or match["name"])
        how, other = match["how"] or "", match["other"] or ""
        present = found is not None and (found != "" or ":" not in how)
        if how.endswith("-"):
            return found or "" if present else fill_in(other, variables)
        if how.endswith("+"):
            return fill_in(other, variables) if present else ""
        return found or ""

    parts: list[str] = []
    length = end = 0
    for match in _VARIABLE.finditer(text):
        for part in (text[end : match.start()], value(match)):
            parts.append(part)
            length += len(part)
        end = match.end()
        if length > MAX_TEXT:
            break
    return "".join([*parts, text[end:]])[: MAX_TEXT + 1]


def exactly(text: str, variables: Variables) -> str:
    """As `fill_in`; Unclear where a `$` is no plain variable, or its value is not certain."""
    if variables.literal:
        return text
    for match in _VARIABLE.finditer(text):
        name, other = match["plain"] or match["name"], match["other"] or ""
        if name in variables.unclear or re.search(r"[${]", other):
            raise Unclear(text)
    if "$" in _VARIABLE.sub("", text):
        raise Unclear(text)
    filled = fill_in(text, variables.values)
    if len(filled) > MAX_TEXT:
        raise Unclear(text)
    return filled
