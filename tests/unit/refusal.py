"""What the tests of command lines expect of every refusal."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from grader.vetting.refusal import Refusal


def of(look: Callable[[str], object], line: str) -> Refusal:
    """Why `look` refuses the line; it says what to do instead."""
    with pytest.raises(Refusal) as caught:
        look(line)
    assert caught.value.reason
    assert caught.value.hint
    return caught.value
