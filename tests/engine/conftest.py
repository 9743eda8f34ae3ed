"""What the engine tests share: one engine and one image set for the whole session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from grader.engine import embedded, find, packages

if TYPE_CHECKING:
    from grader.engine.find import Engine


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The engine that a user's run would use; started if there is none."""
    return find.ensure(os.environ.get("DRYDOCK_TEST_ENGINE") or None)


@pytest.fixture(scope="session")
def image_set(engine: Engine) -> Any:
    """The lab's image set on that engine; built if it is not there (minutes)."""
    from grader.engine import images

    return images.ensure(engine)


@pytest.fixture(scope="module")
def own_place(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.Place]:
    """A data directory, and so an embedded engine, of the test module's own.

    The session's engine comes first: it must not be looked for in that directory.
    """
    if not packages.is_root():
        pytest.skip("starting and breaking engines needs root")
    home: Path = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DRYDOCK_HOME", str(home))
        place = embedded.place()
        try:
            yield place
        finally:
            embedded.shut_down()
