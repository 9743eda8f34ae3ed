"""The worksheet: a notebook for nbformat, for nbgrader, and for a student."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import nbformat
import pytest

from grader.handout import worksheet
from grader.handout import workspace as handout
from grader.lab import labfile
from grader.lab.variant import variant
from tests import worksheets

LAB4 = labfile.load("lab4")
ME = "s1234567"
VALUES = variant(LAB4, ME)
CONTENT = handout.contents(LAB4, ME)["worksheet.ipynb"]


@pytest.fixture
def nb() -> Any:
    return worksheets.read(CONTENT)


def text_of(nb: Any) -> str:
    return "\n".join(cell.source for cell in nb.cells)


def answers(nb: Any) -> list[Any]:
    return [cell for cell in nb.cells if "nbgrader" in cell.metadata]


def test_nbformat_accepts_it(nb: Any) -> None:
    nbformat.validate(nb)
    assert (nb.nbformat, nb.nbformat_minor) >= (4, 5)
    assert nb.metadata.kernelspec.name == "python3"
    ids = [cell.id for cell in nb.cells]
    assert len(set(ids)) == len(ids)


def test_the_same_bytes_each_time() -> None:
    assert handout.contents(LAB4, ME)["worksheet.ipynb"] == CONTENT
    assert b'"execution_count": null' in CONTENT
    assert CONTENT.endswith(b"}\n")


def test_ids_follow_from_the_cell_not_from_its_place() -> None:
    before = worksheets.read(worksheet.notebook("one\n\n\ntwo\n"))
    after = worksheets.read(worksheet.notebook("zero\n\n\none\n\n\ntwo\n\n\none\n"))
    assert [c.id for c in after.cells][1:3] == [c.id for c in before.cells]
    assert len({c.id for c in after.cells}) == 4


def test_nbgrader_accepts_it(tmp_path: Path) -> None:
    """nbgrader's own reader validates the metadata of each cell, and the notebook as a whole."""
    from nbgrader.nbgraderformat import MetadataValidator, read

    path = tmp_path / "worksheet.ipynb"
    path.write_bytes(CONTENT)
    read_back = read(str(path), as_version=4)
    MetadataValidator().validate_nb(read_back)
    assert len(answers(read_back)) == 4


def test_nbgrader_would_refuse_a_wrong_one(nb: Any) -> None:
    """The validator of the test above does look."""
    from nbgrader.nbgraderformat import MetadataValidator, ValidationError

    answers(nb)[0].metadata.nbgrader["solution"] = False
    with pytest.raises(ValidationError):
        MetadataValidator().validate_nb(nb)


def test_nbgrader_marks_the_four_questions(nb: Any) -> None:
    """Manually graded, five points each; untouched is zero, an answer waits for the tutor."""
    from nbgrader.utils import compute_checksum, determine_grade

    assert [c.metadata.nbgrader.grade_id for c in answers(nb)] == [
        f"tutorial4-q{n}" for n in (1, 2, 3, 4)
    ]
    for cell in answers(nb):
        meta = cell.metadata.nbgrader
        assert (meta.grade, meta.solution, meta.locked) == (True, True, False)
        assert meta.schema_version == 3
        assert meta.checksum == compute_checksum(cell)
        assert determine_grade(cell) == (0, 5)
        cell.source = "Small programs that talk over HTTP."
        assert determine_grade(cell) == (None, 5)


def test_nbgrader_would_release_it_as_it_is(nb: Any) -> None:
    """Its preprocessors for the students' version find nothing to change."""
    from nbgrader.preprocessors import (
        CheckCellMetadata,
        ClearSolutions,
        ComputeChecksums,
        LockCells,
    )

    released = deepcopy(nb)
    for preprocessor in (LockCells, ClearSolutions, ComputeChecksums, CheckCellMetadata):
        released, _ = preprocessor().preprocess(released, {})
    for ours, theirs in zip(nb.cells, released.cells, strict=True):
        assert theirs.source == ours.source
        theirs_meta = dict(theirs.metadata.get("nbgrader", {}))
        assert theirs_meta == dict(ours.metadata.get("nbgrader", {}))


def test_the_questions_stand_before_their_answers(nb: Any) -> None:
    cells = nb.cells
    asked = [cells[cells.index(a) - 1].source for a in answers(nb)]
    assert [q.partition("** ")[2] for q in asked] == [
        "What are microservices?",
        "What is Docker Compose?",
        "Discuss the benefits of Docker Compose.",
        "Discuss the key features of Docker Swarm.",
    ]


def test_the_topics_come_in_the_lectures_order(nb: Any) -> None:
    headings = re.findall(r"^## \d\. (.+)$", text_of(nb), re.MULTILINE)
    assert headings == [
        "Microservices",
        "Docker Compose",
        "The counter application",
        "The blog application",
        "A web server, on a machine and in an image",
        "A scientific environment in an image",
        "Docker Swarm",
    ]


def test_each_exercise_has_a_check_cell(nb: Any) -> None:
    checks = [c for c in worksheets.commands(nb) if c.kind == "check"]
    assert {re.findall(r"--exercise (\w+)", c.line)[0] for c in checks} == {
        e.id for e in LAB4.exercises
    }
    for check in checks:
        assert f"--student {ME}" in check.line


