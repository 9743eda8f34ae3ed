"""Debian is made in the background; a program of the test's own stands for mmdebstrap."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from grader import paths
from grader.engine import packages
from grader.engine.sources import bootstrap
from grader.errors import EngineFault
from grader.waiting import wait_until

MAKES = """
echo "I: unpacking"; sleep 1
for word; do case "$word" in *debian.tar) echo tar >"$word"; esac; done
"""
FAILS = 'echo "E: no mirror answers"; exit 1'
HANGS = 'echo $$ > "$0.pid"; exec sleep 600'

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Debian is made on Linux only")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DRYDOCK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(packages, "may_be_root", lambda: False)
    monkeypatch.setattr(packages, "suite_sources", lambda _suite: [[]])
    return paths.data_dir()


def stand_in(folder: Path, script: str) -> Path:
    program = folder / "mmdebstrap"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    return program


def test_it_is_made_meanwhile_and_its_lines_are_passed_on(home: Path, tmp_path: Path) -> None:
    stand_in(tmp_path, MAKES)
    said: list[str] = []
    with bootstrap.file_system("bookworm", {"etc/apt/apt.conf.d/x": b"y"}) as take:
        tarball = take(said.append)
        assert tarball.read_text(encoding="utf-8") == "tar\n"
        assert take(said.append) == tarball
    assert "I: unpacking" in said
    assert list(home.iterdir()) == []


def test_an_error_appears_where_the_tarball_is_taken(home: Path, tmp_path: Path) -> None:
    stand_in(tmp_path, FAILS)
    with bootstrap.file_system("bookworm", {}) as take:
        time.sleep(0.5)
        with pytest.raises(EngineFault, match="no mirror answers"):
            take(lambda _line: None)
    assert list(home.iterdir()) == []


def test_it_ends_with_the_block_also_while_it_is_silent(home: Path, tmp_path: Path) -> None:
    pid = stand_in(tmp_path, HANGS).with_name("mmdebstrap.pid")
    with bootstrap.file_system("bookworm", {}):
        assert wait_until(lambda: pid.exists() and pid.read_text(encoding="utf-8"), within=20)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text(encoding="utf-8")), 0)
    assert list(home.iterdir()) == []
