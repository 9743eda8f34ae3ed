"""Commands that read a submission: where they run, with which words, and with which variables."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from grader.modules.compose import ComposeProject
from grader.modules.confined import confined
from grader.modules.image import build_image
from grader.modules.stack import Stack
from grader.nodes.node import Completed
from grader.paths import KIT
from grader.vetting.environment import ENVIRONMENT


class Told:
    """A node that only writes down what it is told to run, and fails."""

    name = "manager1"

    def __init__(self) -> None:
        self.argv: list[str] = []
        self.cwd = ""
        self.env: Mapping[str, str] | None = None

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        cwd: str = "/",
        env: Mapping[str, str] | None = None,
        keep: int = 64_000,
    ) -> Completed:
        self.argv, self.cwd, self.env = list(argv), cwd, env
        return Completed(tuple(argv), 1, "", timeout)

    @property
    def command(self) -> list[str]:
        """The words behind the variables, which are exactly those that are fixed."""
        count = len(ENVIRONMENT) + 1
        assert self.argv[:2] == ["env", "-i"]
        assert self.argv[2 : 2 + count] == [
            *(f"{name}={value}" for name, value in ENVIRONMENT.items()),
            f"PWD={self.cwd}",
        ]
        assert self.env is None
        return self.argv[2 + count :]


@pytest.fixture
def node() -> Any:
    return Told()


def test_compose_is_told_project_folder_variables_and_files(node: Any) -> None:
    files = ["compose.yaml", "compose.override.yaml"]
    project = ComposeProject(node, "counter", "/drydock/counter", files, ".env")
    done = project.up("--scale", "web=3")
    assert node.cwd == "/drydock/counter"
    assert node.command == [
        "docker", "compose", "-p", "counter", "--project-directory", "/drydock/counter",
        "--env-file", "/drydock/counter/.env", "-f", "compose.yaml", "-f", "compose.override.yaml",
        "up", "-d", "--scale", "web=3",
    ]  # fmt: skip
    assert list(done.argv) == node.command, "a person reads the command without its variables"


def test_files_may_lie_apart_from_the_folder_that_their_paths_count_from(node: Any) -> None:
    vetted = "/drydock/.vetted/blog"
    files = [f"{vetted}/compose.yaml"]
    ComposeProject(node, "blog", "/drydock/blog", files, f"{vetted}/.env").down()
    assert node.command[4:10] == [
        "--project-directory", "/drydock/blog", "--env-file", f"{vetted}/.env", "-f", files[0],
    ]  # fmt: skip


def test_without_a_file_of_variables_compose_looks_for_none(node: Any) -> None:
    ComposeProject(node, "blog", "/drydock/blog", ["compose.json"]).stop("db")
    assert node.command[6:10] == ["--env-file", "/dev/null", "-f", "compose.json"]


def test_a_stack_is_deployed_from_its_file(node: Any) -> None:
    Stack(node, "fleet", "/drydock/rollout", "stack.yaml").deploy()
    assert node.cwd == "/drydock/rollout"
    assert node.command == [
        "docker", "stack", "deploy", "--resolve-image", "never",
        "--compose-file", "stack.yaml", "fleet",
    ]  # fmt: skip
    Stack(node, "fleet", "/drydock/rollout", "stack.yaml").update("app", "--force")
    assert node.command[:3] == ["docker", "service", "update"]


def test_an_image_is_built_from_its_file(node: Any) -> None:
    assert not build_image(node, "/drydock/webserver", "a/b", seconds=9).ok
    assert node.cwd == "/drydock/webserver"
    assert node.command == [
        "docker", "build", "--progress=plain", "--file", "Dockerfile", "--tag", "a/b", ".",
    ]  # fmt: skip


def test_no_variable_of_the_machine_gets_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Here(Told):
        """This machine, which runs what it is told."""

        def run(self, argv: Sequence[str], **how: Any) -> Completed:
            done = subprocess.run(list(argv), cwd=how["cwd"], capture_output=True, text=True)
            return Completed(tuple(argv), done.returncode, done.stdout, 0.0)

    monkeypatch.setenv("SECRET_OF_THE_TUTOR", "x")
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    here: Any = Here()
    done = confined(here, ["env"], timeout=9, cwd=str(tmp_path))
    told = dict(line.split("=", 1) for line in done.out.splitlines())
    assert told == {**ENVIRONMENT, "PWD": str(tmp_path)}


STARTS = re.compile(r"(subprocess|os\.(system|popen|exec\w*|spawn\w*|posix_spawn\w*))(\..*)?")


def test_nothing_but_the_grader_itself_starts_docker_on_the_machine_that_grades() -> None:
    """No module that touches a submission starts a process here; scripts that they send into a
    container are texts, and may."""
    root = KIT
    for folder in ("grader/vetting", "grader/modules", "labs/lab4/checks"):
        for path in (root / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                found = [
                    name
                    for name in (
                        [alias.name for alias in node.names]
                        if isinstance(node, ast.Import)
                        else [f"{node.module}.{alias.name}" for alias in node.names]
                        if isinstance(node, ast.ImportFrom)
                        else [ast.unparse(node)]
                        if isinstance(node, ast.Attribute)
                        else []
                    )
                    if STARTS.fullmatch(name)
                ]
                assert not found, f"{path.name}: {found}"
