"""What the exercise webserver says of files alone, on a machine without an engine."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from grader.checks import CheckFailed
from grader.errors import NoEngine
from grader.grading import progress, submission
from grader.lab import labfile
from grader.record import CheckResult
from grader.targets.providers import NoTargets

LAB = labfile.load("lab4")
SCRIPT = b"#!/bin/bash\napt-get update\n"
DOCKERFILE = b"FROM debian:12\nRUN apt-get update\n"


def graded(folder: Path) -> dict[str, CheckResult]:
    record = folder.parent / "record.json"
    request = submission.Request(
        LAB, LAB.demo_student, folder.parent, record, exercises=["webserver"]
    )
    provider = NoTargets(NoEngine("There is no Docker engine.", remedy="Install one."))
    plan = submission.plan(request)
    found = submission.grade(request, plan, provider, progress.Progress(), submission.Stop())
    return {check.id.removeprefix("webserver."): check for check in found.checks}


@pytest.fixture(scope="module")
def checks() -> Any:
    """The file of checks as a module."""
    return importlib.import_module("labs.lab4.checks.webserver.check_webserver")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "a workspace, größer" / "webserver"
    folder.mkdir(parents=True)
    return folder


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content)


def test_good_files_pass_and_the_rest_waits_for_an_engine(folder: Path) -> None:
    write(folder, {"provision.sh": SCRIPT, "Dockerfile": DOCKERFILE})
    checks = graded(folder)
    passed = {name for name, check in checks.items() if check.outcome == "passed"}
    assert passed == {"script_present", "base_allowed"}
    assert {check.why for name, check in checks.items() if name not in passed} == {"engine"}


def test_an_empty_folder_fails_what_needs_no_engine(folder: Path) -> None:
    checks = graded(folder)
    failed = {name for name, check in checks.items() if check.outcome == "failed"}
    assert failed == {"script_present", "base_allowed"}
    assert sum(c.max_points for c in checks.values()) == LAB.exercise("webserver").points


@pytest.mark.parametrize(
    ("files", "reason", "hint"),
    [
        ({}, "There is no webserver/provision.sh.", "Save it as webserver/provision.sh"),
        ({"provision.sh.txt": SCRIPT}, "There is no", "Rename 'provision.sh.txt' to"),
        ({"provision .sh": SCRIPT}, "There is no", "Rename 'provision .sh' to 'provision.sh'."),
        ({"Provision.SH": SCRIPT}, "There is no", "Rename 'Provision.SH' to 'provision.sh'."),
        ({"provision.sh": b" \n"}, "webserver/provision.sh is empty.", "Save"),
        ({"provision.sh": SCRIPT.decode().encode("utf-16")}, "not a plain text file", "UTF-8"),
        ({"provision.sh": SCRIPT.replace(b"\n", b"\r\n")}, "Windows line ends", "sed -i"),
    ],
)
def test_a_script_that_bash_cannot_read(
    checks: Any, folder: Path, files: dict[str, bytes], reason: str, hint: str
) -> None:
    write(folder, files)
    with pytest.raises(CheckFailed) as caught:
        checks.check_script_present(folder)
    assert reason in caught.value.reason
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    "script",
    [
        SCRIPT + b"# a stray line end\r\n",
        "# größer, und in ISO 8859-1\necho".encode("iso-8859-1"),
        b"\xef\xbb\xbf#!/bin/bash\n",
    ],
)
def test_a_script_that_bash_can_read_is_left_to_bash(
    checks: Any, folder: Path, script: bytes
) -> None:
    write(folder, {"provision.sh": script})
    checks.check_script_present(folder)


@pytest.mark.parametrize(
    ("files", "reason", "hint"),
    [
        ({"dockerfile.txt": DOCKERFILE}, "There is no webserver/Dockerfile", "Rename"),
        ({"Dockerfile": b"FROM ubuntu\n"}, "Line 1 builds on ubuntu", "Use one of these images"),
        ({"Dockerfile": b"FROM drydock/demo:1.0\n"}, "drydock/demo:1.0, which", "debian"),
        ({"Dockerfile": b"FROM debian:11\n"}, "Line 1 builds on debian:11", "debian:bookworm"),
        ({"Dockerfile": b"RUN true\n"}, "There is no FROM line", "FROM debian:bookworm"),
        ({"Dockerfile": DOCKERFILE.decode().encode("utf-16")}, "not a plain text", "UTF-8"),
    ],
)
def test_a_dockerfile_that_is_not_built(
    folder: Path, files: dict[str, bytes], reason: str, hint: str
) -> None:
    write(folder, {"provision.sh": SCRIPT, **files})
    check = graded(folder)["base_allowed"]
    assert check.outcome == "failed"
    assert check.cause is not None
    assert reason in check.cause.reason
    assert hint in (check.cause.hint or "")
