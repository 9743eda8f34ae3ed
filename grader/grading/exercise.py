"""One exercise of one submission: its target is made, its checks run, its target is removed."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from grader import paths, record
from grader.console import say
from grader.engine import disk
from grader.errors import KitError
from grader.errors import Stopped as Stopped
from grader.grading import jail
from grader.grading.confinement import LOOK, Limits, environment, own_environment
from grader.grading.plugin import LOG_SHOWN
from grader.grading.process import Job
from grader.lab import variant as variants
from grader.lab.model import Exercise, Lab
from grader.record import Cause, CheckResult, ExerciseResult, Unavailable
from grader.submission import files as submission

if TYPE_CHECKING:
    from grader.grading.progress import Progress
    from grader.nodes.node import Target
    from grader.targets.providers import Provider

OWN_KINDS = ("vagrant", "hosts", "local")
"""Targets that are reached with the user's own keys and settings, for the user's own files."""

END_SECONDS = 5
INTERRUPT_SECONDS = 0.5
"""Ctrl-C ends the checks' process, too: so long later this one has heard of it."""

EVENT_BYTES = 32_000_000
"""The longest event: a rollout of many minutes."""

ALL_EVENTS_BYTES = 200_000_000

EVENTS_WAITING = 10
"""So many are read ahead; the process waits before it says more."""

TIDY_SECONDS = 60
"""How long the checks' process may take to end, and to take away what it made on kept nodes."""


class Admission(Protocol):
    """Says when an exercise may take room on the machine: both wait until there is some.

    `sandbox` is held as long as its target is there, `checks` while its checks run: so a target
    can be made ready while the checks of others still run. Both raise Stopped once `stop` is set.
    """

    def sandbox(
        self, exercise: Exercise, student: str, stop: threading.Event
    ) -> contextlib.AbstractContextManager[None]: ...

    def checks(
        self, exercise: Exercise, student: str, stop: threading.Event
    ) -> contextlib.AbstractContextManager[None]: ...


class Free:
    """No one has to wait."""

    def sandbox(
        self, exercise: Exercise, student: str, stop: threading.Event
    ) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    checks = sandbox


FREE = Free()


