"""Grades on the workers of a Dask cluster: sends submissions out and receives records."""

from __future__ import annotations

import asyncio
import logging
import queue
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any

from grader import paths, record
from grader.classroom.batch import answer, worker
from grader.classroom.batch.breaker import Trouble
from grader.classroom.batch.job import Event, Job, Lost, SetAside, happened
from grader.errors import KitError
from grader.grading import submission
from grader.lab.model import Lab
from grader.record import Record
from grader.text.words import count

CONNECT_SECONDS = 30
WORKERS_SECONDS = 60


class Cluster:
    """See `grader.classroom.batch.job.Executor`. A context manager: when it ends, nothing runs for
    it.

    If a worker dies, nothing is lost: Dask gives its submissions to others. A submission with which
    two workers have died is set aside.
    """

    def __init__(self, address: str, lab: Lab, say: Callable[[str], None]) -> None:
        self._address = address
        self._lab = lab
        self._say = say
        self._events: queue.Queue[Event] = queue.Queue()
        self._distributed = worker.load()
        # Of a scheduler that is gone the batch tells itself; Dask would do so with tracebacks.
        for name in ("distributed", "distributed.client"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._client: Any = None
        self._executor: Any = None

    def __enter__(self) -> Cluster:
        self._connect()
        try:
            self._meet()
        except BaseException as error:
            with suppress(Exception):
                self._client.close()
            if isinstance(error, worker.UNANSWERED):
                raise worker.unreachable(self._address, error) from None
            raise
        return self

    def _connect(self) -> None:
        security = worker.security(self._address, "client")
        try:
            self._client = self._distributed.Client(
                self._address,
                security=security,
                timeout=CONNECT_SECONDS,
                set_as_default=False,
            )
        except worker.UNANSWERED as error:
            raise worker.unreachable(self._address, error) from None
        self._executor = self._client.get_executor(pure=False)

    def __exit__(self, *_: object) -> None:
        from grader.engine.sandbox import unbroken

        with unbroken():
            self.stop()

    def _meet(self) -> None:
        """Check that there are workers and that all of them have this kit."""
        with suppress(asyncio.TimeoutError, TimeoutError):
            self._client.wait_for_workers(1, timeout=WORKERS_SECONDS)
        kits: dict[str, str] = self._client.run(worker.kit)
        if not kits:
            trouble = KitError(
                "No worker is connected.",
                where=self._address,
                remedy=f"On each machine that grades: nox -s worker -- {self._address}",
            )
            trouble.exit_code = 3
            raise trouble
        others = sorted(name for name, kit in kits.items() if kit != submission.kit_digest())
        if others:
            raise KitError(
                "These workers have another version of the kit: " + ", ".join(others) + ".",
                remedy="Install the same version of the kit on all machines and start the workers "
                "again.",
            )
        workers = count(len(kits), "worker takes", "workers take")
        self._say(f"{workers} {self.side_by_side} submissions at once.")

    @property
    def side_by_side(self) -> int:
        return max(1, sum((self._threads() or {}).values()))

    @property
    def width(self) -> int:
        threads = self._threads() or {}
        # One more for each worker: it is there when another one ends.
        return max(1, sum(threads.values())) + len(threads)

    def _threads(self) -> dict[str, int] | None:
        """Threads by worker; None if the scheduler does not answer.

        The scheduler may have died before the client notices it.
        """
        if self._client.status != "running":
            return None
        try:
            return {str(name): int(count) for name, count in self._client.nthreads().items()}
        except worker.UNANSWERED:
            return None

    def submit(self, job: Job) -> Future[Record]:
        mine: Future[Record] = Future()
        mine.set_running_or_notify_cancel()
        text, names = worker.order(job, lab_name(self._lab))
        try:
            files = worker.pack(job.request.workspace, names)
            theirs = self._executor.submit(worker.grade, text, files)
        except Exception as error:
            mine.set_exception(Lost(f"It could not be sent: {type(error).__name__}: {error}"))
            return mine
        theirs.add_done_callback(lambda done: self._take(job, done, mine))
        return mine

    def _take(self, job: Job, theirs: Future[str], mine: Future[Record]) -> None:
        try:
            found = self._read(job, theirs)
            for exercise in job.planned.to_run:
                result = found.exercise(exercise.id)
                self._events.put(Event("finished", job.student, exercise.id, result))
            mine.set_result(found)
        except BaseException as error:
            mine.set_exception(error)

    def _read(self, job: Job, theirs: Future[str]) -> Record:
        """Check the worker's answer and write the record to disk."""
        try:
            text = theirs.result()
        except (CancelledError, asyncio.CancelledError):
            raise Lost("The connection to the scheduler was lost.") from None
        except self._distributed.KilledWorker:
            raise SetAside("Two workers that graded it died.") from None
        except Exception as error:
            raise KitError(f"A worker failed: {type(error).__name__}: {error}") from None
        whole = answer.read(text, job)
        record.save(whole, job.request.record_file)
        return whole

    def events(self, seconds: float) -> list[Event]:
        return happened(self._events, seconds)

    def hold(self) -> None:
        """Workers keep the submissions that they have. The batch itself sends no more."""

    go_on = adapt = hold

    def ill(self) -> Trouble | None:
        """Workers check their engines themselves."""
        threads = self._threads()
        if threads is None:
            return Trouble(
                "engine",
                f"The scheduler at {self._address} does not answer.",
                "Start it and its workers again: nox -s worker -- --help",
            )
        if not threads:
            return Trouble(
                "engine",
                "No worker is connected.",
                f"Start one: nox -s worker -- {self._address}",
            )
        return None

    def recover(self, trouble: Trouble) -> Trouble | None:
        if self._client.status != "running":
            lost, self._client = self._client, None
            with suppress(Exception):
                lost.close(timeout=5)
            try:
                self._connect()
            except KitError:
                self._client = lost
                return self.ill()
        return self.ill()

    def stop(self) -> None:
        if self._client is None:
            return
        client, self._client = self._client, None
        with suppress(Exception):
            # Threads of a worker cannot be ended from here; what they wait for can.
            client.run(worker.end, wait=True)
        with suppress(Exception):
            self._executor.shutdown(wait=False)
        with suppress(Exception):
            client.close(timeout=20)


def lab_name(lab: Lab) -> str:
    """The name under which a worker finds the lab: its name if the kit has it, otherwise its
    folder."""
    return lab.id if lab.folder.parent == paths.LABS else str(lab.folder)
