"""What the parts of a batch tell each other: jobs to grade, and what happened to them."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, Queue
from typing import Literal, Protocol

from grader.classroom.batch.breaker import Trouble
from grader.errors import KitError
from grader.grading import submission
from grader.record import ExerciseResult, Record


class SetAside(KitError):
    """A submission that must not be tried again: it has done damage twice."""


class Lost(KitError):
    """A submission that came to no end through no fault of its own."""


@dataclass(frozen=True)
class Job:
    """One submission to be graded; low `rank`s go first."""

    request: submission.Request
    planned: submission.Plan
    rank: int

    @property
    def student(self) -> str:
        return self.request.student


@dataclass(frozen=True)
class Event:
    """Something that happened to an exercise; `result` is there when it is finished."""

    kind: Literal["started", "finished"]
    student: str
    exercise: str
    result: ExerciseResult | None = None


def happened(events: Queue[Event], seconds: float) -> list[Event]:
    """What is in the queue; waits up to `seconds` for the first of it."""
    found: list[Event] = []
    try:
        found.append(events.get(timeout=seconds))
        while True:
            found.append(events.get_nowait())
    except Empty:
        return found


class Executor(Protocol):
    """Where submissions are graded: this machine, or the workers of a cluster.

    `width` is how many submissions it takes at once, `side_by_side` how many exercises it runs.
    """

    width: int
    side_by_side: int

    def submit(self, job: Job) -> Future[Record]:
        """Grade it; the future's record is on disk. It raises what no record can say."""

    def events(self, seconds: float) -> list[Event]:
        """What has happened since; waits up to `seconds` for the first of it."""

    def hold(self) -> None:
        """Begin nothing more; what runs goes on."""

    def go_on(self) -> None: ...

    def ill(self) -> Trouble | None:
        """What is wrong with its engine now."""

    def recover(self, trouble: Trouble) -> Trouble | None:
        """Do what the kit can do about it; what is still wrong, or None."""

    def adapt(self) -> None:
        """Look again at what fits on the machine, now that more is known."""

    def stop(self) -> None:
        """End all that is under way and wait until it is removed."""
