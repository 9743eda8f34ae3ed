"""The late policy: read strictly from lab.yaml, and applied by whole days."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from grader.errors import KitError
from grader.lab import labfile, late
from grader.lab import model as labs
from grader.lab.late import Late
from tests.unit import toy_lab

DEADLINE = datetime.fromisoformat("2026-11-27T23:59:00+01:00")
POLICY = Late(DEADLINE, grace=15, percent=10, most=35)


def lab_with(folder: Path, policy: str) -> labs.Lab:
    file = toy_lab.make(folder).folder / "lab.yaml"
    file.write_text(f"{toy_lab.LAB}late: {policy}\n", encoding="utf-8")
    return labfile.load(file.parent)


@pytest.mark.parametrize(
    ("submitted", "days"),
    [
        ("2026-11-27T10:00:00+01:00", 0),
        ("2026-11-28T00:14:00+01:00", 0),
        ("2026-11-28T00:14:01+01:00", 1),
        ("2026-11-27T23:14:01Z", 1),
        ("2026-11-29T00:14:00+01:00", 1),
        ("2026-11-29T00:14:01+01:00", 2),
        ("2027-11-29T00:14:01+01:00", 367),
    ],
)
def test_each_day_begun_after_the_grace_counts(submitted: str, days: int) -> None:
    assert late.days(datetime.fromisoformat(submitted.replace("Z", "+00:00")), POLICY) == days
    assert late.penalty(submitted, POLICY) == pytest.approx(min(0.1 * days, 0.35))


def test_no_more_is_lost_than_the_policy_says() -> None:
    assert late.penalty("2030-01-01T00:00:00Z", POLICY) == 0.35
    assert late.penalty("2030-01-01T00:00:00Z", Late(DEADLINE, 0, 10)) == 1.0


@pytest.mark.parametrize("submitted", [None, "", "yesterday", "2026-12-24T10:00:00"])
def test_an_unknown_time_costs_nothing_and_is_said(submitted: str | None) -> None:
    assert late.penalty(submitted, POLICY) == 0
    assert "no penalty" in late.words(submitted, POLICY)


def test_without_a_policy_nothing_is_lost_or_said() -> None:
    assert late.penalty("2030-01-01T00:00:00Z", None) == 0
    assert late.words("2030-01-01T00:00:00Z", None) == late.words(None, None) == ""


def test_words_tell_days_and_percent() -> None:
    assert late.words("2026-11-28T10:00:00+01:00", POLICY) == "1 day late: minus 10 %"
    assert late.words("2026-12-28T10:00:00+01:00", POLICY) == "31 days late: minus 35 %"
    assert late.words("2026-11-27T10:00:00+01:00", POLICY) == ""


def test_clocks_of_other_time_zones_are_compared_by_the_moment() -> None:
    utc = DEADLINE.astimezone(timezone.utc).isoformat()
    assert late.penalty(utc, POLICY) == 0


def test_a_policy_is_read_from_lab_yaml(tmp_path: Path) -> None:
    text = '{deadline: "2026-11-27T23:59:00+01:00", grace: 15, percent: 10, most: 35}'
    assert lab_with(tmp_path, text).late == POLICY


def test_a_lab_without_a_policy_has_none(tmp_path: Path) -> None:
    assert toy_lab.make(tmp_path).late is None
    assert labfile.load("lab4").late is None


def test_the_form_that_lab4_shows_is_right(tmp_path: Path) -> None:
    text = (labfile.load("lab4").folder / "lab.yaml").read_text(encoding="utf-8")
    shown = next(line for line in text.splitlines() if line.startswith("# late: "))
    assert lab_with(tmp_path, shown.removeprefix("# late: ")).late is not None


@pytest.mark.parametrize(
    ("policy", "where", "says"),
    [
        ("{grace: 1, percent: 1}", "late", "'deadline' is missing"),
        ('{deadline: "x", grace: 1, percent: 1}', "late.deadline", "not a time with an offset"),
        (
            '{deadline: "2026-11-27T23:59:00", grace: 1, percent: 1}',
            "late.deadline",
            "not a time with an offset",
        ),
        ("{deadline: 2026-11-27T23:59:00+01:00, grace: 1, percent: 1}", "late.deadline", "text"),
        ('{deadline: "2026-11-27T23:59:00Z", grace: -1, percent: 1}', "late.grace", "whole number"),
        ('{deadline: "2026-11-27T23:59:00Z", grace: 1, percent: 101}', "late.percent", "0 to 100"),
        ('{deadline: "2026-11-27T23:59:00Z", grace: 1, percent: yes}', "late.percent", "0 to 100"),
        ('{deadline: "2026-11-27T23:59:00Z", grace: 1, percent: .nan}', "late.percent", "0 to 100"),
        (
            '{deadline: "2026-11-27T23:59:00Z", grace: 1, percent: 1, most: x}',
            "late.most",
            "0 to 100",
        ),
        (
            '{deadline: "2026-11-27T23:59:00Z", grace: 1, percent: 1, per: 2}',
            "late.per",
            "no key 'per'",
        ),
        ("no", "late", "must be a mapping"),
    ],
)
def test_a_wrong_policy_is_refused_by_line_and_key(
    tmp_path: Path, policy: str, where: str, says: str
) -> None:
    with pytest.raises(KitError, match=says) as caught:
        lab_with(tmp_path, policy)
    assert str(caught.value.where).endswith(where)
    assert "line 12" in str(caught.value.where)
