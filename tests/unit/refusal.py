"""What the tests of command lines expect of every refusal."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from grader.vetting.commandline import NotAllowed


def of(look: Callable[[str], object], line: str) -> NotAllowed:
    """Why `look` refuses the line; it says what to do instead."""
    with pytest.raises(NotAllowed) as caught:
        look(line)
    assert caught.value.reason
    assert caught.value.hint
    return caught.value
