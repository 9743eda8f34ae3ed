"""A sample of the hostile corpus, one of each kind, graded for real beside the canaries.

`nox -s hostile` grades all of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.hostile import cases as corpus
from tests.hostile.__main__ import batches
from tests.hostile.play import Play

pytestmark = pytest.mark.engine


def test_hostile_submissions_of_each_kind_get_nowhere(
    engine: Any, image_set: Any, tmp_path: Path
) -> None:
    if not engine.local or engine.origin != "embedded":
        pytest.skip("canaries of this machine say nothing of an engine elsewhere")
    sample = corpus.sample(corpus.load())
    assert {case.kind for case in sample} == set(corpus.KINDS)
    with Play.begin(tmp_path / "run", engine, image_set.volume, jobs=3) as play:
        play.correct = {"compose"}
        for batch in batches(sample):
            play.play(batch)
        play.end()
    wrong = {name: lines for name, lines in play.found.wrong.items() if lines}
    assert not wrong
    assert not play.found.shared
