"""The process in which the checks of one exercise of one submission run.

    python -m grader.grading.process JOB.json

Reads the job, runs pytest over the exercise's file of checks with the plugin, and writes one
JSON object a line to standard output: `collected`, `started`, `result`, `stage`, `rollout`,
`end`. What pytest and the checks print goes to standard error, which the parent keeps as a log.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.grading.confinement import Limits
from grader.grading.plugin import ChecksPlugin
from grader.record import Unavailable

if TYPE_CHECKING:
    from grader.lab.model import Lab


@dataclass(frozen=True)
class Job:
    """All that the checks' process is told; `target` is a target's `describe()`, or None."""

    lab: str
    exercise: str
    student: str
    submission: str
    variant: dict[str, int | str]
    target: dict[str, Any] | None = None
    unavailable: dict[str, Any] | None = None
    limits: dict[str, int] | None = None
    jailed: bool = False
    """Whether to enter a jail (grader.grading.jail); the file's folder is the one to be written."""

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")


UNCONFINED = 77
"""The exit code where no jail could be entered: nothing of the submission was read."""


def main(job_file: str) -> int:
    job = Job(**json.loads(Path(job_file).read_text(encoding="utf-8")))
    events = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    os.dup2(2, 1)

    def emit(event: dict[str, Any]) -> None:
        events.write(json.dumps(event, ensure_ascii=False, default=str) + "\n")
        events.flush()

    import pytest

    from grader.lab import labfile

    limits = Limits(**job.limits) if job.limits else None
    if limits is not None:
        limits.apply()
    lab = labfile.load(job.lab)
    if job.jailed:
        try:
            _confine(lab, Path(job_file).parent, with_target=job.target is not None)
        except (OSError, ImportError, AttributeError) as error:
            emit({"event": "unconfined", "reason": str(error)})
            return UNCONFINED
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    from grader.targets.attach import attach

    target = attach(job.target) if job.target else None
    if target is not None and target.persistent:
        _end_in_good_order()
    plugin = ChecksPlugin(
        exercise=job.exercise,
        emit=emit,
        submission=Path(job.submission),
        variant=job.variant,
        student=job.student,
        lab=lab,
        target=target,
        unavailable=Unavailable(**job.unavailable) if job.unavailable else None,
        limits=limits,
    )
    checks = lab.folder / "checks" / job.exercise
    # A file of its own: on Windows os.devnull is no path that pytest could take.
    settings = Path(job_file).with_name("pytest.ini")
    settings.write_text("[pytest]\n", encoding="utf-8")
    code = pytest.main(
        [
            str(checks),
            "--rootdir",
            str(lab.folder),
            "-c",
            str(settings),
            "-p",
            "no:cacheprovider",
            "-o",
            "python_files=check_*.py",
            "-o",
            "python_functions=check_*",
            "-o",
            "python_classes=",
            "--tb=short",
            "-q",
            "--assert=plain",
            "--import-mode=importlib",
        ],
        plugins=[plugin],
    )
    emit({"event": "end", "code": int(code)})
    return 0 if code in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) else 1


def _confine(lab: Lab, work: Path, *, with_target: bool) -> None:
    """Enter the jail and see that all is there that checks need. OSError, ImportError."""
    from grader.grading import jail

    place = jail.Jail.of(lab.folder, lab.templates, work)
    jail.enter(place)
    unreadable = jail.unreadable(place)
    if unreadable is not None:
        raise PermissionError(f"no other user may read {unreadable}")
    if with_target:
        importlib.import_module("grader.targets.brokered")


def _end_with_parent(parent: int) -> None:
    """No one reads any more what a process finds whose parent was killed."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


def _end_in_good_order() -> None:
    """When told to end, first take away what was made on nodes that are not thrown away."""

    def end(_number: int, _frame: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
