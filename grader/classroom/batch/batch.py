"""A batch: grades all submissions of a class, even if some of them fail.

    batch = Batch(results, executor, show)
    outcome = batch.run(plan(results, lab))

The caller's thread decides everything: it gives submissions to the executor, receives events about
them, and controls the breaker. Records are on disk after each exercise, so a batch can be stopped
at any time and started again.
"""

from __future__ import annotations

import errno
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from grader import record
from grader.classroom.batch import health, local_executor
from grader.classroom.batch.breaker import Breaker, Trouble
from grader.classroom.batch.forecast import Forecast, spoken
from grader.classroom.batch.job import Event, Executor, Job, Lost, SetAside
from grader.classroom.batch.show import Show, Stage
from grader.classroom.results import Entry, Results
from grader.files import private
from grader.grading import submission
from grader.grading.exercise import Stopped
from grader.lab.model import Lab
from grader.record import ExerciseResult, Record

TICK_SECONDS = 0.3
ROOM_SECONDS = 3.0
MEND_SECONDS = 5.0
REMIND_SECONDS = 300.0


@dataclass
class Outcome:
    """Student IDs: `graded` now; `kept` as they were; `older`, those of `kept` that an older
    version of the kit or lab graded; and `left`, not graded, with the reason."""

    graded: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    older: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class Planned:
    """The result of planning: the `jobs` to run, and what is already known (see Outcome)."""

    jobs: tuple[Job, ...]
    kept: tuple[str, ...]
    older: tuple[str, ...]
    left: dict[str, str]


def plan(
    results: Results,
    lab: Lab,
    *,
    exercises: Sequence[str] = (),
    scratch: Path | None = None,
    records: Path | None = None,
    keep_older: bool = True,
) -> Planned:
    """Read all submissions and compare them with their records. This uses no engine.

    `records` is another folder for the records than the class's own. In that case only exercises
    that have a result in the class's own records are graded, so that the two can be compared.
    """
    jobs: list[Job] = []
    kept: list[str] = []
    older: list[str] = []
    left: dict[str, str] = {}
    for entry in sorted(results.entries, key=lambda entry: entry.person.id):
        student = entry.person.id
        if entry.refused is not None:
            left[student] = entry.refused
            continue
        wanted = exercises
        if records is not None:
            known = results.record(student)
            wanted = [
                exercise.id
                for exercise in (known.exercises if known else ())
                if exercise.gradable and (not exercises or exercise.id in exercises)
            ]
            if not wanted:
                continue
        own = results.record_file(student)
        request = submission.Request(
            lab=lab,
            student=student,
            workspace=results.submission(student),
            record_file=records / f"{student}.json" if records else own,
            exercises=wanted,
            jobs=len(lab.exercises),
            keep_older=keep_older,
            scratch=scratch,
        )
        try:
            planned = submission.plan(request)
        except Exception as error:
            # Whatever it is, it is this submission's alone.
            left[student] = local_executor.why(error)
            continue
        if planned.older:
            older.append(student)
        if planned.to_run:
            jobs.append(Job(request, planned, rank=len(jobs)))
        else:
            kept.append(student)
    return Planned(tuple(jobs), tuple(kept), tuple(older), left)


