"""An older checkout to compare with, and the commands of the kit that are timed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from grader.cli import progress
from grader.engine.engine_paths import current
from grader.errors import KitError
from grader.paths import KIT
from grader.waiting import wait_until
from tests.bench import classes, command, submissions
from tests.unit import sample_record


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "grader").mkdir()
    (tmp_path / "grader" / "__init__.py").touch()
    (tmp_path / "grader" / "__main__.py").write_text(
        "import os, sys\nprint(os.environ['DRYDOCK_HOME'], *sys.argv[1:])\n", encoding="utf-8"
    )
    return tmp_path


def test_an_older_checkout_needs_its_own_environment(checkout: Path) -> None:
    with pytest.raises(KitError, match="no environment"):
        classes.older(checkout)


def test_it_runs_with_its_own_python_and_data_directory(checkout: Path) -> None:
    python = checkout / ".nox" / "kit" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    found = classes.older(checkout)
    assert found.python == python
    assert found.run("grade", "x").said == f"{current().home}-against grade x\n"


def test_a_command_hands_on_its_lines_and_says_what_it_needed() -> None:
    lines: list[str] = []
    ran = command.kit("--help", line=lambda text, _seconds: lines.append(text))
    assert ran.code == 0
    assert "\n".join(lines) == ran.said.rstrip("\n")
    assert ran.memory > 1024**2


def test_a_command_that_fails_is_told_with_its_output() -> None:
    with pytest.raises(SystemExit, match="invalid choice"):
        command.kit("no-such-command")
    assert command.kit("no-such-command", ok=(2,)).code == 2


def test_ctrl_c_lets_a_command_clean_up(checkout: Path) -> None:
    (checkout / "grader" / "__main__.py").write_text(
        "import pathlib, time\n"
        "try:\n"
        "    pathlib.Path('ready').touch()\n"
        "    time.sleep(600)\n"
        "except KeyboardInterrupt:\n"
        "    pathlib.Path('clean').touch()\n",
        encoding="utf-8",
    )
    code = "from pathlib import Path; from tests.bench import command; "
    code += f"command.kit('x', folder=Path({str(checkout)!r}))"
    bench = subprocess.Popen([sys.executable, "-c", code], cwd=KIT, stderr=subprocess.PIPE)
    assert wait_until((checkout / "ready").exists, within=60)
    bench.send_signal(signal.SIGINT)
    _, said = bench.communicate(timeout=60)
    assert b"KeyboardInterrupt" in said
    assert (checkout / "clean").exists()


def test_the_line_that_tells_of_an_exercise_is_recognised(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for result in (sample_record.webserver(), sample_record.compose()):
        progress._line(result)
        found = submissions.GRADED.match(capsys.readouterr().err)
        assert found
        assert found[1] == result.id
