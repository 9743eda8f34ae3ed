"""What students are told about output: of the exercise at hand, and of no other."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from grader.lab.model import Exercise, Lab
from tests.unit.explainers import EXERCISES, explainers

OF_SOME_ONLY = {
    "webserver": ("webserver", "provision.sh", "nginx", "php", "php-fpm", "site"),
    "image": ("image", "nginx", "php", "php-fpm", "site"),
    "layers": ("layers",),
    "registry": ("registry",),
    "scientific": ("scientific", "analysis.py", "jupyter", "python3-numpy", "numpy"),
    "compose": ("counter", "blog", "compose", "wordpress", "redis"),
    "swarm": ("swarm",),
    "rollout": ("rollout", "voting"),
}
"""By exercise: folders, files and packages that others have not."""

COMMON = {"image", "compose", "registry", "swarm", "site"}
"""Words of Docker's own, that any exercise may use."""


def foreign(exercise: str) -> Iterator[str]:
    own = set(OF_SOME_ONLY[exercise])
    yield from {w for words in OF_SOME_ONLY.values() for w in words} - own - COMMON


@pytest.mark.parametrize(
    ("lab", "exercise"), EXERCISES, ids=[f"{lab.id}-{exercise.id}" for lab, exercise in EXERCISES]
)
def test_no_hint_speaks_of_another_exercise(lab: Lab, exercise: Exercise) -> None:
    for explainer in explainers(lab, exercise):
        told = list(explainer.everything())
        assert told
        for one in told:
            text = f"{one.reason} {one.hint}".lower()
            assert "{" not in text.replace("${", ""), one
            for word in foreign(exercise.id):
                assert not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text), (word, one)


def test_exercises_with_builds_have_explainers() -> None:
    with_some = {exercise.id for lab, exercise in EXERCISES if explainers(lab, exercise)}
    assert with_some == {"webserver", "image", "layers", "scientific", "compose", "rollout"}


def test_every_exercise_has_words_of_its_own() -> None:
    assert OF_SOME_ONLY.keys() == {exercise.id for _, exercise in EXERCISES}
