"""What programs of a submission print and answer, where a check reads numbers or JSON in it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from grader.lab import labfile

LAB = labfile.load("lab4")

NOT_JSON = ("", "no", "{", "[" * 100_000, '{"a": ' * 100_000, "1" * 10_000, "NaN")


@pytest.fixture(scope="module")
def checks() -> Callable[[str], Any]:
    return lambda name: importlib.import_module(f"labs.lab4.checks.{name}")


def page(text: str) -> Any:
    return SimpleNamespace(ok=True, status=200, text=text)


@pytest.mark.parametrize("digits", [16, 4_301, 1_000_000])
def test_a_count_that_is_no_ones_is_none(checks: Callable[[str], Any], digits: int) -> None:
    shown = checks("compose.counter").shown_count
    assert shown(page("seen " + "9" * digits + " times")) is None
    assert shown(page("seen 12 times")) == 12


@pytest.mark.parametrize(
    "text",
    [
        *NOT_JSON,
        *("{}", "[]", "5", '{"modules": 1, "python": {}, "debian": {}}'),
        *('{"modules": [], "python": [], "debian": {}}', '{"modules": [], "python": {}}'),
    ],
)
def test_what_an_images_python_says_instead_is_nothing(
    checks: Callable[[str], Any], text: str
) -> None:
    assert checks("scientific.run").told(text) is None


def test_what_an_images_python_says_is_read(checks: Callable[[str], Any]) -> None:
    said = '{"modules": ["numpy"], "python": {"NumPy": "1.24"}, "debian": {"libc6": "2.36"}}'
    assert checks("scientific.run").told(said) == (
        frozenset(["numpy"]),
        {"numpy": "1.24"},
        {"libc6": "2.36"},
    )


@pytest.mark.parametrize(
    "text",
    [
        *NOT_JSON,
        *("{}", "[]", '{"votes": [1, 2]}', '{"votes": {"cats": 1}}'),
        *('{"votes": {"cats": 1e999, "dogs": 1}}', '{"votes": {"cats": [], "dogs": 1}}'),
        '{"votes": {"cats": "%s", "dogs": 1}}' % ("1" * 5_000),
    ],
)
def test_votes_that_are_none_are_not_counted(checks: Callable[[str], Any], text: str) -> None:
    voting = checks("rollout.voting").Voting
    one = SimpleNamespace(ask=lambda *_: page(text), options=("cats", "dogs"))
    assert voting.result(one) is None
    one.ask = lambda *_: page('{"votes": {"cats": 2, "dogs": 1}}')
    assert voting.result(one) == {"cats": 2, "dogs": 1}
