"""What a check says of a compose file before anything of it is run."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from grader.checks import CheckFailed
from grader.lab import labfile
from grader.paths import KIT

ROOT = KIT
LAB = labfile.load(ROOT / "labs" / "lab4")


@pytest.fixture
def app() -> Any:
    return importlib.import_module("labs.lab4.checks.compose.app")


def failed(app: Any, folder: Path, text: str, dockerfile: str = "FROM redis:7\n") -> Any:
    (folder / "counter").mkdir()
    (folder / "counter" / "compose.yaml").write_text(text, encoding="utf-8")
    (folder / "counter" / "Dockerfile").write_text(dockerfile, encoding="utf-8")
    with pytest.raises(CheckFailed) as caught:
        app.refuse_foreign_images(folder, "counter", LAB)
    return vars(caught.value)


def test_a_refusal_names_file_line_key_and_remedy(app: Any, tmp_path: Path) -> None:
    cause = failed(app, tmp_path, "services:\n  web:\n    build: .\n    privileged: true\n")
    assert "`privileged`" in cause["reason"]
    assert cause["actual"] == "counter/compose.yaml, line 4, services.web.privileged"
    assert cause["hint"]


def test_arguments_decide_what_a_dockerfile_builds_on(app: Any, tmp_path: Path) -> None:
    cause = failed(
        app,
        tmp_path,
        "services:\n  web:\n    build: {context: ., args: {BASE: evil}}\n",
        "ARG BASE=redis:7\nFROM $BASE\n",
    )
    assert "evil" in cause["reason"]
    assert cause["actual"] == "counter/Dockerfile, line 2"


def test_a_dockerfile_in_the_compose_file_has_no_language_of_its_own(
    app: Any, tmp_path: Path
) -> None:
    inline = "|\n        # syntax=docker/dockerfile:1\n        FROM redis:7\n"
    cause = failed(
        app, tmp_path, f"services:\n  web:\n    build:\n      dockerfile_inline: {inline}"
    )
    assert "# syntax=" in cause["reason"]
    assert cause["actual"] == ("counter/compose.yaml, line 4, services.web.build.dockerfile_inline")
