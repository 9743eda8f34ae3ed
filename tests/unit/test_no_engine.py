"""A machine without an engine, for a user who may not install one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from grader import record
from grader.paths import KIT

NOBODY = 65534

pytestmark = pytest.mark.skipif(
    not (hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("setpriv")),
    reason="becoming another user needs root and setpriv (Linux)",
)


def as_nobody(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the kit as a user who owns `folder` and nothing else, and may read everything."""
    os.chown(folder, NOBODY, NOBODY)
    ids = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    reads = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "DRYDOCK_HOME": str(folder / "data"),
        "PYTHONPATH": str(KIT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
    }
    return subprocess.run(
        ["setpriv", *ids, *reads, sys.executable, "-m", "grader", *args],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    # pytest's folders are root's alone; the other user has to reach this one.
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_mode & 0o001 == 0:
            parent.chmod(parent.stat().st_mode | 0o011)
    return tmp_path


def test_what_needs_no_engine_is_graded_and_the_rest_says_what_to_do(folder: Path) -> None:
    done = as_nobody(
        folder, "check", "lab4", "--workspace", str(folder / "ws"), "--out", str(folder / "out")
    )
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "no docker engine" in " ".join(done.stdout.lower().split())
    found = record.load(folder / "out/record.json")
    assert found is not None
    assert not found.gradable
    by_why = {check.why for check in found.checks if check.outcome == "not_graded"}
    assert "engine" in by_why
    assert any(check.outcome == "passed" for check in found.checks), "files are graded"
    engine = next(c for c in found.checks if c.why == "engine")
    assert engine.cause is not None
    assert engine.cause.hint, "it says what to do now"
    assert (folder / "out/feedback.html").is_file()


def test_doctor_says_what_mends_it(folder: Path) -> None:
    done = as_nobody(folder, "doctor")
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "engine" in done.stdout.lower()
    assert "rights of the user who grades" in " ".join(done.stdout.replace("│", " ").split())
