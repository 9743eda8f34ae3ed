"""Grading in a virtual machine: submissions go in over a serial port, records come out.

An escape from a sandbox reaches only the machine and its contents: this kit's checks and the
class's submissions, but no network and no file of the host. The machine's answers are trusted only
as far as `answer` can check them.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, InvalidStateError
from dataclasses import asdict, dataclass, field
from typing import Any

from grader import record
from grader.classroom.batch import answer, health, worker
from grader.classroom.batch import machine as host
from grader.classroom.batch.breaker import Trouble
from grader.classroom.batch.capacity import GIB, MIB, Machine
from grader.classroom.batch.job import Event, Job, Lost, happened
from grader.classroom.guest import disk, kit, machine
from grader.engine.images.sets import ImageSet
from grader.errors import EngineFault, KitError
from grader.grading import submission
from grader.lab.model import Exercise, Lab
from grader.record import Record
from grader.targets import frames

WHOSE = "The virtual machine"

READY_SECONDS = 180
"""Seconds until the machine has started and can grade; an emulated machine takes longer."""

SLOW = 8.0
"""The factor for all time limits if processors are emulated."""

MARGIN_SECONDS = 300
"""For each exercise in addition to its own time: to make its sandbox, and to wait."""

LEAST_MEMORY = 2 * GIB
MOST_MEMORY = 4 * GIB
"""For each processor."""

SPARE_MEMORY = GIB + GIB // 2
"""Left for the host, and for QEMU itself."""

MOST_WIDTH = 64


@dataclass
class _Sent:
    """A submission that is in the machine, until `deadline` (of time.monotonic) at the latest."""

    job: Job
    future: Future[Record]
    deadline: float


@dataclass
class _Guest:
    """One start of the machine, and what was sent to it."""

    machine: machine.Machine
    sending: queue.Queue[tuple[dict[str, Any], bytes] | None]
    waiting: dict[int, _Sent] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    why: str | None = None
    """Why it is of no use any more."""


class Inside:
    """See `grader.classroom.batch.job.Executor`. A context manager: when it ends, the machine is
    gone.

    If a machine ends, nothing is lost: its submissions are graded again in the next one.
    """

    width = 1
    side_by_side = 1

    def __init__(
        self, lab: Lab, exercises: Iterable[Exercise], jobs: int | None, say: Callable[[str], None]
    ) -> None:
        self._lab = lab
        self._jobs = jobs
        self._say = say
        self._longest = sum({e.id: e.seconds + MARGIN_SECONDS for e in exercises}.values())
        self._events: queue.Queue[Event] = queue.Queue()
        self._guest: _Guest | None = None
        self._number = 0
        self._slow = 1.0

    def prepare(self) -> None:
        """Make what the machine needs. The first time takes minutes and shows progress. Raises
        KitError."""
        disk.supported()
        machine.install()
        made, _ = disk.ensure()
        found = machine.how(made.kernel)
        self._say(
            "The virtual machine has no network: an exercise that installs packages while it is "
            "graded is not graded there, and no points are affected."
        )
        if found.emulated:
            self._slow = SLOW
            self._say(
                "KVM does not work here: the virtual machine's processors are emulated, which is"
                " much slower. Look at each failed check yourself before its points count: the "
                "slow machine may be the reason that it took too long."
            )

    def __enter__(self) -> Inside:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> None:
        """Start the machine and wait until it can grade. Raises KitError."""
        made, image_file = disk.ensure()
        size = fitting(host.read(None, disk.folder()))
        # One at a time where processors are emulated: checks watch the clock, too.
        jobs = self._jobs or (1 if self._slow > 1 else None)
        self._say(f"Starting the virtual machine: {_size(size)} …")
        began = time.monotonic()
        with contextlib.closing(
            kit.packed(self._lab.id, self._lab.folder, self._lab.templates)
        ) as files:
            media = machine.Media(made.root, made.kernel, made.initrd, image_file.file, files)
            started = machine.Machine(media, size, disk.folder())
        image_set = ImageSet(image_file.name, image_file.version, image_file.images, kind="file")
        self.meet(
            started, {"images": asdict(image_set), "jobs": jobs, "timeout_factor": self._slow}
        )
        seconds = time.monotonic() - began
        self._say(f"The virtual machine grades {self.side_by_side} at once (in {seconds:.0f} s).")

    def meet(self, started: machine.Machine, told: dict[str, Any]) -> None:
        """Tell a started machine how to grade, and wait until it is ready. Raises KitError."""
        guest = _Guest(started, queue.Queue())
        self._guest = guest
        first = _First()
        for task in (self._receive, self._send):
            threading.Thread(target=task, args=(guest, first), name="guest", daemon=True).start()
        guest.sending.put((told, b""))
        ready = first.wait(READY_SECONDS * self._slow, guest)
        if ready.get("kit") != submission.kit_digest():
            raise EngineFault("The virtual machine has another version of the kit.")
        self.width = _number(ready.get("width"), MOST_WIDTH)
        self.side_by_side = _number(ready.get("side_by_side"), MOST_WIDTH)

    # The port, from threads of their own ---------------------------------------------------------

    def _send(self, guest: _Guest, _: _First) -> None:
        try:
            while (message := guest.sending.get()) is not None:
                frames.send(guest.machine.channel, *message)
        except (frames.Ended, OSError, ValueError) as error:
            self._lose(guest, f"it accepts nothing more ({error})")

    def _receive(self, guest: _Guest, first: _First) -> None:
        try:
            while True:
                header, body = frames.receive(guest.machine.channel)
                if first.is_open:
                    first.tell(header)
                else:
                    self._take(guest, header.get("id"), body)
        except (frames.Ended, OSError) as error:
            self._lose(guest, str(error))
        except Exception as error:
            # Whatever it said: it is not heard any more.
            self._lose(guest, f"it sent something that cannot be read ({type(error).__name__})")

    def _take(self, guest: _Guest, number: object, body: bytes) -> None:
        with guest.lock:
            sent = guest.waiting.pop(number, None) if isinstance(number, int) else None
        if sent is None:
            raise frames.Ended("it answered a question that was not asked")
        try:
            found = self._read(sent.job, body)
        except Exception as error:
            _settle(sent.future, error)
            return
        for exercise in sent.job.planned.to_run:
            result = found.exercise(exercise.id)
            self._events.put(Event("finished", sent.job.student, exercise.id, result))
        _settle(sent.future, found)

    def _read(self, job: Job, body: bytes) -> Record:
        if len(body) > answer.MOST_BYTES:
            raise KitError(f"{WHOSE} gave an answer that is not a record: it is too long.")
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError:
            raise KitError(f"{WHOSE} gave an answer that is not text.") from None
        found = answer.read(text, job, WHOSE)
        found = answer.isolated(found, job, "vm")
        record.save(found, job.request.record_file)
        return found

    def _lose(self, guest: _Guest, why: str) -> None:
        """The machine can no longer be used: its submissions must be graded again."""
        with guest.lock:
            guest.why = guest.why or why
            lost = list(guest.waiting.values())
            guest.waiting.clear()
        guest.sending.put(None)
        for sent in lost:
            _settle(sent.future, Lost(f"{WHOSE} was lost: {why}."))

    # What the batch asks -------------------------------------------------------------------------

    def submit(self, job: Job) -> Future[Record]:
        future: Future[Record] = Future()
        future.set_running_or_notify_cancel()
        try:
            told, names = worker.order(job, self._lab.id)
            files = worker.pack(job.request.workspace, names)
            if len(files) > frames.BODY_BYTES:
                raise KitError("It is too large to be graded in a virtual machine.")
        except (KitError, OSError) as error:
            future.set_exception(error)
            return future
        guest = self._guest
        if guest is None:
            future.set_exception(Lost(f"{WHOSE} is not there."))
            return future
        with guest.lock:
            gone = guest.why
            if gone is None:
                self._number += 1
                most = self._longest * self._slow * (len(guest.waiting) + 1)
                guest.waiting[self._number] = _Sent(job, future, time.monotonic() + most)
                guest.sending.put(({"id": self._number, "job": told}, files))
        if gone is not None:
            future.set_exception(Lost(f"{WHOSE} was lost: {gone}."))
        return future

    def events(self, seconds: float) -> list[Event]:
        self._look()
        return happened(self._events, seconds)

    def _look(self) -> None:
        """End a machine that does not answer in time: a submission may block it for ever."""
        guest = self._guest
        if guest is None or guest.why is not None:
            return
        with guest.lock:
            late = any(time.monotonic() > sent.deadline for sent in guest.waiting.values())
        if late:
            self._lose(guest, "it did not answer in time")
            guest.machine.end()

    def hold(self) -> None:
        """The machine keeps the submissions that it has. The batch itself sends no more."""

    go_on = adapt = hold

    def ill(self) -> Trouble | None:
        guest = self._guest
        if guest is not None and guest.why is None and guest.machine.alive:
            return None
        said = guest.machine.last_words(2) if guest is not None else ""
        why = guest.why if guest is not None and guest.why else "it has ended"
        what = f"{WHOSE} is lost: {why}." + (f" Its last output: {said}" if said else "")
        return Trouble("engine", what, "The kit starts it again.")

    def recover(self, trouble: Trouble) -> Trouble | None:
        """Start the machine again, with a disk that contains nothing of the last one."""
        if trouble.kind in ("disk", "memory"):
            return health.room(disk.folder(), paused=True)
        self.stop()
        try:
            self._start()
        except KitError as error:
            self.stop()
            return Trouble("engine", error.what, error.remedy or trouble.remedy)
        return None

    def stop(self) -> None:
        guest, self._guest = self._guest, None
        if guest is None:
            return
        # First what it holds is given up: its end is no fault of theirs.
        self._lose(guest, "it was ended")
        guest.machine.end()


class _First:
    """The machine's first message, for which one thread waits."""

    def __init__(self) -> None:
        self._told: queue.Queue[dict[str, Any]] = queue.Queue()
        self.is_open = True

    def tell(self, header: dict[str, Any]) -> None:
        self.is_open = False
        self._told.put(header)

    def wait(self, seconds: float, guest: _Guest) -> dict[str, Any]:
        """Return the machine's message when it is ready. Raises EngineFault if it is not after
        `seconds`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and guest.why is None:
            with contextlib.suppress(queue.Empty):
                header = self._told.get(timeout=0.3)
                ready = header.get("ready")
                if isinstance(ready, dict):
                    return ready
                raise _no_start(answer.line(header.get("failed", "it gives no reason")), guest)
        raise _no_start(guest.why or f"it is not ready after {seconds:.0f} s", guest)


def _no_start(why: str, guest: _Guest) -> EngineFault:
    words = guest.machine.last_words()
    return EngineFault(
        f"The virtual machine does not start: {why}." + (f"\n{words}" if words else ""),
        remedy="Try again; if that does not help, leave --inside vm out.",
    )


def _settle(future: Future[Record], found: Record | BaseException) -> None:
    with contextlib.suppress(InvalidStateError):
        if isinstance(found, BaseException):
            future.set_exception(found)
        else:
            future.set_result(found)


def _number(said: object, most: int) -> int:
    """A whole number between 1 and `most`, whatever the value is."""
    return min(most, max(1, said)) if isinstance(said, int) else 1


def fitting(found: Machine) -> machine.Size:
    """Return the share of the host that the machine gets. Raises KitError if that is too little."""
    cpus = max(1, int(found.cpus))
    memory = min(found.memory - SPARE_MEMORY, MOST_MEMORY * cpus)
    if memory < LEAST_MEMORY:
        raise EngineFault(
            f"A virtual machine that grades needs {(LEAST_MEMORY + SPARE_MEMORY) / GIB:.1f} GiB of"
            f" free memory. There are {found.memory / GIB:.1f} GiB.",
            remedy="Close other programs, or leave --inside vm out.",
        )
    return machine.Size(cpus, memory // MIB)


def _size(size: machine.Size) -> str:
    cpus = "1 CPU" if size.cpus == 1 else f"{size.cpus} CPUs"
    return f"{cpus}, {size.megabytes / 1024:.1f} GiB of memory"
