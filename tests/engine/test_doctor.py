"""`doctor` tells the truth about this machine and changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from grader import paths
from grader.doctor import examine
from grader.engine import engine_paths
from grader.engine.client import Engine

pytestmark = pytest.mark.engine


def _doctor(*argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "grader", "doctor", *argv],
        cwd=paths.KIT,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


def test_with_an_engine_all_that_is_needed_is_there(engine: Engine) -> None:
    done = _doctor("--engine", engine.url)
    assert done.returncode == 0, done.stdout + done.stderr
    words = ("Control groups", "Disk space", "Memory", "Process of checks")
    for word in ("Docker engine", engine.version, *words):
        assert word in done.stdout
    assert "Traceback" not in done.stderr


def test_it_starts_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = _doctor(
        "--json",
        "--engine",
        "embedded",
        DRYDOCK_HOME=str(home),
    )
    findings = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert findings["Docker engine"]["found"].startswith("none")
    assert not home.exists()
    assert not engine_paths.EnginePaths(home).run.exists()


def test_an_engine_that_does_not_answer_is_missing(tmp_path: Path) -> None:
    done = _doctor("--json", "--engine", f"unix://{tmp_path}/none.sock")
    assert done.returncode == 3
    (engine,) = [f for f in json.loads(done.stdout) if f["name"] == "Docker engine"]
    assert engine["state"] == "missing"
    assert engine["remedy"]


def test_it_fits_on_a_terminal_of_80_characters(engine: Engine) -> None:
    done = _doctor("--engine", engine.url, COLUMNS="80")
    assert max(len(line) for line in done.stdout.splitlines()) <= 80


def test_too_little_space_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small disk")
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", small], check=True)
    try:
        monkeypatch.setenv("DRYDOCK_HOME", str(small / "not there yet"))
        findings = examine.examine("embedded", confined=True)
        (space,) = [finding for finding in findings if finding.name == "Disk space"]
        assert space.state == "missing"
        assert not examine.complete(findings)
    finally:
        subprocess.run(["umount", small], check=True)
