"""Grading one submission: what has to run, where it runs, and the record that comes of it.

Each exercise has a target and a process of its own; exercises run side by side. Results that
are known are kept: an exercise is run again only if something that it was graded from has
changed (its files, its checks, the kit, the image set), or if the grader itself was at fault.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from grader import __version__, paths, record
from grader.grading.progress import Progress, now
from grader.lab import variant as variants
from grader.lab.model import Exercise, Lab
from grader.record import ExerciseResult, Record
from grader.submission import files as submission

if TYPE_CHECKING:
    from grader.grading.exercise import Admission
    from grader.targets.providers import Provider


@dataclass
class Request:
    """What to grade. `exercises` empty means all; `jobs` is how many run side by side.

    `machines` is a kind of `grader.machines`, "local" for the student's own engine, or None for
    sandboxes; on machines `fresh` gives them up to the exercises, otherwise what runs there is
    looked at (see `Target.read_only`).
    `keep_older` keeps a result of the same files that another version of kit or lab gave.
    `scratch` is an existing folder for temporary files (None: the system's).
    """

    lab: Lab
    student: str
    workspace: Path
    record_file: Path
    exercises: Sequence[str] = ()
    fresh: bool = False
    engine_url: str | None = None
    jobs: int = 2
    machines: str | None = None
    hosts_file: Path | None = None
    keep_older: bool = False
    scratch: Path | None = None


@dataclass(frozen=True)
class Plan:
    """Which exercises are to be run (with their keys and files), and what stays as it is.

    `older` are those whose result stays though another version gave it (`keep_older`).
    """

    previous: Record | None
    keys: dict[str, str]
    files: dict[str, submission.Submission]
    to_run: list[Exercise]
    older: tuple[str, ...] = ()


@dataclass
class Stop:
    """Set once to end all that is under way; what was finished stays in the record."""

    event: threading.Event = field(default_factory=threading.Event)


def plan(request: Request) -> Plan:
    """Read the files and compare them with the record: no engine is asked, nothing is changed."""
    # What runs on machines changes without a file: an earlier look at them says nothing now.
    previous = record.load(request.record_file) if request.machines is None else None
    if previous is not None and (previous.lab, previous.student) != (
        request.lab.id,
        request.student,
    ):
        previous = None
    values = variants.variant(request.lab, request.student)
    files: dict[str, submission.Submission] = {}
    keys: dict[str, str] = {}
    to_run: list[Exercise] = []
    older: list[str] = []
    for exercise in request.lab.exercises:
        if request.exercises and exercise.id not in request.exercises:
            continue
        if not exercise.runs_on(request.machines):
            continue
        files[exercise.id] = submission.read(request.workspace, exercise.folders)
        key = exercise_key(request.lab, exercise, files[exercise.id], values)
        keys[exercise.id] = key
        known = previous.exercise(exercise.id) if previous else None
        if request.fresh or known is None or not known.gradable:
            to_run.append(exercise)
        elif known.key != key:
            if request.keep_older and known.files == files[exercise.id].digest:
                older.append(exercise.id)
            else:
                to_run.append(exercise)
    return Plan(previous, keys, files, to_run, tuple(older))


def exercise_key(
    lab: Lab,
    exercise: Exercise,
    files: submission.Submission,
    values: dict[str, int | str],
) -> str:
    """SHA-256 over all that an exercise's result depends on."""
    from grader.engine.images import catalogue

    checks = lab.folder / "checks"
    parts = [
        files.digest,
        _digest([*sorted(checks.glob("*.py")), *sorted((checks / exercise.id).rglob("*.py"))]),
        # Not lab.yaml as it stands: another deadline, or a better title of the lab, grades
        # nothing again.
        json.dumps([asdict(exercise), lab.limits, values], sort_keys=True),
        deciding_digest(),
        catalogue.load().version,
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


WITHOUT_EFFECT = ("cli", "classroom", "doctor", "release", "reports")
"""Folders of the kit that decide no result: they come before grading, or after it."""


@cache
def kit_digest() -> str:
    """SHA-256 over all of the kit's code: whether two machines have the same kit."""
    return _digest(sorted((paths.KIT / "grader").rglob("*.py")))


@cache
def deciding_digest() -> str:
    """SHA-256 over the code that decides results: a corrected grader grades again."""
    code = paths.KIT / "grader"
    return _digest(
        file
        for file in sorted(code.rglob("*.py"))
        if file.relative_to(code).parts[0] not in WITHOUT_EFFECT
    )


def _digest(files: Iterable[Path]) -> str:
    sums = [
        (file.name, hashlib.sha256(file.read_bytes()).hexdigest())
        for file in files
        if file.is_file()
    ]
    return hashlib.sha256(json.dumps(sums).encode()).hexdigest()


def provide(request: Request, to_run: Sequence[Exercise]) -> Provider:
    """Where these exercises will run: finds or starts the engine and completes the image set, on
    an engine without images only as far as the first exercise needs it (see `first_run`).

    Machines are only found; KitError where there are none.
    """
    from grader.grading import first_run
    from grader.targets import providers

    if request.machines is None:
        return first_run.provide(request.engine_url, request.lab, request.workspace, to_run)
    if request.machines == "local":
        return providers.provide_local(request.engine_url, request.workspace)
    options = {"engine_url": request.engine_url, "hosts_file": request.hosts_file}
    return providers.Machines(request.machines, options, read_only=not request.fresh)


def grade(
    request: Request,
    planned: Plan,
    provider: Provider,
    progress: Progress,
    stop: Stop,
    admission: Admission | None = None,
) -> Record:
    """Run what the plan says and write the record, after each exercise; returns the last one.

    `admission` says when each exercise may begin; without it all begin at once, `jobs` at a time.
    On Ctrl-C (KeyboardInterrupt) all that is under way is ended and removed first.
    """
    from grader.grading.exercise import FREE, ExerciseRun

    started = now()
    done: dict[str, ExerciseResult] = {}
    outcome = _assemble(request, planned, done, started)
    runs = [
        ExerciseRun(
            lab=request.lab,
            exercise=exercise,
            student=request.student,
            files=planned.files[exercise.id],
            key=planned.keys[exercise.id],
            provider=provider,
            progress=progress,
            stop=stop.event,
            admission=admission or FREE,
            scratch=request.scratch,
        )
        for exercise in planned.to_run
    ]
    with ThreadPoolExecutor(max_workers=max(1, request.jobs)) as pool:
        waiting: set[Future[ExerciseResult]] = {pool.submit(run.run) for run in runs}
        try:
            while waiting:
                finished, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
                for future in finished:
                    result = future.result()
                    done[result.id] = result
                    outcome = _assemble(request, planned, done, started)
                    record.save(outcome, request.record_file)
                    progress.finished(result)
        except BaseException:
            stop.event.set()
            for future in waiting:
                future.cancel()
            raise
    return outcome


def _assemble(
    request: Request, planned: Plan, done: dict[str, ExerciseResult], started: str
) -> Record:
    """The record of what is known now: fresh results first, else those of the previous record."""
    results = []
    for exercise in request.lab.exercises:
        known = planned.previous.exercise(exercise.id) if planned.previous else None
        result = done.get(exercise.id) or known
        if result is not None:
            results.append(result)
    unchanged = planned.previous if planned.previous and not planned.to_run else None
    return Record(
        lab=request.lab.id,
        lab_title=request.lab.title,
        student=request.student,
        submission=request.workspace.name,
        exercises=tuple(results),
        kit=__version__,
        started=unchanged.started if unchanged else started,
        finished=unchanged.finished if unchanged else now(),
    )
