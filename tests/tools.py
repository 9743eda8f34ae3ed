"""Programs that tests need and the kit does not: installed with apt where that is allowed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from grader.engine import packages


def found_or_installed(look: Callable[[], str | None], names: Sequence[str], why: str) -> str:
    """The path that `look` finds, after installing Debian's packages where that is needed.

    The test is skipped only where the program is missing and no one may install it.
    """
    found = look()
    if found is None:
        if not packages.can_install():
            pytest.skip(f"not here, and it may not be installed: {' '.join(names)}")
        packages.apt_install(names, why)
        found = look()
    assert found is not None, f"{' '.join(names)} are installed, and the program is not found"
    return found
