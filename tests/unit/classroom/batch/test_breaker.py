"""The circuit breaker: whose fault it is when something cannot be graded."""

from __future__ import annotations

from grader.classroom.batch.breaker import Breaker, Trouble

DEAD = Trouble("engine", "The engine does not answer.", "Start it.")


def test_one_submissions_fault_does_not_stop_the_others() -> None:
    breaker = Breaker()
    for _ in range(5):
        breaker.fault("s1", "it hangs", None)
        breaker.good("s2")
    assert not breaker.open
    assert breaker.verdict("s1", alone=False) == "alone"
    assert breaker.verdict("s1", alone=True) == "leave"


def test_faults_of_one_student_are_no_row_however_many() -> None:
    breaker = Breaker()
    for _ in range(10):
        breaker.fault("s1", "it hangs", None)
    assert not breaker.open


def test_an_engine_that_is_ill_opens_at_once_and_is_nobodys_fault() -> None:
    breaker = Breaker()
    breaker.fault("s1", "no answer", DEAD)
    assert breaker.trouble == DEAD
    breaker.fault("s2", "no answer", None)
    breaker.recovered()
    assert not breaker.open
    assert breaker.verdict("s1", alone=False) == "again"
    assert breaker.verdict("s2", alone=False) == "again"


def test_several_students_in_a_row_open_it_though_the_engine_answers() -> None:
    breaker = Breaker(in_a_row=3)
    breaker.fault("s1", "odd", None)
    breaker.fault("s2", "odd", None)
    assert not breaker.open
    breaker.fault("s3", "odd", None)
    assert breaker.trouble is not None
    assert breaker.trouble.kind == "row"
    assert "odd" in breaker.trouble.what


def test_somebody_graded_in_between_ends_a_row() -> None:
    breaker = Breaker(in_a_row=2)
    breaker.fault("s1", "odd", None)
    breaker.good("s2")
    breaker.fault("s3", "odd", None)
    assert not breaker.open


def test_after_a_row_with_a_well_engine_each_is_graded_alone() -> None:
    breaker = Breaker(in_a_row=2)
    breaker.fault("s1", "odd", None)
    breaker.fault("s2", "odd", None)
    breaker.recovered()
    assert breaker.verdict("s1", alone=False) == "alone"


def test_those_who_failed_just_before_an_outage_was_seen_were_hit_by_it() -> None:
    breaker = Breaker()
    breaker.fault("s1", "odd", None)
    breaker.fault("s2", "no answer", DEAD)
    breaker.recovered()
    assert breaker.verdict("s1", alone=False) == "again"


def test_a_submission_that_brings_the_engine_down_each_time_is_left_at_last() -> None:
    breaker = Breaker(outages=2)
    verdicts = []
    for _ in range(4):
        breaker.fault("s1", "no answer", DEAD)
        breaker.recovered()
        verdicts.append(breaker.verdict("s1", alone="alone" in verdicts))
    assert verdicts == ["again", "again", "alone", "leave"]


def test_a_full_disk_opens_it_and_who_fails_meanwhile_is_graded_again() -> None:
    breaker = Breaker()
    breaker.trip(Trouble("disk", "full", "free some"))
    breaker.fault("s1", "No space left on device", None)
    breaker.recovered()
    assert breaker.verdict("s1", alone=False) == "again"
    assert breaker.verdict("s1", alone=False) == "alone", "only what hit it is forgiven"
