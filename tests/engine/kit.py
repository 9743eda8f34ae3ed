"""The kit as a user runs it: a command in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grader.grading import examples
from grader.lab.model import Lab
from grader.paths import KIT
from grader.targets.providers import Sandboxes


def command(*args: str | Path) -> list[str]:
    return [sys.executable, "-m", "grader", *map(str, args)]


def run(*args: str | Path, timeout: float = 900) -> subprocess.CompletedProcess[str]:
    """Run it to its end, without a terminal; `timeout` in seconds."""
    return subprocess.run(
        command(*args),
        cwd=KIT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )


class Running:
    """A run that is under way; `until` reads what it says, `interrupt` is Ctrl-C.

    `folder` is where the kit lies: another copy than the tests' own, if wanted. `through` is a
    command that runs the one which is added to it.
    """

    def __init__(
        self, *args: str | Path, folder: Path = KIT, through: Sequence[str | Path] = ()
    ) -> None:
        self.process = subprocess.Popen(
            [*through, *command(*args)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        self.said = ""

    def until(self, words: str, timeout: float = 600) -> None:
        """Read on until it has said `words`; after `timeout` seconds it is ended."""
        assert self.process.stdout is not None
        watchdog = threading.Timer(timeout, self.process.kill)
        watchdog.start()
        try:
            for line in self.process.stdout:
                self.said += line
                if words in line:
                    return
        finally:
            watchdog.cancel()
        raise AssertionError(f"it ended without saying {words!r}:\n{self.said}")

    def interrupt(self) -> int:
        """Ctrl-C, as a terminal sends it to all of its processes; the exit code."""
        return self._end(signal.SIGINT)

    def kill(self) -> int:
        """kill -9 of all its processes, which nothing can clean up after."""
        return self._end(signal.SIGKILL)

    def kill_alone(self) -> int:
        """kill -9 of its first process only: those that it has started hear nothing of it."""
        self.process.kill()
        return self.process.wait(timeout=60)

    def _end(self, number: signal.Signals) -> int:
        os.killpg(self.process.pid, number)
        out, _ = self.process.communicate(timeout=120)
        self.said += out or ""
        return self.process.returncode


def must_reach_all_points(
    lab: Lab, exercise: str, student: str, engine: Any, image_set: Any, folder: Path
) -> None:
    """Grade the exercise's solution, with the student's values, in a sandbox."""
    (solution,) = examples.find(lab, [f"{exercise}/solution"])
    compared = examples.run(lab, solution, Sandboxes(engine, image_set), folder, student=student)
    assert compared.differences == ()
    left_out = [check for check in compared.result.checks if check.outcome != "passed"]
    assert {check.why for check in left_out} <= {"target"}, "only what no kernel here can show"
    assert compared.result.score == compared.result.max_score
    points = sum(check.max_points for check in left_out)
    assert compared.result.max_score + points == lab.exercise(exercise).points
