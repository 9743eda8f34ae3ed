"""One sandbox for all tests of the images; a catalogue of tiny ones for tests of sets."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.engine.images import catalogue, sets
from grader.engine.sandbox import Sandbox
from tests.engine.images.box import Box
from tests.engine.images.recipes import Recipes


@pytest.fixture(scope="package")
def box(engine: Any, image_set: Any) -> Iterator[Box]:
    with Sandbox.create(engine, submission="images", image_set=image_set.volume) as sandbox:
        yield Box(sandbox)


@pytest.fixture
def recipes(engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recipes]:
    """Sets of another name than the kit's own, so that those are left alone."""
    monkeypatch.setattr(sets, "PREFIX", "drydock-test-images-")
    monkeypatch.setattr(catalogue, "FOLDER", tmp_path / "recipes")
    monkeypatch.delenv("DRYDOCK_REGISTRY", raising=False)
    monkeypatch.delenv("DRYDOCK_PULL", raising=False)
    yield Recipes(tmp_path / "recipes")
    with contextlib.closing(engine.client()) as client:
        sets.remove_parts(client)
        sets.remove_others(client, "none of them")
