"""What a record means: first things, what waits for what, and text made fit to be shown."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.record import Cause
from grader.reports import facts, summary, text
from tests.unit import sample_record as sample


def test_first_things_come_from_every_exercise_and_the_one_that_frees_most_is_first() -> None:
    todos = summary.first_things(sample.typical())
    assert [todo.check.id for todo in todos] == [
        "webserver.image_builds",
        "webserver.again",
        "compose.survives",
    ]
    assert (todos[0].unlocks, todos[0].unlocks_points) == (3, 7.0)
    assert todos[0].unlocks_text == "3 more checks (7 points) wait for this one."
    assert todos[1].unlocks_text == ""


def test_no_exercise_is_crowded_out_of_the_first_things() -> None:
    exercises = [
        sample.exercise(name, name, [sample.failed(f"{name}.{n}", "It is so.") for n in range(9)])
        for name in "abcd"
    ]
    todos = summary.first_things(sample.record(*exercises), at_most=3)
    assert [todo.exercise.id for todo in todos] == ["a", "b", "c", "d"]


def test_first_things_are_empty_with_full_marks() -> None:
    assert summary.first_things(sample.full_marks()) == []


def test_what_waits_is_gathered_under_its_first_cause() -> None:
    (group,) = summary.unanswered(sample.webserver())
    assert (group.start.id, group.count, group.points) == ("webserver.image_builds", 3, 7.0)
    assert group.cause_text == "Needed first: “The Dockerfile builds an image.”"


def test_what_waits_for_a_missing_engine_is_gathered_with_it() -> None:
    first, second = (summary.unanswered(exercise) for exercise in sample.no_engine().exercises)
    assert [(g.start.why, g.count, g.points) for g in first] == [("engine", 3, 14.0)]
    assert [(g.count, g.points, g.cause_text) for g in second] == [
        (0, 25.0, "The grader broke: The checks' process ended with code 4.")
    ]


def test_what_a_live_target_does_not_show_is_one_paragraph() -> None:
    unseen = [
        sample.not_graded(f"a.{n}", "It was so.", 2, "target", cause=Cause(reason=f"Cause {n}."))
        for n in range(3)
    ]
    live = sample.exercise("a", "A", unseen, target={"kind": "vagrant", "live": True})
    (group,) = summary.unanswered(live)
    assert (group.count, group.points) == (3, 6.0)
    assert "--fresh" in group.cause_text

    sandbox = sample.exercise("a", "A", unseen)
    assert [g.cause_text[:8] for g in summary.unanswered(sandbox)] == [
        "Cause 0.",
        "Cause 1.",
        "Cause 2.",
    ]


def test_circular_needs_end() -> None:
    one = sample.not_graded("a.1", "One.", 1, "needs", needs=("a.2",))
    two = sample.not_graded("a.2", "Two.", 1, "needs", needs=("a.1",))
    circle = sample.exercise("a", "A", [one, two])
    assert summary.origin(circle, one).id in ("a.1", "a.2")
    assert sum(group.count for group in summary.unanswered(circle)) == 2


@pytest.mark.parametrize("name", ["typical", "full_marks", "no_engine", "hostile"])
def test_shares_add_up_to_what_can_be_reached(name: str) -> None:
    found = getattr(sample, name)()
    for exercise in found.exercises:
        assert summary.shares(exercise).possible == pytest.approx(exercise.max_score)
        assert summary.shares(exercise).got == pytest.approx(exercise.score)
    assert summary.shares(*found.exercises).possible == pytest.approx(found.max_score)


def test_shares_tell_missed_from_waiting_and_open() -> None:
    assert summary.shares(sample.webserver()).text == (
        "5.5 points reached, 2.5 missed, 7 waiting for another check"
    )
    assert summary.shares(*sample.no_engine().exercises).text == ("1 point reached, 39 not graded")


def test_share_of_a_check_says_when_its_points_are_open_or_not_counted() -> None:
    shares = {
        check.id: summary.share_of_check(exercise, check)
        for found in (sample.typical(), sample.no_engine())
        for exercise in found.exercises
        for check in exercise.checks
    }
    assert shares["webserver.again"] == "0 of 1.5"
    assert shares["webserver.image_page"] == "0 of 3"
    assert shares["compose.mesh"] == "not counted"
    assert (shares["webserver.page"], shares["webserver.stops"]) == ("8 open", "2 open")


def test_headlines() -> None:
    assert summary.headline(sample.typical()) == "23 of 40.5 points reached."
    assert summary.headline(sample.full_marks()) == "All 15 points reached."
    assert "39 points could not be graded" in summary.headline(sample.no_engine())


def test_hidden_checks_keep_outcome_and_points_and_nothing_else() -> None:
    public = summary.for_student(sample.typical())
    hidden = [check for check in public.checks if check.visibility == "hidden"]
    assert [(check.outcome, check.points, check.max_points) for check in hidden] == [
        ("failed", 0.0, 3.0),
        ("passed", 1.0, 1.0),
    ]
    for check in hidden:
        assert (check.title, check.cause, check.seconds) == (summary.HIDDEN, None, 0.0)
        assert "secret" not in check.id
    assert "SECRET" not in repr(public)


def test_a_check_that_needs_a_hidden_one_does_not_name_it() -> None:
    hidden = sample.failed("a.secret", "SECRET", visibility="hidden")
    waits = sample.not_graded("a.waits", "Waits.", 1, "needs", needs=("a.secret",))
    public = summary.for_student(sample.record(sample.exercise("a", "A", [hidden, waits])))
    (group,) = summary.unanswered(public.exercises[0])
    assert group.cause_text == f"Needed first: “{summary.HIDDEN}”"
    assert "secret" not in repr(public).lower().replace("s1234567", "")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(2.0, "2"), (1.5, "1.5"), (1 / 3, "0.33"), (0.0, "0"), (10.0, "10"), (0.1 + 0.2, "0.3")],
)
def test_points_as_people_write_them(value: float, shown: str) -> None:
    assert summary.points(value) == shown


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain ümlaut 漢字 \t\n", "plain ümlaut 漢字 \t\n"),
        ("\x1b[2J", "‹ESC›[2J"),
        ("a\x00b\x85", "a‹NUL›b‹U+0085›"),
        ("a\rb\r\n", "a‹CR›b‹CR›\n"),
        ("exe.\u202egnp", "exe.‹U+202E›gnp"),
        ("\u2066\u200b\ufeff\u2028\ue000", "‹U+2066›‹U+200B›‹U+FEFF›‹U+2028›‹U+E000›"),
        ("\udce4\ufffe", "‹U+DCE4›‹U+FFFE›"),
        ("e\u0301", "e\u0301"),
        ("e" + "\u0301" * 10 + "!", "e" + "\u0301" * 4 + "‹6 more marks›!"),
    ],
)
def test_what_hides_is_made_visible(raw: str, shown: str) -> None:
    assert text.visible(raw) == shown


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_visible_text_holds_nothing_that_hides(raw: str) -> None:
    shown = text.visible(raw)
    shown.encode("utf-8")
    categories = {unicodedata.category(char) for char in shown if char not in "\n\t"}
    assert not categories & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    assert text.visible(shown) == shown


def test_long_output_keeps_beginning_and_end_and_says_what_is_gone() -> None:
    rows = text.log_text("\n".join(f"line {n}" for n in range(1_000)), lines=30).split("\n")
    assert rows[0] == "line 0"
    assert rows[10] == "… 970 lines left out …"
    assert rows[-1] == "line 999"
    assert len(rows) == 31


def test_long_lines_keep_beginning_and_end() -> None:
    shown = text.value_text("a" * 300 + "b" * 300, width=100)
    assert shown.startswith("a" * 75 + " … 500 characters left out … ")
    assert shown.endswith("b" * 25)


def test_logs_lose_colours_and_keep_other_control_characters_visible() -> None:
    assert text.log_text("\n\x1b[1;31mred\x1b[0m\r\nE: \x1b]0;title\x07\n") == (
        "red\nE: ‹ESC›]0;title‹BEL›"
    )


@pytest.mark.parametrize(
    ("iso", "shown"),
    [
        ("2026-11-24T09:41:12+01:00", "24 November 2026, 09:41 (UTC+01:00)"),
        ("2026-03-02T23:05:00Z", "2 March 2026, 23:05 (UTC)"),
        ("2026-03-02T23:05:00", "2 March 2026, 23:05"),
        ("yesterday", "yesterday"),
    ],
)
def test_moments(iso: str, shown: str) -> None:
    assert facts.moment(iso) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.04, "0.0 s"), (2.31, "2.3 s"), (9.97, "10 s"), (61.7, "1 min 2 s"), (119.8, "2 min 0 s")],
)
def test_seconds(value: float, shown: str) -> None:
    assert facts.seconds(value) == shown


def test_stages_are_part_of_the_checks_and_not_added_to_them() -> None:
    spent = {"sandbox": 2.0, "build": 10.0, "checks": 30.0}
    assert facts.together(spent) == 32.0
    assert facts.stages([spent, {"checks": 1.0, "deploy": 0.5}]) == ["build", "deploy"]


def test_targets_in_words() -> None:
    assert facts.target(sample.TARGET) == (
        "a sandbox made for this submission; isolated by user namespaces; Docker Engine 26.1.5"
    )
    three = {"kind": "vagrant", "isolation": "vm", "nodes": 3, "routing_mesh": False}
    assert facts.target(three) == (
        "the class's virtual machines, 3 nodes; isolated as virtual machines; no routing mesh"
    )
    assert facts.target({}) == "no target (only the files were read)"
    assert facts.target({"kind": "moon", "nodes": "many"}) == "moon"
