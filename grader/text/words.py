"""Numbers and lists of things in words.

>>> count(1, "task"), count(3, "task"), count(2, "cell is", "cells are")
('1 task', '3 tasks', '2 cells are')
>>> both(["nginx", "php-fpm"]), both(["a", "b", "c"])
('nginx and php-fpm', 'a, b and c')
"""

from __future__ import annotations

from collections.abc import Sequence


def count(number: int, one: str, many: str | None = None) -> str:
    """The number with its noun, in the singular where it is 1."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def both(names: Sequence[str]) -> str:
    """All names as a list in a sentence."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
