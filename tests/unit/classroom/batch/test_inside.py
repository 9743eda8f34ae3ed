"""Grading in a virtual machine that is not to be trusted: a hostile one at the other end.

The machine is a stand-in with a real channel: one that lies, is silent or dies can be made so.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import pytest

from grader import record
from grader.classroom.batch import answer, inside
from grader.classroom.batch.inside import Inside
from grader.classroom.batch.job import Job, Lost
from grader.classroom.guest.machine import Machine
from grader.errors import EngineFault, KitError
from grader.grading import submission
from grader.record import Record
from grader.targets import frames
from tests.unit.classroom.batch.test_answer import good, job

__all__ = ["job"]

READY = {"ready": {"kit": submission.kit_digest(), "width": 4, "side_by_side": 3}}
SECONDS = 20


class Guest:
    """The other end of the port; `does` is run with it in a thread."""

    def __init__(self, does: Callable[[socket.socket], None]) -> None:
        self.channel, self.theirs = socket.socketpair()
        self.alive = True
        self._thread = threading.Thread(target=self._run, args=(does,), daemon=True)
        self._thread.start()

    def _run(self, does: Callable[[socket.socket], None]) -> None:
        with contextlib.suppress(frames.Ended, OSError):
            does(self.theirs)

    def last_words(self, lines: int = 6) -> str:
        return ""

    def end(self) -> None:
        self.alive = False
        for each in (self.channel, self.theirs):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._thread.join(SECONDS)
        self.channel.close()
        self.theirs.close()


Answer = Callable[[dict[str, Any]], "tuple[dict[str, Any], bytes]"]


def answering(*answers: Answer) -> Callable[[socket.socket], None]:
    """Is ready, and answers to each submission in turn; then it listens and says nothing."""

    def does(port: socket.socket) -> None:
        told, _ = frames.receive(port)
        assert told["timeout_factor"] == 1.0
        frames.send(port, READY)
        for each in answers:
            asked, files = frames.receive(port)
            assert files
            assert "keys" in json.loads(asked["job"])
            frames.send(port, *each(asked))
        frames.receive(port)

    return does


@pytest.fixture
def executor(job: Job) -> Iterator[Inside]:
    made = Inside(job.request.lab, job.request.lab.exercises, None, print)
    yield made
    made.stop()


def met(executor: Inside, does: Callable[[socket.socket], None]) -> Guest:
    guest = Guest(does)
    executor.meet(cast(Machine, guest), {"timeout_factor": 1.0})
    return guest


def raised(future: Future[Record]) -> BaseException:
    error = future.exception(SECONDS)
    assert error is not None
    return error


def test_a_record_comes_back_and_is_on_the_disk(executor: Inside, job: Job) -> None:
    text = json.dumps(good(job)).encode()
    met(executor, answering(lambda asked: ({"id": asked["id"]}, text)))
    assert (executor.width, executor.side_by_side) == (4, 3)
    found = executor.submit(job).result(SECONDS)
    assert record.load(job.request.record_file) == found
    assert found.exercises[0].target["isolation"] == "vm"
    (event,) = executor.events(0)
    assert (event.kind, event.student, event.exercise) == ("finished", job.student, "numbers")
    assert executor.ill() is None


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\xfe", b"[" * 100_000, b"x" * (answer.MOST_BYTES + 1), b"{}"],
    ids=["empty", "no text", "deep", "too long", "no record"],
)
def test_a_false_answer_costs_its_own_submission_alone(
    executor: Inside, job: Job, body: bytes
) -> None:
    text = json.dumps(good(job)).encode()
    met(
        executor,
        answering(
            lambda asked: ({"id": asked["id"]}, body), lambda asked: ({"id": asked["id"]}, text)
        ),
    )
    error = raised(executor.submit(job))
    assert isinstance(error, KitError)
    assert not isinstance(error, Lost)
    assert not job.request.record_file.exists()
    assert executor.submit(job).result(SECONDS).student == job.student


@pytest.mark.parametrize("number", [99, "1", None, [1], -1, True])
def test_answers_that_were_not_asked_for_end_the_machines_use(
    executor: Inside, job: Job, number: object
) -> None:
    text = json.dumps(good(job)).encode()
    met(executor, answering(lambda _: ({"id": 10}, text), lambda _: ({"id": number}, text)))
    assert isinstance(raised(executor.submit(job)), Lost)
    trouble = executor.ill()
    assert trouble is not None
    assert "answered a question that was not asked" in trouble.what
    assert isinstance(raised(executor.submit(job)), Lost), "nothing is sent any more"


@pytest.mark.parametrize("said", [b"\xff" * 8, b"\0" * 8, frames.LENGTHS.pack(1, 0) + b"["])
def test_what_is_no_message_ends_the_machines_use(executor: Inside, job: Job, said: bytes) -> None:
    def does(port: socket.socket) -> None:
        frames.receive(port)
        frames.send(port, READY)
        frames.receive(port)
        port.sendall(said)
        frames.receive(port)

    met(executor, does)
    assert isinstance(raised(executor.submit(job)), Lost)
    assert executor.ill() is not None


def test_a_machine_that_dies_loses_nothing(executor: Inside, job: Job) -> None:
    guest = met(executor, answering())
    future = executor.submit(job)
    guest.end()
    assert isinstance(raised(future), Lost)
    assert not job.request.record_file.exists()
    assert executor.ill() is not None


def test_a_machine_that_is_silent_is_ended(
    executor: Inside, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "_longest", 0)
    guest = met(executor, answering())
    future = executor.submit(job)
    executor.events(0.1)
    assert "did not answer in time" in str(raised(future))
    assert not guest.alive


@pytest.mark.parametrize(
    ("first", "why"),
    [
        ({"failed": "no \x1b[31mengine\n"}, r"does not start: no  ?\[31mengine"),
        ({"ready": 1}, "gives no reason"),
        ({}, "gives no reason"),
        ({"ready": {"kit": "another"}}, "another version of the kit"),
        ({"ready": {}}, "another version of the kit"),
    ],
)
def test_one_that_does_not_get_ready_says_why(
    executor: Inside, first: dict[str, Any], why: str
) -> None:
    def does(port: socket.socket) -> None:
        frames.receive(port)
        frames.send(port, first)
        frames.receive(port)

    with pytest.raises(EngineFault, match=why):
        met(executor, does)


def test_how_much_it_takes_at_once_is_bounded(executor: Inside) -> None:
    def does(port: socket.socket) -> None:
        frames.receive(port)
        frames.send(port, {"ready": {**READY["ready"], "width": 10**9, "side_by_side": "many"}})
        frames.receive(port)

    met(executor, does)
    assert (executor.width, executor.side_by_side) == (inside.MOST_WIDTH, 1)


def test_its_end_gives_all_back(executor: Inside, job: Job, tmp_path: Path) -> None:
    guest = met(executor, answering())
    future = executor.submit(job)
    executor.stop()
    assert isinstance(raised(future), Lost)
    assert not guest.alive
    assert isinstance(raised(executor.submit(job)), Lost)
