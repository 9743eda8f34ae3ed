"""Variables in compose files: `$NAME`, `${NAME:-default}`, and the `.env` that sets them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_VARIABLE = re.compile(
    r"\$(?:(?P<dollar>\$)|(?P<plain>[A-Za-z_]\w*)"
    r"|\{(?P<name>[A-Za-z_]\w*)(?:(?P<how>:?[-+?])(?P<other>[^}]*))?\})"
)


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


def of_folder(folder: Path) -> dict[str, str]:
    """What `.env` beside the compose file sets."""
    try:
        text = (folder / ".env").read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return {}
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = re.match(r"\s*(?:export\s+)?([A-Za-z_][\w.-]*)\s*[=:]\s*(.*?)\s*$", line)
        if match:
            name, value = match[1], match[2]
            quoted = re.match(r"""(['"])(.*?)\1\s*(#.*)?$""", value)
            plain = re.sub(r"(^|\s+)#.*$", "", value)
            found[name] = quoted[2] if quoted else fill_in(plain, found)
    return found
