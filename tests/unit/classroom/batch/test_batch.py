"""A batch's decisions, over a workplace on which everything can go wrong at will."""

from __future__ import annotations

import dataclasses
import errno
import io
import itertools
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest
from rich.console import Console

from grader import record
from grader.classroom.batch import batch
from grader.classroom.batch.batch import Batch, Outcome
from grader.classroom.batch.breaker import Trouble
from grader.classroom.batch.job import Event, Job, Lost, SetAside
from grader.classroom.batch.show import Show
from grader.classroom.results import Entry, Person, Results
from grader.grading import progress
from grader.grading.exercise import Stopped
from grader.lab.model import Lab
from grader.record import ExerciseResult, Record
from tests.unit import sample_record as sample
from tests.unit import toy_lab

DEAD = Trouble("engine", "The engine does not answer.", "Start it.")
STUDENTS = ("s0000001", "s0000002", "s0000003", "s0000004")
Deed = Callable[[Job], Record]


class Executor:
    """Grades one after the other, well unless a student's next deed is another one.

    The faults of engines and machines that deeds stand for cannot be made on demand.
    """

    width = 2
    side_by_side = 2

    def __init__(self) -> None:
        self.deeds: dict[str, list[Deed]] = {}
        self.trouble: Trouble | None = None
        self.fixes = 0
        self.after = 1
        """After how many looks a trouble is fixed."""
        self.order: list[str] = []
        self.beside: list[int] = []
        self.held = False
        self._events: list[Event] = []
        self._waiting: list[tuple[Job, Future[Record]]] = []

    def submit(self, job: Job) -> Future[Record]:
        self.order.append(job.student)
        future: Future[Record] = Future()
        self._waiting.append((job, future))
        self.beside.append(len(self._waiting))
        return future

    def events(self, seconds: float) -> list[Event]:
        if self._waiting and seconds > 0:
            job, future = self._waiting.pop(0)
            deeds = self.deeds.get(job.student)
            try:
                found = deeds.pop(0)(job) if deeds else well(job)
                for exercise in job.planned.to_run:
                    result = found.exercise(exercise.id)
                    self._events.append(Event("finished", job.student, exercise.id, result))
                future.set_result(found)
            except Exception as error:
                future.set_exception(error)
        found_events, self._events = self._events, []
        return found_events

    def hold(self) -> None:
        self.held = True

    def go_on(self) -> None:
        self.held = False

    def ill(self) -> Trouble | None:
        return self.trouble

    def recover(self, trouble: Trouble) -> Trouble | None:
        self.fixes += 1
        if self.fixes < self.after:
            return trouble
        self.trouble = None
        return None

    def adapt(self) -> None:
        pass

    def stop(self) -> None:
        pass


def well(job: Job) -> Record:
    """Full points, without the seconds that processes take."""
    return recorded(job, fault=None)


def broken(job: Job) -> Record:
    """The grader broke: nothing of it is graded."""
    return recorded(job, fault="It broke.\nlog")


def recorded(job: Job, fault: str | None) -> Record:
    results = [
        ExerciseResult(
            id=e.id,
            title=e.title,
            key=job.planned.keys[e.id],
            graded_at=progress.now(),
            checks=() if fault else (sample.passed(f"{e.id}.runs", "It runs.", e.points),),
            points=e.points,
            fault=fault,
            files=job.planned.files[e.id].digest,
            seconds={"checks": 1.0},
        )
        for e in job.planned.to_run
    ]
    lab, now = job.request.lab, progress.now()
    found = Record(lab.id, lab.title, job.student, job.student, tuple(results), "1", now, now)
    record.save(found, job.request.record_file)
    return found


def raising(error: Exception) -> Deed:
    def deed(_job: Job) -> Record:
        raise error

    return deed


class Place:
    def __init__(self, folder: Path) -> None:
        self.lab: Lab = toy_lab.make(folder)
        entries = tuple(Entry(Person(student), "class.zip") for student in STUDENTS)
        self.results = Results(folder / "results", "toy", entries)
        for student in STUDENTS:
            folder = self.results.submission(student) / "numbers"
            folder.mkdir(parents=True)
            (folder / "number.txt").write_text("1")
        self.executor = Executor()
        self._said = io.StringIO()

    def run(self) -> Outcome:
        with Show(Console(file=self._said, width=200)) as show:
            planned = batch.plan(self.results, self.lab, exercises=["numbers"])
            return Batch(self.results, self.executor, show).run(planned)

    @property
    def said(self) -> str:
        return self._said.getvalue()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(batch, "MEND_SECONDS", 0.0)
    # Room is looked for on the real machine, which others use, too.
    monkeypatch.setattr("grader.classroom.batch.health.room", lambda _out, paused=False: None)
    return Place(tmp_path)


def test_everybody_is_graded_in_order_with_a_line_and_a_page_each(place: Place) -> None:
    found = place.run()
    assert tuple(found.graded) == STUDENTS
    assert found.left == {}
    assert max(place.executor.beside) == 2
    for student in STUDENTS:
        assert f"{student}: 2 of 2 points, in" in place.said
        assert place.results.feedback_file(student).is_file()
    assert "(4 of 4)" in place.said


def test_what_is_graded_is_kept(place: Place) -> None:
    place.run()
    place.executor.order.clear()
    found = place.run()
    assert (found.graded, tuple(found.kept)) == ([], STUDENTS)
    assert place.executor.order == []


