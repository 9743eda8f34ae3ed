"""What `swarm env` prints, read by the shells themselves where this machine has them."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from grader.machines import env
from tests.tools import found_or_installed

HOST = "ssh://teacher@10.0.0.2:2222"
STALE = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/certs", "DOCKER_CONTEXT": "class"}


DEBIANS = ("bash", "dash", "zsh", "fish")


@pytest.mark.parametrize("name", [*DEBIANS, "pwsh"])
def test_a_shell_takes_it_and_gives_it_back(name: str) -> None:
    if name in DEBIANS:
        program = found_or_installed(lambda: shutil.which(name), [name], "to test `swarm env`")
    else:
        program = shutil.which(name) or pytest.skip(f"no {name} here")
    kind = {"fish": "fish", "pwsh": "powershell"}.get(name, "bash")
    command = "python -m grader swarm env manager1"
    for text, expected in (
        (env.script(kind, HOST, command), {"DOCKER_HOST": HOST}),
        (env.undo(kind, command), {}),
    ):
        done = subprocess.run(
            [program, "-c", f"{text}\nenv"],
            capture_output=True,
            text=True,
            env={**os.environ, **STALE, "DOCKER_HOST": "tcp://old:2376"},
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
        names = ("DOCKER_HOST", *env.OVERRIDING)
        assert {name: found[name] for name in names if name in found} == expected


@pytest.mark.parametrize("shell", env.SHELLS)
def test_it_says_how_it_comes_to_effect_and_changes_nothing_else(shell: str) -> None:
    *lines, last = env.script(shell, HOST, "COMMAND").splitlines()
    assert "COMMAND" in last
    assert last.startswith("REM " if shell == "cmd" else "# ")
    assert sum(HOST in line for line in lines) == 1
    for name in env.OVERRIDING:
        assert sum(name in line for line in lines) == 1


@pytest.mark.parametrize(
    ("environment", "windows", "shell"),
    [
        ({"SHELL": "/bin/zsh"}, False, "bash"),
        ({"SHELL": "/usr/local/bin/fish"}, False, "fish"),
        ({}, False, "bash"),
        ({"PROMPT": "$P$G"}, True, "cmd"),
        ({}, True, "powershell"),
        ({"SHELL": "C:\\Program Files\\Git\\bin\\bash.exe"}, True, "bash"),
    ],
)
def test_the_shell_is_guessed(environment: dict[str, str], windows: bool, shell: str) -> None:
    assert env.guess(environment, windows) == shell


def test_a_value_cannot_become_a_command() -> None:
    nasty = "ssh://a'b$(touch x)\"c"
    done = subprocess.run(
        ["sh", "-c", env.script("bash", nasty, "c") + 'printf %s "$DOCKER_HOST"'],
        capture_output=True,
        text=True,
    )
    assert done.stdout == nasty
