"""A student's own values in a text become their names, and nothing else does."""

from __future__ import annotations

import pytest

from grader.classroom.similarity.placeholders import Placeholders

NAMED = Placeholders(
    {"port": 9120, "last": 9129, "count": 4, "greeting": "Ahoy from Bergen", "site": "red-crab"}
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Nothing answers on port 9120.", "Nothing answers on port ‹port›."),
        ('"9120-9129:5000"', '"‹port›-‹last›:5000"'),
        ("http://localhost:9120/", "http://localhost:‹port›/"),
        ("4 tasks, exit code 4", "4 tasks, exit code 4"),
        ("'Ahoy from Bergen!'", "'‹greeting›!'"),
        ("/var/www/red-crab/x", "/var/www/‹site›/x"),
        ("red-crabs, 91200, x9120", "red-crabs, 91200, x9120"),
        ("", ""),
    ],
)
def test_own_values_become_their_names(text: str, told: str) -> None:
    assert NAMED(text) == told


def test_of_two_equal_values_the_first_one_s_name_is_taken() -> None:
    assert Placeholders({"one": "crab", "two": "crab"})("a crab") == "a ‹one›"
