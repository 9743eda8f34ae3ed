"""What the parts of a batch exchange: jobs to grade, and events about them."""

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
    """A submission that must not be tried again: it has caused damage twice."""


class Lost(KitError):
    """A submission that did not finish, through no fault of its own."""


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
    """Something that happened to an exercise; `result` is set when the exercise is finished."""

    kind: Literal["started", "finished"]
    student: str
    exercise: str
    result: ExerciseResult | None = None


def happened(events: Queue[Event], seconds: float) -> list[Event]:
    """Return the events in the queue; wait up to `seconds` for the first one."""
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
        """Grade the job. When the future is done, its record is on disk.

        The future raises an exception for whatever a record cannot contain.
        """

    def events(self, seconds: float) -> list[Event]:
        """Return the events since the last call; wait up to `seconds` for the first one."""

    def hold(self) -> None:
        """Start nothing more; what is running continues."""

    def go_on(self) -> None: ...

    def ill(self) -> Trouble | None:
        """Return what is wrong with its engine now."""

    def recover(self, trouble: Trouble) -> Trouble | None:
        """Do what the kit can do about it; return what is still wrong, or None."""

    def adapt(self) -> None:
        """Check again how many exercises fit on the machine, now that more is known."""

    def stop(self) -> None:
        """Stop everything that is running and wait until it is removed."""
