"""Files that are wrong, endless, loud or huge: a clear sentence each, and the rest is graded."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from grader import paths
from grader.engine.node_limits import Limits
from grader.grading import examples, progress, submission
from grader.lab import labfile
from grader.lab import model as labs
from grader.record import CheckResult
from grader.targets.providers import Sandboxes

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> labs.Lab:
    """The lab with less patience."""
    folder = tmp_path_factory.mktemp("a lab")
    shutil.copytree(paths.LABS / "lab4", folder / "labs" / "lab4")
    shutil.copytree(paths.TEMPLATES / "lab4", folder / "templates" / "lab4")
    file = folder / "labs/lab4/lab.yaml"
    said = file.read_text(encoding="utf-8")
    for name, usual in (("build_seconds", 300), ("start_seconds", 120)):
        assert f"{name}: {usual}\n" in said
        said = said.replace(f"{name}: {usual}\n", f"{name}: 15\n")
    file.write_text(said, encoding="utf-8")
    return labfile.load(folder / "labs/lab4")


@pytest.fixture
def workspace(lab: labs.Lab, tmp_path: Path) -> Path:
    """The finished applications of the compose exercise, to be spoilt."""
    folder = tmp_path / "Übung 4"
    (solution,) = examples.find(lab, ["compose/solution"])
    examples.render(lab, solution, lab.demo_student, folder)
    # Nothing of its runbook: playing it would only take its time.
    shutil.rmtree(folder / "compose")
    return folder


def grade(lab: labs.Lab, workspace: Path, provider: Any) -> dict[str, CheckResult]:
    request = submission.Request(
        lab=lab,
        student=lab.demo_student,
        workspace=workspace,
        record_file=workspace.parent / "record.json",
        exercises=["compose"],
    )
    planned = submission.plan(request)
    found = submission.grade(request, planned, provider, progress.Progress(), submission.Stop())
    result = found.exercise("compose")
    assert result is not None
    assert result.fault is None
    return {check.id.removeprefix("compose."): check for check in result.checks}


def reason(check: CheckResult) -> str:
    assert check.outcome == "failed", check
    assert check.cause is not None
    assert check.cause.hint, "it says what to do"
    return f"{check.cause.reason} {check.cause.expected} {check.cause.actual} {check.cause.hint}"


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def test_a_build_that_never_ends_is_stopped_and_the_rest_graded(
    lab: labs.Lab, workspace: Path, engine: Any, image_set: Any
) -> None:
    write(workspace / "counter/Dockerfile", "FROM python:3.11\nRUN sleep 3600\n")
    write(workspace / "blog/compose.yaml", "services:\n\twordpress:\n\t\timage: wordpress:6\n")
    checks = grade(lab, workspace, Sandboxes(engine, image_set))
    # 15 of building and 15 of starting, on a busy machine a little more.
    assert re.search(r"after 3\d seconds and was stopped", reason(checks["counter_starts"]))
    assert checks["counter_counts"].why == "needs"
    told = reason(checks["blog_file"])
    assert "tab" in told.lower()
    assert "line 2" in told


def test_a_build_that_prints_without_end_is_stopped_and_cut(
    lab: labs.Lab, workspace: Path, engine: Any, image_set: Any
) -> None:
    write(workspace / "counter/Dockerfile", "FROM python:3.11\nRUN yes 'a lot of words'\n")
    write(
        workspace / "blog/compose.yaml",
        "services:\n  wordpress: {image: 'wordpress:6'}\n  db: {image: 'nobody/knows:1'}\n",
    )
    checks = grade(lab, workspace, Sandboxes(engine, image_set))
    reason(checks["counter_starts"])
    cause = checks["counter_starts"].cause
    assert cause is not None
    assert len(cause.log or "") < 30_000
    assert "nobody/knows:1" in reason(checks["blog_images"])


def test_a_full_disk_is_the_sandboxes_own_and_is_named(
    lab: labs.Lab, workspace: Path, engine: Any, image_set: Any
) -> None:
    fill = "FROM python:3.11\nRUN dd if=/dev/zero of=/big bs=1M\n"
    write(workspace / "counter/Dockerfile", fill)
    shutil.rmtree(workspace / "blog")
    small = Sandboxes(engine, image_set, Limits(disk_mb=700))
    checks = grade(lab, workspace, small)
    assert "full" in reason(checks["counter_starts"]).lower()
    assert "blog" in reason(checks["blog_file"])


class CutOff(Sandboxes):
    """Sandboxes that reach no one."""

    @contextmanager
    def target(self, exercise: labs.Exercise, student: str) -> Iterator[Any]:
        with super().target(exercise, student) as target:
            cut = target.nodes[0].run(["ip", "link", "set", "eth0", "down"], timeout=10)
            assert cut.ok, cut.out
            yield target


def test_a_network_that_is_down_is_nobodys_zero(
    lab: labs.Lab, workspace: Path, engine: Any, image_set: Any
) -> None:
    shutil.rmtree(workspace / "blog")
    checks = grade(lab, workspace, CutOff(engine, image_set))
    starts = checks["counter_starts"]
    assert (starts.outcome, starts.why) == ("not_graded", "grader"), starts
    assert starts.cause is not None
    assert "reach" in starts.cause.reason
    assert checks["counter_counts"].why == "grader", "what waits for it costs no points either"
