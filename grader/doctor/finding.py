"""What the doctor found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "missing", "optional"]


@dataclass(frozen=True)
class Finding:
    """One line: `state` "missing" is what the kit cannot do without, "optional" what only a
    part of it needs; `cost` of getting it in words; `remedy` a command or a sentence."""

    name: str
    state: State
    found: str
    cost: str = ""
    remedy: str = ""
