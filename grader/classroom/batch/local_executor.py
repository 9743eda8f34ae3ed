"""Grading on this machine: a thread per submission, a process and a sandbox per exercise."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from grader.classroom.batch import capacity, health, machine
from grader.classroom.batch.admission import AHEAD, Admission
from grader.classroom.batch.breaker import Trouble
from grader.classroom.batch.job import Event, Job, happened
from grader.classroom.batch.usage_sampler import UsageSampler
from grader.engine import find, node_limits
from grader.errors import KitError
from grader.grading import progress, submission
from grader.lab.model import Exercise
from grader.record import ExerciseResult, Record
from grader.targets import providers
from grader.targets.providers import Provider

MOST = 64
"""The highest number of submissions at the same time, however large the machine is."""


class LocalExecutor:
    """See `grader.classroom.batch.job.Executor`. A context manager: nothing is left when it ends.

    `jobs` is the tutor's own number of exercises at the same time; with None the kit measures.
    """

    def __init__(
        self,
        provider: Provider,
        exercises: Iterable[Exercise],
        out: Path,
        jobs: int | None = None,
    ) -> None:
        self.provider = provider
        self._out = out
        self._jobs = jobs
        self._widest = max((exercise.nodes for exercise in exercises), default=1)
        self._events: queue.Queue[Event] = queue.Queue()
        self._stops: dict[str, submission.Stop] = {}
        self._stopped = threading.Event()
        self._stack = ExitStack()
        self._sampler = UsageSampler(lambda: self._engine)
        self._idle = machine.Idle()
        self.decision = self._decide()
        self._admission = Admission(self.decision.side_by_side, self.decision.nodes)
        self._pool = ThreadPoolExecutor(MOST, thread_name_prefix="submission")

    def __enter__(self) -> LocalExecutor:
        self._stack.enter_context(self._sampler)
        return self

    def __exit__(self, *_: object) -> None:
        from grader.engine.sandbox import unbroken

        with self._stack, unbroken():
            self.stop()

    @property
    def _engine(self) -> Any:
        """The sandboxes' engine; None if there is none."""
        return getattr(self.provider, "engine", None)

    @property
    def width(self) -> int:
        return min(MOST, self._admission.side_by_side + AHEAD)

    @property
    def side_by_side(self) -> int:
        return self._admission.side_by_side

    def submit(self, job: Job) -> Future[Record]:
        self._admission.rank(job.student, job.rank)
        return self._pool.submit(self._grade, job)

    def _grade(self, job: Job) -> Record:
        stop = submission.Stop()
        self._stops[job.student] = stop
        if self._stopped.is_set():
            stop.event.set()
        try:
            return submission.grade(
                job.request, job.planned, self.provider, self._progress(job), stop, self._admission
            )
        finally:
            self._stops.pop(job.student, None)

    def _progress(self, job: Job) -> progress.Progress:
        def started(exercise: Exercise) -> None:
            self._events.put(Event("started", job.student, exercise.id))

        def finished(result: ExerciseResult) -> None:
            if not result.gradable:
                # Until someone has looked whether the engine is well, nothing more begins.
                self._admission.hold()
            self._events.put(Event("finished", job.student, result.id, result))

        return progress.Progress(started=started, finished=finished)

    def events(self, seconds: float) -> list[Event]:
        return happened(self._events, seconds)

    def hold(self) -> None:
        self._admission.hold()

    def go_on(self) -> None:
        self._admission.go_on()

    def ill(self) -> Trouble | None:
        return health.engine(self._engine)

    def recover(self, trouble: Trouble) -> Trouble | None:
        """Restart the kit's own engine; wait for any other engine."""
        if trouble.kind in ("disk", "memory"):
            return health.room(self._out, paused=True)
        if not isinstance(self.provider, providers.Sandboxes):
            return trouble
        engine = self.provider.engine
        if engine.origin != find.EMBEDDED:
            # No other one is taken instead: its owner will want to start it again.
            volume = self.provider.image_set.volume
            return health.engine(engine) or health.trial(engine, volume)
        provider = providers.provide_targets(find.EMBEDDED)
        if isinstance(provider, providers.NoTargets):
            return Trouble("engine", provider.error.what, provider.error.remedy or trouble.remedy)
        assert isinstance(provider, providers.Sandboxes)
        still = health.trial(provider.engine, provider.image_set.volume)
        if still is None:
            self.provider = provider
        return still

    @property
    def need(self) -> str | None:
        """What an exercise really needed, as a sentence; None if too little was measured."""
        found = capacity.learn(capacity.FIRST, self._sampler.samples)
        if found.samples < capacity.FIRST_WEIGHT:
            return None
        cpus = sum(sample.cpus for sample in self._sampler.samples) / found.samples
        return (
            f"Measured on {found.samples} exercises: {cpus:.2f} CPUs each,"
            f" {found.memory / capacity.MIB:.0f} MiB of memory a node."
        )

    def adapt(self) -> None:
        if self._jobs is not None:
            return
        wanted = self._decide()
        now = self._admission.side_by_side
        step = capacity.next_step(wanted.side_by_side, now, self._idle.share())
        self._admission.allow(step, wanted.nodes)
        self.decision = wanted

    def _decide(self) -> capacity.Decision:
        need = capacity.learn(capacity.FIRST, self._sampler.samples)
        promised = node_limits.promise(self._engine)
        if promised is not None:
            need = replace(need, disk=promised)
        found = machine.read(self._engine, self._out)
        return capacity.decide(found, need, self._widest, self._jobs, self._sampler.nodes)

    def end(self) -> None:
        """Stop what is running; more jobs may follow."""
        for stop in list(self._stops.values()):
            stop.event.set()

    def stop(self) -> None:
        self._stopped.set()
        self.end()
        self._pool.shutdown(wait=True, cancel_futures=True)


def why(error: BaseException) -> str:
    """The exception of a submission's thread, as a sentence for a tutor."""
    if isinstance(error, KitError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror} ({error.filename or 'no file named'})"
    return f"{type(error).__name__}: {error}"
