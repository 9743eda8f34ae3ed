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
    r"|\{(?P<name>[A-Za-z_]\w*)(?:(?P<how>:?[-+?])(?P<other>[^}]*))?\})",
    re.ASCII,
)


class Unclear(ValueError):
    """A variable of which it is not certain what Compose makes of it."""


@dataclass(frozen=True)
class Variables:
    """What is set; `unclear` are names that are set to something one cannot be sure of.

    `own` are those that the submission sets itself.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    unclear: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()


def fill_in(text: str, variables: Mapping[str, str]) -> str:
    """Compose's `$NAME`, `${NAME:-default}` and the like."""

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

    return _VARIABLE.sub(value, text)


def exactly(text: str, variables: Variables) -> str:
    """As `fill_in`; Unclear where a `$` is no plain variable, or its value is not certain."""
    for match in _VARIABLE.finditer(text):
        name, other = match["plain"] or match["name"], match["other"] or ""
        if name in variables.unclear or re.search(r"[${]", other):
            raise Unclear(text)
    if "$" in _VARIABLE.sub("", text):
        raise Unclear(text)
    return fill_in(text, variables.values)
