"""The process of checks: what it is given, and what happens at its limits."""

from __future__ import annotations

import dataclasses
import errno
import sys
from pathlib import Path

import pytest

from grader import record
from grader.errors import NoEngine
from grader.grading import confinement, progress, submission
from grader.grading.confinement import Limits, environment, own_environment
from grader.targets.providers import NoTargets
from tests.unit import toy_lab

CHECKS = '''
import os
from pathlib import Path

from grader.checks import check, fail


def told(submission):
    return (submission / "numbers/do.txt").read_text(encoding="utf-8")


@check(points=1, needs_engine=False)
def check_before(submission):
    """The first number is read."""


@check(points=1, needs_engine=False)
def check_limit(submission):
    """The second number is read."""
    what = told(submission)
    if what == "memory":
        bytearray(8 * 1024**3)
    if what == "processor":
        import hashlib
        hashlib.pbkdf2_hmac("sha256", b"a", b"b", 1_000_000_000)
    if what == "disk":
        with Path(os.environ["TMPDIR"], "big").open("wb") as file:
            file.truncate(10 * 1024**3)
    if what == "environment":
        fail("What is there.", actual=" ".join(sorted(os.environ)))
    if what == "home":
        fail("Where it is.", actual=str(Path.home()))


@check(points=1, needs_engine=False)
def check_after(submission):
    """The third number is read."""
'''

STUDENT = "s1234567"


@pytest.fixture
def request_(tmp_path: Path) -> submission.Request:
    lab = toy_lab.make(tmp_path)
    (lab.folder / "checks/numbers/check_numbers.py").write_text(CHECKS, encoding="utf-8")
    workspace = tmp_path / "workspace"
    (workspace / "numbers").mkdir(parents=True)
    out = tmp_path / "results" / "record.json"
    return submission.Request(lab, STUDENT, workspace, out, exercises=["numbers"])


def grade(request: submission.Request, what: str) -> dict[str, record.CheckResult]:
    (request.workspace / "numbers/do.txt").write_text(what, encoding="utf-8")
    found = submission.grade(
        request,
        submission.plan(request),
        NoTargets(NoEngine("There is none.")),
        progress.Progress(),
        submission.Stop(),
    )
    return {check.id.removeprefix("numbers."): check for check in found.checks}


def reason(check: record.CheckResult) -> str:
    assert check.cause is not None
    return check.cause.reason


def outcomes(checks: dict[str, record.CheckResult]) -> list[tuple[str, str | None]]:
    return [(check.outcome, check.why) for check in checks.values()]


posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux counts it")


@linux
def test_memory_that_runs_out_costs_one_check_and_no_points(request_: submission.Request) -> None:
    checks = grade(request_, "memory")
    assert outcomes(checks) == [("passed", None), ("not_graded", "grader"), ("passed", None)]
    assert "more memory than it may use (2 GiB)" in reason(checks["limit"])
    cause = checks["limit"].cause
    assert cause is not None
    assert cause.hint == confinement.LOOK


@posix
def test_a_file_that_grows_too_long_is_not_written(request_: submission.Request) -> None:
    checks = grade(request_, "disk")
    assert outcomes(checks) == [("passed", None), ("not_graded", "grader"), ("passed", None)]
    assert "larger than it may (512 MiB)" in reason(checks["limit"])


@posix
def test_processor_time_that_runs_out_ends_the_process_and_is_said(
    request_: submission.Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Limits, "of", lambda _seconds: Limits(cpu_seconds=2))
    # Long enough that the clock does not end it first, whatever else runs here.
    exercises = [dataclasses.replace(e, seconds=300) for e in request_.lab.exercises]
    lab = dataclasses.replace(request_.lab, exercises=exercises)
    checks = grade(dataclasses.replace(request_, lab=lab), "processor")
    assert outcomes(checks) == [("passed", None), *[("not_graded", "grader")] * 2]
    assert "more processor time than it may use (2 s)" in reason(checks["limit"])
    cause = checks["limit"].cause
    assert cause is not None
    assert cause.log is not None
    assert "The second number is read." in cause.log
    assert "check_limit" in cause.log, "where it was stands in the log"


def test_the_shells_secrets_are_not_given_on(
    request_: submission.Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = ["SSH_AUTH_SOCK", "DOCKER_HOST", "HTTPS_PROXY", "GITHUB_TOKEN", "XDG_RUNTIME_DIR"]
    for name in secrets:
        monkeypatch.setenv(name, "secret")
    checks = grade(request_, "environment")
    cause = checks["limit"].cause
    assert cause is not None
    assert cause.actual is not None
    given = cause.actual.split()
    assert "TMPDIR" in given
    assert not set(secrets) & set(given)


def test_its_home_is_its_own_folder(request_: submission.Request) -> None:
    cause = grade(request_, "home")["limit"].cause
    assert cause is not None
    assert cause.actual is not None
    assert cause.actual != str(Path.home())
    assert Path(cause.actual).name == "work"


def test_a_users_own_machines_are_reached_with_the_users_own_settings() -> None:
    surroundings = {"SSH_AUTH_SOCK": "/s", "HOME": "/home/me", "TMPDIR": "/t", "PATH": "/bin"}
    own = own_environment(Path("/job"), surroundings)
    assert own["SSH_AUTH_SOCK"] == "/s"
    assert own["HOME"] == "/home/me"
    assert own["TMPDIR"] == str(Path("/job"))
    sandboxed = environment(Path("/job"), surroundings)
    assert "SSH_AUTH_SOCK" not in sandboxed
    assert sandboxed["PATH"] == "/bin"


def test_limits_are_told_from_other_errors() -> None:
    limits = Limits.of(900)
    assert limits.cpu_seconds == 225
    assert Limits.of(2).cpu_seconds == confinement.LEAST_CPU_SECONDS
    assert limits.explain_error(OSError(errno.ENOENT, "no")) is None
    assert limits.explain_error(ValueError()) is None
    assert "memory" in str(limits.explain_error(OSError(errno.ENOMEM, "no")))
    assert limits.explain_end(0, "MemoryError") is None
    assert limits.explain_end(3, "Traceback …\nMemoryError\n") is not None
    assert limits.explain_end(3, "SyntaxError") is None