class Batch:
    """See the module. With `pages`, each finished submission's feedback page is written."""

    def __init__(
        self, results: Results, executor: Executor, show: Show, *, pages: bool = True
    ) -> None:
        self.results = results
        self.executor = executor
        self.show = show
        self.breaker = Breaker()
        self._pages = pages
        self._pending: deque[Job] = deque()
        self._aside: deque[Job] = deque()
        self._running: dict[Future[Record], Job] = {}
        self._alone: set[str] = set()
        self._began: dict[str, float] = {}
        self._next_room = self._next_mend = self._next_reminder = 0.0
        self._done = 0
        self._submissions = 0
        self._outcome = Outcome()
        self._forecast = Forecast(())
        self._stage: Stage | None = None

    def run(self, planned: Planned) -> Outcome:
        """Grade everything; return when each submission is graded or has a reason why not.

        On Ctrl-C (KeyboardInterrupt) everything that is running is stopped and removed first.
        """
        started = time.monotonic()
        self._outcome = Outcome(
            kept=list(planned.kept), older=list(planned.older), left=dict(planned.left)
        )
        self._pending = deque(planned.jobs)
        self._submissions = len(planned.jobs)
        self._forecast = Forecast(
            (job.student, exercise.id) for job in planned.jobs for exercise in job.planned.to_run
        )
        with self.show.stage("grade", self._forecast.total) as self._stage:
            try:
                while self._pending or self._running or self._aside:
                    self._tick()
            except KeyboardInterrupt:
                self.show.line("Stopping: unfinished work is removed …")
                raise
        self._outcome.seconds = time.monotonic() - started
        return self._outcome

    def _tick(self) -> None:
        self._submit()
        for event in self.executor.events(TICK_SECONDS):
            self._hear(event)
        self._collect()
        self._watch()
        self._tell_stage()

    def _submit(self) -> None:
        if self.breaker.open:
            return
        if not self._pending and not self._running and self._aside:
            job = self._aside.popleft()
            self._alone.add(job.student)
            self._start(job)
        while self._pending and len(self._running) < self.executor.width:
            self._start(self._pending.popleft())

    def _start(self, job: Job) -> None:
        self._began[job.student] = time.monotonic()
        self._running[self.executor.submit(job)] = job

    def _hear(self, event: Event) -> None:
        if event.kind == "started":
            self._forecast.started(event.student, event.exercise, time.monotonic())
        if event.result is None:
            return
        result = event.result
        seconds = result.seconds.get("sandbox", 0.0) + result.seconds.get("checks", 0.0)
        self._forecast.finished(event.student, event.exercise, seconds)
        if result.gradable:
            self.breaker.good(event.student)
            self.executor.adapt()
        else:
            self._fault(event.student, reason(result))

    def _fault(self, student: str, why: str, trouble: Trouble | None = None) -> None:
        """An exercise of this student could not be graded: find out whether the engine is the
        cause."""
        if not self.breaker.open:
            trouble = trouble or health.room(self.results.folder) or self.executor.ill()
        self.breaker.fault(student, why, trouble)
        if self.breaker.open:
            self._pause()
        else:
            self.executor.go_on()

    def _check_engine(self) -> None:
        trouble = None if self.breaker.open else self.executor.ill()
        if trouble is not None:
            self.breaker.trip(trouble)
            self._pause()

    def _collect(self) -> None:
        done = [future for future in self._running if future.done()]
        # What there is to hear of them comes first: it says whose fault it was.
        for event in self.executor.events(0):
            self._hear(event)
        for future in done:
            job = self._running.pop(future)
            try:
                found = future.result()
            except (Stopped, Lost) as error:
                self.breaker.lost(job.student)
                self._check_engine()
                self._ungraded(job, str(error) or "It was stopped.")
                continue
            except SetAside as error:
                self._leave(job, str(error))
                continue
            except Exception as error:
                # Whatever it is: it costs this submission its turn, and no one else anything.
                full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
                self._fault(
                    job.student, local_executor.why(error), _no_room(error) if full else None
                )
                self._ungraded(job, local_executor.why(error))
                continue
            if found.gradable:
                self._graded(job, found)
            else:
                faults = [reason(e) for e in found.exercises if not e.gradable]
                self._ungraded(job, faults[0])

    def _graded(self, job: Job, found: Record) -> None:
        self._done += 1
        self._outcome.graded.append(job.student)
        self._outcome.left.pop(job.student, None)
        seconds = time.monotonic() - self._began[job.student]
        self._line(
            f"{job.student}: {found.score:g} of {found.max_score:g} points, in {spoken(seconds)}"
        )
        self._page(job.student, found)

    def _ungraded(self, job: Job, why: str) -> None:
        verdict = self.breaker.verdict(job.student, alone=job.student in self._alone)
        if verdict == "leave":
            self._leave(job, why)
            return
        try:
            planned = submission.plan(job.request)
        except Exception as error:
            self._leave(job, local_executor.why(error))
            return
        again = Job(job.request, planned, job.rank)
        for exercise in planned.to_run:
            self._forecast.added(job.student, exercise.id)
        if verdict == "again":
            self._pending.appendleft(again)
        else:
            self._aside.append(again)
            self.show.line(
                f"{job.student}: set aside, will be graded again alone at the end: {why}"
            )

    def _leave(self, job: Job, why: str) -> None:
        self._done += 1
        self._forecast.dropped(job.student)
        self._outcome.left[job.student] = why
        self._line(f"{job.student}: not gradable: {why}")
        found = record.load(job.request.record_file)
        if found is not None:
            self._page(job.student, found)

    def _page(self, student: str, found: Record) -> None:
        if not self._pages:
            return
        try:
            write_page(self.results, student, found)
        except Exception as error:
            # All pages are made again at the end; here it is a sign of what is to come.
            self.show.line(
                f"{student}: the page cannot be written yet: {local_executor.why(error)}"
            )

    def _watch(self) -> None:
        """Check the machine's disk and memory; while grading is paused, check whether it can
        continue."""
        now = time.monotonic()
        if not self.breaker.open and now >= self._next_room:
            self._next_room = now + ROOM_SECONDS
            trouble = health.room(self.results.folder)
            if trouble is not None:
                self.breaker.trip(trouble)
                self._pause()
        trouble = self.breaker.trouble
        if trouble is None or now < self._next_mend:
            return
        with self.show.aside():
            still = self.executor.recover(trouble)
        self._next_mend = time.monotonic() + MEND_SECONDS
        if still is None:
            self.breaker.recovered()
            self._next_reminder = 0.0
            self.executor.go_on()
            self.show.line("Recovered; regrading the affected submissions.")
        elif now >= self._next_reminder:
            self._next_reminder = now + REMIND_SECONDS
            self.show.line(f"Still paused: {still.what} {still.remedy}")

    def _pause(self) -> None:
        """Tell the user, once for each trouble."""
        self.executor.hold()
        trouble = self.breaker.trouble
        if trouble is not None and self._next_reminder == 0.0:
            self._next_reminder = time.monotonic() + REMIND_SECONDS
            self._next_mend = 0.0
            self.show.line(f"Paused: {trouble.what} {trouble.remedy} No points are affected.")

    def _line(self, text: str) -> None:
        left = self._left()
        about = f", about {spoken(left)} left" if left else ""
        self.show.line(text, count=f"{self._done} of {self._submissions}{about}")

    def _left(self) -> float | None:
        return self._forecast.remaining(self.executor.side_by_side, time.monotonic())

    def _tell_stage(self) -> None:
        if self._stage is None:
            return
        if self.breaker.open:
            detail = "paused"
        else:
            left = self._left()
            detail = f"about {spoken(left)} left, " if left is not None else ""
            detail += f"{self.executor.side_by_side} side by side"
        self._stage.update(self._forecast.done, self._forecast.total, detail)


def reason(result: ExerciseResult) -> str:
    """Why an exercise could not be graded, in one line."""
    if result.fault:
        return f"{result.id}: {result.fault.partition(chr(10))[0]}"
    for check in result.checks:
        if check.why in ("engine", "grader") and check.cause is not None:
            return f"{result.id}: {check.cause.reason}"
    return result.id


def _no_room(error: BaseException) -> Trouble:
    return Trouble(
        "disk", f"A record could not be written: {local_executor.why(error)}.", "Free some space."
    )


def write_page(results: Results, student: str, found: Record) -> None:
    from grader.reports import feedback

    private.write_text(results.feedback_file(student), feedback.render(found))


def write_pages(
    results: Results,
    entries: Sequence[Entry],
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> dict[str, str]:
    """Write all feedback pages from the records. Returns why a page could not be written, by
    student."""
    failed: dict[str, str] = {}
    for number, entry in enumerate(entries, start=1):
        student = entry.person.id
        try:
            found = results.record(student)
            if found is not None:
                write_page(results, student, found)
        except Exception as error:
            failed[student] = local_executor.why(error)
        progress(number, len(entries))
    return failed
