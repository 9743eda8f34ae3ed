"""Whose work it is: each way of saying so, in its order."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from grader.cli import student
from grader.errors import KitError
from grader.lab import labfile

LAB4 = labfile.load("lab4")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DRYDOCK_HOME", str(tmp_path))
    monkeypatch.delenv("DRYDOCK_STUDENT", raising=False)
    return tmp_path


def remember(home: Path, text: str) -> None:
    (home / "student.json").write_text(text, encoding="utf-8")


def test_the_order(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(home, '{"student": "s3333333"}')
    monkeypatch.setenv("DRYDOCK_STUDENT", "s2222222")
    found = student.choose(LAB4, "s1111111")
    assert (found.id, found.how, found.note) == ("s1111111", "option", "")
    found = student.choose(LAB4, None)
    assert (found.id, found.how) == ("s2222222", "environment")
    assert "DRYDOCK_STUDENT" in found.note
    monkeypatch.delenv("DRYDOCK_STUDENT")
    found = student.choose(LAB4, None)
    assert (found.id, found.how) == ("s3333333", "remembered")
    assert "s3333333" in found.note


def test_the_first_option_is_remembered_and_no_later_one(home: Path) -> None:
    """Who says --student once is not taken for the demo student afterwards."""
    assert "Student ID saved: s1111111" in student.choose(LAB4, "s1111111").note
    assert student.choose(LAB4, "s2222222").note == ""
    found = student.choose(LAB4, None)
    assert (found.id, found.how) == ("s1111111", "remembered")


def test_an_option_that_need_not_be_ones_own_is_not_remembered(home: Path) -> None:
    """A tutor looks at someone's folder; anybody looks at the demo student."""
    assert student.choose(LAB4, "s1111111", at_home=False).note == ""
    assert student.choose(LAB4, LAB4.demo_student).note == ""
    assert student.choose(LAB4, None).how == "demo"


def test_nobody_named_is_the_demo_student() -> None:
    """pytest has no terminal, so no one is asked."""
    found = student.choose(LAB4, None)
    assert (found.id, found.how) == (LAB4.demo_student, "demo")
    assert "demo student" in found.note


@pytest.mark.parametrize("text", ["", "{", "[]", '{"student": 7}', '{"student": "bob"}', "null"])
def test_a_spoilt_memory_is_no_memory(home: Path, text: str) -> None:
    remember(home, text)
    assert student.choose(LAB4, None).how == "demo"


def test_wrong_ids_are_refused_where_they_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KitError, match="like s1234567"):
        student.choose(LAB4, "bob")
    monkeypatch.setenv("DRYDOCK_STUDENT", "bob")
    with pytest.raises(KitError, match="DRYDOCK_STUDENT"):
        student.choose(LAB4, None)


PROGRAM = """
from grader.cli import student
from grader.lab import labfile
from grader.errors import KitError
try:
    who = student.choose(labfile.load("lab4"))
    print("chose", who.id, who.how, who.note)
except KitError as error:
    print("refused:", error)
except KeyboardInterrupt:
    print("stopped")
"""


def on_a_terminal(typed: bytes) -> str:
    """Run PROGRAM on a terminal of its own, type the bytes, and give all that it shows."""
    pty = pytest.importorskip("pty", reason="no terminals on this platform")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", PROGRAM])
    shown = b""
    while b"student ID" not in shown:
        shown += os.read(terminal, 1024)
    os.write(terminal, typed)
    try:
        while chunk := os.read(terminal, 1024):
            shown += chunk
    except OSError:
        pass  # Linux: the other side is closed
    os.waitpid(pid, 0)
    os.close(terminal)
    return shown.decode("utf-8")


def test_asked_once_and_remembered(home: Path) -> None:
    shown = on_a_terminal(b"bob\n\ns7654321\n")
    assert "'bob' is not a student ID: it must look like s1234567" in shown
    assert "chose s7654321 asked Student ID saved: s7654321" in shown
    found = student.choose(LAB4, None)
    assert (found.id, found.how) == ("s7654321", "remembered")


@pytest.mark.parametrize(
    ("key", "says"), [(b"\x04", "refused: No student ID"), (b"\x03", "stopped")]
)
def test_ctrl_d_and_ctrl_c_end_it_cleanly(home: Path, key: bytes, says: str) -> None:
    shown = on_a_terminal(key)
    assert says in shown
    assert "Traceback" not in shown
    assert not (home / "student.json").exists()


def test_the_command_line_says_whose_work_it_is(home: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "grader", "handout", "lab4", "--out", str(tmp_path / "work")],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    assert "demo student" in done.stderr
    assert (tmp_path / "work" / "README.md").is_file()
