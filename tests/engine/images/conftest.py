"""One sandbox for all tests of the images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from grader.engine.sandbox import Sandbox
from tests.engine.images.box import Box


@pytest.fixture(scope="package")
def box(engine: Any, image_set: Any) -> Iterator[Box]:
    with Sandbox.create(engine, submission="images", image_set=image_set.volume) as sandbox:
        yield Box(sandbox)