@dataclass
class ExerciseRun:
    """See the module. `stop` ends it from another thread (Ctrl-C).

    `scratch` is where its temporary files go; all of them are gone when it ends.
    """

    lab: Lab
    exercise: Exercise
    student: str
    files: submission.Submission
    key: str
    provider: Provider
    progress: Progress
    stop: threading.Event
    admission: Admission = FREE
    scratch: Path | None = None
    _checks: list[CheckResult] = field(default_factory=list)
    _results: dict[str, CheckResult] = field(default_factory=dict)
    _seconds: dict[str, float] = field(default_factory=dict)
    _rollouts: list[dict[str, Any]] = field(default_factory=list)
    _sandbox: str | None = None
    _disk_full: str | None = None
    _at: str = "the beginning"
    _unconfined: str | None = None

    def run(self) -> ExerciseResult:
        """Grade; whatever goes wrong with engine or grader ends in a result that says so."""
        from grader.grading.progress import now

        if self.stop.is_set():
            raise Stopped
        with (
            self.admission.sandbox(self.exercise, self.student, self.stop),
            tempfile.TemporaryDirectory(
                prefix="drydock-", dir=self.scratch, ignore_cleanup_errors=True
            ) as folder,
        ):
            self.progress.started(self.exercise)
            files = Path(folder, "work", "submission")
            files.mkdir(parents=True)
            self.files.copy(files)
            facts: dict[str, Any] = {}
            fault = self._in_target(Path(folder), facts)
        if self._disk_full:
            # What failed may have failed by that.
            fault = self._disk_full
            self._results = {k: r for k, r in self._results.items() if r.outcome == "passed"}
        checks = tuple(self._results.get(c.id) or self._lost(c, fault) for c in self._checks)
        return ExerciseResult(
            id=self.exercise.id,
            title=self.exercise.title,
            key=self.key,
            graded_at=now(),
            checks=checks,
            points=self.exercise.points,
            fault=None if checks else (fault or "The checks did not start."),
            files=self.files.digest,
            seconds={name: round(s, 2) for name, s in self._seconds.items()},
            target=facts,
            rollouts=tuple(self._rollouts),
        )

    def _in_target(self, folder: Path, facts: dict[str, Any]) -> str | None:
        """Make the target and run the checks in it; returns what broke, if anything did."""
        if self.provider.unavailable:
            return self._run_checks(folder, None, self.provider.unavailable)
        started = time.monotonic()
        fault: str | None = None
        try:
            with contextlib.ExitStack() as stack:
                try:
                    target = stack.enter_context(self.provider.target(self.exercise, self.student))
                except KitError as error:
                    unavailable = Unavailable("grader", error.what, error.remedy)
                    return self._run_checks(folder, None, unavailable)
                self._ended("sandbox", time.monotonic() - started)
                with self.admission.checks(self.exercise, self.student, self.stop):
                    facts.update(target.facts())
                    self._sandbox = getattr(getattr(target, "sandbox", None), "id", None)
                    fault = self._run_checks(folder, target, None, facts)
        except KitError as error:
            # What the checks have found stands; if they were not done, this says why.
            return fault or error.what
        return fault

    def _run_checks(
        self,
        folder: Path,
        target: Target | None,
        unavailable: Unavailable | None,
        facts: dict[str, Any] | None = None,
    ) -> str | None:
        """Run the checks in their process: in a jail where that can be; what broke, if anything.

        `facts` are told whether they were.
        """
        facts = {} if facts is None else facts
        facts["confined"] = jail.possible() and _may_be_confined(target)
        if facts["confined"]:
            jail.compiled(paths.KIT / "grader", self.lab.folder / "checks")
        fault = self._run_process(folder, target, unavailable, facts["confined"])
        if self._unconfined is not None:
            why, self._unconfined = self._unconfined, None
            _say_once(
                f"The checks run with the kit's own rights, not in a jail of their own: {why}"
            )
            facts["confined"] = False
            fault = self._run_process(folder, target, unavailable, False)
        return fault

    def _run_process(
        self,
        folder: Path,
        target: Target | None,
        unavailable: Unavailable | None,
        confined: bool,
    ) -> str | None:
        # The folder itself is this process's; `work` is all that the checks may change.
        work = folder / "work"
        seconds = self.exercise.seconds * (target.timeout_factor if target else 1.0)
        limits = Limits.of(seconds)
        with contextlib.ExitStack() as stack:
            broker = None
            if confined and target is not None:
                from grader.targets.broker import Broker

                broker = stack.enter_context(Broker(target))
            described = target.describe() if target and not broker else None
            job = Job(
                lab=str(self.lab.folder),
                exercise=self.exercise.id,
                student=self.student,
                submission=str(work / "submission"),
                variant=variants.variant(self.lab, self.student),
                target=broker.describe() if broker else described,
                unavailable=vars(unavailable) if unavailable else None,
                limits=vars(limits),
                jailed=confined,
            )
            job_file = work / "job.json"
            job.write(job_file)
            belongs_to_user = target is not None and target.kind in OWN_KINDS
            surroundings = own_environment if belongs_to_user else environment
            log = stack.enter_context((folder / "checks.log").open("w+b"))
            started = time.monotonic()
            process = subprocess.Popen(
                [sys.executable, "-m", "grader.grading.process", str(job_file)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=paths.KIT,
                env=surroundings(work, os.environ),
                pass_fds=[broker.handle] if broker else [],
            )
            try:
                if broker:
                    broker.started()
                fault = self._follow(process, seconds)
            finally:
                timeout_factor = target.timeout_factor if target and target.persistent else None
                _end(
                    process,
                    TIDY_SECONDS * timeout_factor if timeout_factor else END_SECONDS,
                    confined,
                )
                self._seconds["checks"] = time.monotonic() - started
            if fault is None and process.returncode != 0 and self._unconfined is None:
                if self.stop.wait(INTERRUPT_SECONDS):
                    raise Stopped
                told = _end_of(log)
                reached = limits.explain_end(process.returncode, told)
                if reached is not None:
                    fault = f"{reached} {LOOK}\nIt was at: {self._at}\n{told}"
                else:
                    fault = f"The checks' process ended with code {process.returncode}.\n{told}"
        return fault

    def _follow(self, process: subprocess.Popen[bytes], seconds: float) -> str | None:
        """Take events as they come until the process ends, is stopped, or is out of time."""
        lines: queue.Queue[bytes | None] = queue.Queue(EVENTS_WAITING)
        over = threading.Event()
        threading.Thread(target=_pump, args=(process, lines, over), daemon=True).start()
        try:
            return self._take_all(process, lines, seconds)
        finally:
            over.set()

    def _take_all(
        self, process: subprocess.Popen[bytes], lines: queue.Queue[bytes | None], seconds: float
    ) -> str | None:
        deadline = time.monotonic() + seconds
        quiet = said = 0
        while True:
            if self.stop.is_set():
                raise Stopped
            if time.monotonic() > deadline:
                return f"Grading took longer than {seconds:.0f} s and was ended."
            try:
                line = lines.get(timeout=0.2)
            except queue.Empty:
                # What it has left behind may hold the pipe open; that is ended next.
                quiet = quiet + 1 if process.poll() is not None else 0
                if quiet > 5:
                    return None
                continue
            if line is None:
                process.wait(timeout=30)
                return None
            said += len(line)
            if said > ALL_EVENTS_BYTES:
                return "The checks' process wrote too much."
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                # The process is no longer what was started: what it says may be anything.
                return f"The checks' process wrote something that cannot be read.\n{error!r}"

    def _take(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "collected":
            self._checks = [record.check_from_json(c) for c in event["checks"]]
            self.progress.collected(self.exercise, len(self._checks))
        elif kind == "started":
            title = next((c.title for c in self._checks if c.id == event["id"]), event["id"])
            self._at = str(title)
            self.progress.doing(self.exercise, title)
        elif kind == "stage":
            self._ended(event["name"], event["seconds"])
        elif kind == "unconfined":
            self._unconfined = str(event["reason"])
        elif kind == "rollout":
            self._rollouts.append(event["trace"])
        elif kind == "result":
            result = record.check_from_json(event["check"])
            self._results[result.id] = result
            if result.outcome == "failed" and self._sandbox and not self._disk_full:
                self._disk_full = disk.lost(self._sandbox)
            self.progress.check(self.exercise, event["check"])

    def _ended(self, stage: str, seconds: float) -> None:
        """A stage has just ended; one that is repeated adds up."""
        self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds
        self.progress.stage(self.exercise, stage, seconds)

    def _lost(self, check: CheckResult, fault: str | None) -> CheckResult:
        """The result of a check that the run did not get to."""
        first, _, rest = (fault or "The checks ended early.").partition("\n")
        cause = Cause(reason=f"The grader broke: {first}", log=rest or None)
        return replace(check, why="grader", cause=cause)


def _may_be_confined(target: Target | None) -> bool:
    """Whether the broker knows how to ask such a target."""
    if target is None:
        return True
    from grader.engine.sandbox_target import SandboxTarget

    return isinstance(target, SandboxTarget)


_say_once = functools.cache(say)


def _end_of(log: IO[bytes]) -> str:
    """The end of what the checks' process said, in characters."""
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - 4 * LOG_SHOWN))
    return log.read(4 * LOG_SHOWN).decode("utf-8", errors="replace")[-LOG_SHOWN:]


def _pump(
    process: subprocess.Popen[bytes], lines: queue.Queue[bytes | None], over: threading.Event
) -> None:
    """Hand on the lines as they come until it is `over`; one longer than any event in pieces."""
    assert process.stdout is not None
    line: bytes | None = b""
    while line is not None and not over.is_set():
        line = process.stdout.readline(EVENT_BYTES) or None
        while not over.is_set():
            with contextlib.suppress(queue.Full):
                lines.put(line, timeout=0.5)
                break


def _end(process: subprocess.Popen[bytes], seconds: float, confined: bool) -> None:
    """The checks' process is gone when this returns, after `seconds` at most.

    One that was confined had a user of its own, and all that this user has is gone, too.
    """
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if confined:
        jail.end_all(jail.uid_of(process.pid))
    if process.stdout:
        process.stdout.close()
