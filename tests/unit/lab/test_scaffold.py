"""`new-lab`: what it writes, and what it does not write over."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from grader import cli, paths
from grader.errors import KitError
from grader.handout import workspace
from grader.lab import labfile, scaffold


def tree(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_it_makes_a_lab_that_can_be_handed_out(tmp_path: Path) -> None:
    folder, _ = scaffold.make("lab5", 'Practical "5"', tmp_path)
    lab = labfile.load(folder)
    assert (lab.id, lab.title) == ("lab5", "Practical '5'")
    files = workspace.contents(lab, "s1234567")
    assert {"README.md", "worksheet.ipynb", "variant.yaml", "hello/Dockerfile"} <= files.keys()
    assert not any(b"LABNAME" in c or b"LABTITLE" in c for c in files.values())
    assert files != workspace.contents(lab, "s7654321")


def test_an_exercise_with_a_runbook_is_on_the_page_as_it_is_made(tmp_path: Path) -> None:
    folder, _ = scaffold.make("lab6", None, tmp_path, scaffold.RUNBOOK)
    files = workspace.contents(labfile.load(folder), "s1234567")
    assert {"README.md", "worksheet.ipynb", "variant.yaml", "hello/runbook.txt"} <= files.keys()
    made = (folder / "checks/hello/check_hello.py").read_text(encoding="utf-8")
    assert len(made.splitlines()) <= 60
    page = (paths.KIT / "docs/writing-a-lab.md").read_text(encoding="utf-8")
    assert textwrap.indent(made, "    ") in page


@pytest.mark.parametrize("name", ["", "Lab5", "5lab", "lab-5", "../lab5", "images", "new-lab", "ö"])
def test_a_name_that_cannot_be_one_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(KitError) as refused:
        scaffold.make(name, None, tmp_path)
    assert refused.value.remedy
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("part", ["labs", "templates"])
def test_existing_folders_are_not_changed(tmp_path: Path, part: str) -> None:
    mine = tmp_path / part / "lab5" / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine", encoding="utf-8")
    before = tree(tmp_path)
    with pytest.raises(KitError) as refused:
        scaffold.make("lab5", None, tmp_path)
    assert str(mine.parent) in str(refused.value)
    assert tree(tmp_path) == before


def test_a_place_that_cannot_be_written_to_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("", encoding="utf-8")
    assert cli.main(["new-lab", "lab5", "--in", str(file)]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert tree(tmp_path) == {"file": b""}


def test_the_command_says_what_comes_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["new-lab", "lab5", "--in", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert f"check {tmp_path / 'labs' / 'lab5'} --demo" in told
    assert labfile.load(tmp_path / "labs" / "lab5").title == "lab5"