def test_what_an_earlier_version_graded_is_kept_and_named(place: Place) -> None:
    place.run()
    checks = place.lab.folder / "checks/numbers/check_numbers.py"
    checks.write_text(checks.read_text() + "\n# clearer\n")
    changed = place.results.submission(STUDENTS[1]) / "numbers/number.txt"
    changed.write_text("2")
    found = place.run()
    assert found.graded == [STUDENTS[1]], "changed files are graded again all the same"
    assert tuple(found.older) == (STUDENTS[0], *STUDENTS[2:])


def test_a_regrade_grades_apart_what_is_graded_and_nothing_else(place: Place) -> None:
    place.results = dataclasses.replace(place.results, entries=place.results.entries[:2])
    place.run()
    place.results = dataclasses.replace(
        place.results, entries=(*place.results.entries, Entry(Person(STUDENTS[2]), "class.zip"))
    )
    checks = place.lab.folder / "checks/numbers/check_numbers.py"
    checks.write_text(checks.read_text() + "\n# clearer\n")
    apart = place.results.folder / "regrade/records"
    planned = batch.plan(place.results, place.lab, records=apart, keep_older=False)
    assert [job.student for job in planned.jobs] == [*STUDENTS[:2]]
    for job in planned.jobs:
        assert [exercise.id for exercise in job.planned.to_run] == ["numbers"], "no words yet"
        assert job.request.record_file.parent == apart


def test_what_could_not_be_unpacked_is_left_with_its_reason(place: Place) -> None:
    refused = Entry(Person("s0000009"), "class.zip", refused="It is no archive.")
    place.results = dataclasses.replace(place.results, entries=(*place.results.entries, refused))
    assert place.run().left == {"s0000009": "It is no archive."}


def test_one_that_breaks_is_graded_once_more_alone_after_the_others(place: Place) -> None:
    place.executor.deeds[STUDENTS[0]] = [broken]
    found = place.run()
    assert found.graded == [*STUDENTS[1:], STUDENTS[0]]
    assert found.left == {}
    assert place.executor.order == [*STUDENTS, STUDENTS[0]]
    assert place.executor.beside[-1] == 1
    assert f"{STUDENTS[0]}: set aside" in place.said
    assert "Paused" not in place.said


def test_one_that_breaks_alone_too_is_left_and_nobody_else(place: Place) -> None:
    place.executor.deeds[STUDENTS[2]] = [broken, broken, broken]
    found = place.run()
    assert found.left == {STUDENTS[2]: "numbers: It broke."}
    assert len(found.graded) == 3
    assert place.executor.order.count(STUDENTS[2]) == 2


def test_an_outage_pauses_and_everybody_it_hit_is_graded_again(place: Place) -> None:
    def outage(job: Job) -> Record:
        place.executor.trouble = DEAD
        return broken(job)

    place.executor.after = 3
    place.executor.width = 3
    place.executor.deeds = {STUDENTS[1]: [outage], STUDENTS[2]: [broken]}
    found = place.run()
    assert sorted(found.graded) == [*STUDENTS]
    assert found.left == {}
    assert place.executor.fixes == 3
    assert not place.executor.held
    said = place.said
    assert said.count("Paused: The engine does not answer. Start it.") == 1
    assert said.index("Paused") < said.index("Recovered; regrading")
    assert "set aside" not in said


def test_a_second_outage_is_said_again(place: Place) -> None:
    def outage(job: Job) -> Record:
        place.executor.trouble = DEAD
        return broken(job)

    place.executor.deeds = {STUDENTS[0]: [outage], STUDENTS[3]: [outage]}
    assert len(place.run().graded) == 4
    assert place.said.count("Paused") == 2


def test_a_full_disk_pauses_and_what_could_not_be_written_is_graded_again(place: Place) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "record.json")
    place.executor.deeds[STUDENTS[1]] = [raising(full)]
    found = place.run()
    assert len(found.graded) == 4
    assert "Paused: A record could not be written: No space left on device" in place.said


def test_several_in_a_row_are_tried_and_then_each_alone(place: Place) -> None:
    for student in STUDENTS[:3]:
        place.executor.deeds[student] = [broken]
    found = place.run()
    assert sorted(found.graded) == [*STUDENTS]
    assert "Paused: 3 submissions in a row could not be graded" in place.said


def test_an_error_that_nobody_thought_of_costs_one_submission_and_not_the_batch(
    place: Place,
) -> None:
    odd = raising(ZeroDivisionError("division by zero"))
    place.executor.deeds[STUDENTS[0]] = [odd, odd]
    found = place.run()
    assert len(found.graded) == 3
    assert found.left == {STUDENTS[0]: "ZeroDivisionError: division by zero"}


def test_one_that_does_damage_twice_is_left_at_once(place: Place) -> None:
    place.executor.deeds[STUDENTS[0]] = [raising(SetAside("Two workers died of it."))]
    found = place.run()
    assert found.left == {STUDENTS[0]: "Two workers died of it."}
    assert place.executor.order.count(STUDENTS[0]) == 1


@pytest.mark.parametrize("error", [Stopped(), Lost("Its worker was stopped.")])
def test_what_was_lost_on_the_way_is_graded_again_and_never_forgotten(
    place: Place, error: Exception
) -> None:
    place.executor.deeds[STUDENTS[1]] = [raising(error)]
    found = place.run()
    assert sorted(found.graded) == [*STUDENTS]
    assert place.executor.order.count(STUDENTS[1]) == 2
    assert "set aside" not in place.said


def test_clock_jumps_change_no_duration(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    years = itertools.cycle(["2026-11-24T12:00:00+01:00", "1999-01-01T00:00:00+01:00"])
    monkeypatch.setattr(progress, "now", lambda: next(years))
    found = place.run()
    assert len(found.graded) == 4
    assert found.seconds >= 0
    assert tuple(place.run().kept) == STUDENTS, "what is graded is known by its key, not by its age"
