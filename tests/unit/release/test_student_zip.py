"""The student release: what is in it, and what is not."""

from __future__ import annotations

import ast
import os
import posixpath
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from grader import paths
from grader.cli import COMMANDS, main
from grader.errors import KitError
from grader.grading import examples
from grader.handout import workspace as handout
from grader.handout.rendering import files_of
from grader.lab import labfile
from grader.lab.model import Lab
from grader.release import student_zip
from tests.unit import toy_lab

LAB = labfile.load("lab4")


@pytest.fixture(scope="module")
def zipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dest: Path = tmp_path_factory.mktemp("release") / "lab4.zip"
    student_zip.make(LAB, dest)
    return dest


@pytest.fixture(scope="module")
def texts(zipped: Path) -> dict[str, str]:
    """Every file's text by its path in the release."""
    with zipfile.ZipFile(zipped) as packed:
        found = {n.partition("/")[2]: packed.read(n) for n in packed.namelist()}
    return {name: content.decode("utf-8") for name, content in found.items()}


@pytest.fixture(scope="module")
def unpacked(zipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place: Path = tmp_path_factory.mktemp("a student's") / "Übung 4"
    with zipfile.ZipFile(zipped) as packed:
        packed.extractall(place)
    return place / "drydock-lab4"


def run(unpacked: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """A command of the unpacked kit, and of no other."""
    environment = {**os.environ, "PYTHONPATH": str(unpacked), "DOCKER_HOST": "unix:///nowhere"}
    return subprocess.run(
        [sys.executable, "-m", "grader", *map(str, words)],
        cwd=unpacked,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


def test_nothing_of_the_tutors_is_in_it(texts: dict[str, str]) -> None:
    forbidden = re.compile(
        r"(^|/)(examples|tests|rubric\.yaml|classroom|box)(/|$)"
        r"|_hidden\.py$|(^|/)cli/(grade|marks|export|report|worker|examples|release|box)\.py$"
        r"|(gather|roster|gradebook|rubric|pseudonym|release)\.py$"
    )
    assert [name for name in texts if forbidden.search(name)] == []
    assert {"README.md", "noxfile.py", "pyproject.toml", "labs/lab4/lab.yaml"} <= texts.keys()


def runs(text: str, of: int = 3) -> set[str]:
    """All sequences of `of` lines that say something, without their indentation."""
    lines = [line.strip() for line in text.splitlines() if len(line.strip()) > 3]
    return {"\n".join(lines[i : i + of]) for i in range(len(lines) - of + 1)}


def started_from() -> set[str]:
    """The sequences of the starter files, which students are given."""
    rendered = handout.contents(LAB, LAB.demo_student).values()
    templates = (path.read_bytes() for path in files_of(LAB.templates))
    return {each for c in (*rendered, *templates) for each in runs(c.decode("utf-8"))}


def test_no_three_lines_of_a_solution_are_in_it(texts: dict[str, str]) -> None:
    given = started_from()
    theirs = {r for text in texts.values() for r in runs(text)}
    solutions = (LAB.folder / "examples").glob("*/solution/**/*")
    looked_at = 0
    for file in (path for path in solutions if path.is_file()):
        own = runs(file.read_text(encoding="utf-8")) - given
        looked_at += len(own)
        assert own & theirs == set(), file
    assert looked_at > 100


def test_everything_that_it_imports_is_in_it(texts: dict[str, str]) -> None:
    """Save what is imported only where it is there."""
    there = {
        ".".join(Path(name).with_suffix("").parts).removesuffix(".__init__")
        for name in texts
        if name.startswith("grader/")
    }
    for name, text in texts.items():
        if not name.endswith(".py"):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("grader"):
                assert node.module in there, name
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    known = whole in student_zip.TUTORS_OWN or whole in there
                    assert known or whole not in student_zip._modules(), f"{name}: {whole}"


def test_it_names_no_session_and_no_page_that_it_has_not(texts: dict[str, str]) -> None:
    sessions = set(re.findall(r"@session\ndef (\w+)", texts["noxfile.py"]))
    assert sessions == {"lab4", *student_zip.COMMANDS} - {"check"}
    for name, text in texts.items():
        for session in re.findall(r"nox -s ([a-z]\w*)", text):
            assert session in sessions, f"{name}: nox -s {session}"
        if name.endswith(".md"):
            for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
                assert posixpath.normpath(posixpath.join(posixpath.dirname(name), link)) in texts


def test_another_labs_release_is_about_that_lab(texts: dict[str, str]) -> None:
    lab3 = {
        name: file.content.decode("utf-8")
        for name, file in student_zip.contents(labfile.load("lab3")).items()
    }
    assert {"labs/lab3/lab.yaml", "templates/lab3/worksheet.md.j2"} <= lab3.keys()
    assert [name for name in lab3 if "lab4" in name] == []
    sessions = set(re.findall(r"@session\ndef (\w+)", lab3["noxfile.py"]))
    written = [name for name in lab3 if name.endswith((".md", ".yaml")) or name == "noxfile.py"]
    for name in written:
        assert "lab4" not in lab3[name], name
        assert sessions.issuperset(re.findall(r"nox -s ([a-z]\w*)", lab3[name])), name
        assert "<!--" not in lab3[name], name
        assert "--target local" not in lab3[name], f"{name}: no exercise of it has that"
    students = lab3["docs/students.md"]
    assert "pip install nox && nox -s lab3" in students
    assert "## Image, layers and registry" in students
    assert "## Swarm and rollout" not in students
    assert "## Hand in" in students
    own = texts["docs/students.md"]
    assert "## Swarm and rollout" in own
    assert "--target local" in own
    assert "lab3" not in own
    assert "<!--" not in own


def test_the_command_line_there_explains_itself_by_that_lab(tmp_path: Path) -> None:
    file = student_zip.make(labfile.load("lab3"), tmp_path / "lab3.zip").file
    with zipfile.ZipFile(file) as packed:
        packed.extractall(tmp_path)
    for command in student_zip.COMMANDS:
        argv = [sys.executable, "-m", "grader", command, "--help"]
        done = subprocess.run(
            argv, cwd=tmp_path / "drydock-lab3", capture_output=True, text=True, check=True
        )
        assert "lab4" not in done.stdout, command
        if command in {"check", "submit", "handout"}:
            assert f"python -m grader {command} lab3" in done.stdout


def test_the_same_files_make_the_same_zip(zipped: Path, tmp_path: Path) -> None:
    again = student_zip.make(LAB, tmp_path / "again.zip").file
    assert again.read_bytes() == zipped.read_bytes()


def test_names_are_right_on_every_system(texts: dict[str, str]) -> None:
    reserved = re.compile(r"(?i)^(con|prn|aux|nul|com\d|lpt\d)(\.|$)|[<>:\"|?*\\]|[. ]$")
    parts = {part for name in texts for part in name.split("/")}
    assert [part for part in parts if reserved.search(part)] == []
    assert len({name.casefold() for name in texts}) == len(texts), "no two differ by case only"
    assert max(map(len, texts)) < 120, "Windows takes paths of 260 characters"


def test_the_unpacked_kit_has_the_students_commands_only(unpacked: Path) -> None:
    told = run(unpacked, "--help")
    assert told.returncode == 0, told.stderr
    listed = set(re.findall(r"(?m)^    ([a-z]+) ", told.stdout))
    assert listed == set(student_zip.COMMANDS) < set(COMMANDS)
    refused = run(unpacked, "grade", "x")
    assert refused.returncode == 2
    assert "invalid choice" in refused.stderr
    assert "--demo" not in run(unpacked, "check", "--help").stdout
    for command in student_zip.COMMANDS:
        assert run(unpacked, command, "--help").returncode == 0, command


def test_the_unpacked_kit_hands_out_looks_and_packs(unpacked: Path) -> None:
    who = ["--student", "s1234567"]
    done = run(unpacked, "check", "lab4", "--target", "local", *who)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    workspace = unpacked / "workspaces" / "lab4" / "s1234567"
    assert (workspace / "worksheet.ipynb").is_file()
    assert "counter/ has a compose file that can be read" not in done.stdout, "that one passed"
    done = run(unpacked, "submit", *who)
    assert done.returncode == 0, done.stderr
    assert (unpacked / "results/lab4/s1234567/lab4-s1234567.zip").is_file()


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return toy_lab.make(tmp_path)


def test_another_lab_is_released_alone(lab: Lab, tmp_path: Path) -> None:
    (lab.folder / "rubric.yaml").write_text("[]", encoding="utf-8")
    (lab.folder / "checks" / "words" / "check_words_hidden.py").write_text(
        "SECRET = 1", encoding="utf-8"
    )
    made = student_zip.make(lab, tmp_path / "toy.zip")
    assert made.hidden == 1
    with zipfile.ZipFile(made.file) as packed:
        names = packed.namelist()
        noxfile = packed.read("drydock-toy/noxfile.py").decode()
    assert {n for n in names if n.startswith("drydock-toy/labs/")} == {
        f"drydock-toy/labs/toy/{name}"
        for name in ("lab.yaml", "checks/words/check_words.py", "checks/numbers/check_numbers.py")
    }
    assert "def toy(session" in noxfile


def test_a_hidden_check_among_visible_ones_is_refused(lab: Lab, tmp_path: Path) -> None:
    file = lab.folder / "checks" / "words" / "check_words.py"
    text = file.read_text(encoding="utf-8").replace("points=1)", 'points=1, visibility="hidden")')
    file.write_text(text, encoding="utf-8")
    with pytest.raises(KitError) as refused:
        student_zip.make(lab, tmp_path / "toy.zip")
    assert "words.py, line" in str(refused.value.where)
    assert "_hidden.py" in str(refused.value.remedy)
    assert not (tmp_path / "toy.zip").exists()


def test_somebody_elses_file_is_not_written_over(lab: Lab, tmp_path: Path) -> None:
    other = tmp_path / "thesis.zip"
    other.write_bytes(b"years of work")
    with pytest.raises(KitError, match="not a release"):
        student_zip.make(lab, other)
    assert other.read_bytes() == b"years of work"
    assert (
        student_zip.make(lab, tmp_path / "toy.zip").size
        == student_zip.make(lab, tmp_path / "toy.zip").size
    )


def test_the_command_says_where_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["release", "lab4", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert str(tmp_path / student_zip.name(LAB)) in said
    assert main(["release", "lab4", "--out", str(tmp_path / "lab4.tar")]) == 2


def test_a_solution_that_slipped_into_the_checks_would_be_found(texts: dict[str, str]) -> None:
    """The test above can fail."""
    (solution,) = examples.find(LAB, ["compose/solution"])
    text = (solution.folder / "counter" / "compose.yaml.j2").read_text(encoding="utf-8")
    given = started_from()
    slipped = {**texts, "labs/lab4/checks/x.py": text}
    theirs = {r for each in slipped.values() for r in runs(each)}
    assert (runs(text) - given) & theirs


def test_paths_of_the_kit_are_where_it_is_unpacked(unpacked: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(unpacked, moved)
    code = "from grader import paths; print(paths.KIT)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=moved,
        env={**os.environ, "PYTHONPATH": str(moved)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(moved) != str(paths.KIT)