def test_commands_are_listed_with_their_place(nb: Any) -> None:
    found = worksheets.commands(nb)
    first, last = VALUES["counter_port_first"], VALUES["counter_port_last"]
    by_line = {c.line: c for c in found}
    assert by_line["docker version"].folder == ""
    scale = by_line[f"docker compose up -d --scale web={VALUES['counter_replicas']}"]
    assert (scale.kind, scale.folder, scale.may_fail) == ("cell", "counter", False)
    ports = next(c for c in found if f"[{first}-{last}]" in c.line)
    assert (ports.folder, ports.may_fail) == ("counter", True)
    joined = [c.node for c in found if c.line.startswith("docker swarm join ")]
    assert joined == ["worker1", "worker2"]
    folders = {"", "counter", "blog", "webserver", "scientific"}
    assert {c.folder for c in found if c.kind == "cell"} == folders
    assert [*worksheets.shown_files(nb)] == ["stack.yaml"]


def test_no_command_hides_from_the_list(nb: Any) -> None:
    """Each line that types a command, and each that the text shows, is among `commands`."""
    lines = {c.line for c in worksheets.commands(nb)}
    for cell in nb.cells:
        for line in cell.source.splitlines():
            if cell.cell_type == "code" and "!" in line.replace("!=", ""):
                assert line.strip().lstrip("!") in lines
            if cell.cell_type == "markdown" and re.match(r"(\w+)?[$#>] ", line):
                assert line.startswith("# ") or line.partition("$ ")[2] in lines
            for span in re.findall(r"`(docker [^`]+)`", line):
                if len(span.split()) > 2:
                    assert any(c.startswith(span) for c in lines), span


def test_commands_run_in_every_shell(nb: Any) -> None:
    """Cells run in sh and in Windows' cmd: one program, double quotes, nothing to expand.

    IPython itself expands $ and {}, so only the check cells, which mean it, have them.
    """
    for command in worksheets.commands(nb):
        if command.kind == "check":
            continue
        assert not re.search(r"['$`;|<>^%{}\\]|&&", command.line), command.line
        assert shlex.split(command.line)[0] in ("docker", "curl")


def test_commands_use_the_students_own_values(nb: Any) -> None:
    lines = "\n".join(c.line for c in worksheets.commands(nb))
    for name in ("web_port", "blog_port", "db_user", "db_password", "site_name", "db_engine"):
        assert str(VALUES[name]) in lines
    other = text_of(worksheets.read(handout.contents(LAB4, "s7654321")["worksheet.ipynb"]))
    theirs = {str(value) for value in variant(LAB4, "s7654321").values()}
    # Ordinary words such as "lock" may stand in any text; ports and names do not.
    mine_only = [
        v for v in map(str, VALUES.values()) if v not in theirs and re.search(r"\d{4}|[-_]", v)
    ]
    assert len(mine_only) > 8
    assert [value for value in mine_only if value in other] == []


def test_nothing_leaves_the_lab(nb: Any) -> None:
    """No address outside this computer, and no image that the lab does not have."""
    hosts = re.findall(r"https?://([^/\s:>\"]+)", text_of(nb))
    assert set(hosts) == {"localhost"}
    lines = "\n".join(c.line for c in worksheets.commands(nb))
    images = set(re.findall(r"\b[\w/]+:(?:[\d.]+|bookworm)\b(?!/)", lines))
    images = {image for image in images if not re.fullmatch(r"\d+:\d+|\w+_ADDRESS:\d+", image)}
    assert images <= {image for exercise in LAB4.exercises for image in exercise.images}


def test_the_first_cell_finds_the_workspace(tmp_path: Path, nb: Any) -> None:
    """Wherever the kernel was started, and again after other cells moved elsewhere."""
    workspace = tmp_path / "Meine Übung"
    handout.write(LAB4, ME, workspace)
    first = next(c for c in nb.cells if c.cell_type == "code").source
    program = f"{first}\nos.chdir(workspace / 'blog')\n{first}\nprint(os.getcwd())"
    for start in (workspace, workspace / "counter"):
        found = subprocess.run(
            [sys.executable, "-X", "utf8", "-c", program],
            cwd=start,
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
        assert found.stdout.strip() == str(workspace.resolve())


def test_cells_are_what_ipython_runs(tmp_path: Path, nb: Any) -> None:
    """IPython reads every code cell; the check cell says what to do where there is no grader."""
    from IPython.core.inputtransformer2 import TransformerManager

    transform = TransformerManager().transform_cell
    for cell in nb.cells:
        if cell.cell_type == "code":
            compile(transform(cell.source), cell.id, "exec")
    check = next(c for c in nb.cells if "-m grader" in c.source)
    said = io.StringIO()
    find_spec = type("util", (), {"find_spec": staticmethod(lambda name: None)})
    importlib = type("importlib", (), {"util": find_spec})
    with contextlib.redirect_stdout(said):
        exec(transform(check.source), {"importlib": importlib})
    assert "nox -s lab4" in said.getvalue()


def test_ipython_passes_commands_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a student reads after `!` is what runs, paths with spaces and umlauts included."""
    from IPython.core.interactiveshell import InteractiveShell

    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    shell = InteractiveShell()
    workspace = tmp_path / "Meine Übung"
    shell.user_ns.update(sys=sys, workspace=workspace)
    seen: list[str] = []
    for command in worksheets.commands(worksheets.read(CONTENT)):
        seen.append(shell.var_expand(command.line))
        if command.kind == "check":
            argv = shlex.split(seen[-1]) if os.name == "posix" else []
            assert argv[:3] == [sys.executable, "-m", "grader"] or not argv
            assert argv[-1:] == [str(workspace)] or not argv
        else:
            assert seen[-1] == command.line
    assert seen
