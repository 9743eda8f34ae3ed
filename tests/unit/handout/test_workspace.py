"""Handouts: the student's own values in every file, and never a student's edit lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from grader.errors import KitError
from grader.handout import workspace
from grader.lab import labfile
from grader.lab.model import Lab
from grader.lab.variant import variant

LAB4 = labfile.load("lab4")
ME = "s1234567"
STARTERS = {
    "README.md",
    "worksheet.ipynb",
    "variant.yaml",
    "webserver/provision.sh",
    "webserver/Dockerfile",
    "webserver/site/index.php",
    "scientific/Dockerfile",
    "scientific/analysis.py",
    "scientific/data/curve.csv",
    "scientific/data/signal.csv",
    "scientific/data/system.json",
    "scientific/data/table.csv",
    "counter/app.py",
    "counter/requirements.txt",
    "counter/Dockerfile",
    "counter/compose.yaml",
    "blog/compose.yaml",
    "compose/Dockerfile",
    "compose/compose.yaml",
    "compose/page.html",
    "compose/runbook.txt",
    "swarm/runbook.txt",
    "rollout/front.conf",
    "rollout/stack.yaml",
    "rollout/voting.yaml",
}

GIVEN = (
    *("app.py", "analysis.py", ".csv", ".json", "requirements.txt", "index.php", "front.conf"),
    *("compose/Dockerfile", "compose/compose.yaml", "compose/page.html"),
)
"""Ends of names of starters with nothing to do in them."""
FOR_ALL = {
    "counter/requirements.txt",
    "counter/Dockerfile",
    "compose/Dockerfile",
    "rollout/front.conf",
    "scientific/analysis.py",
    *(name for name in STARTERS if name.startswith("scientific/data/")),
}
"""Starters that are the same for every student."""


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "Meine Übung (2)"


@pytest.fixture
def toy(tmp_path: Path) -> Lab:
    """lab4 with templates of its own, which a test may change."""
    templates = tmp_path / "templates"
    (templates / "knots" / "deep").mkdir(parents=True)
    (templates / "README.md.j2").write_text("{{ student }} {{ site_name }}\n", encoding="utf-8")
    (templates / "knots" / "a.txt").write_bytes(b"a 1\n")
    (templates / "knots" / "b.txt").write_bytes(b"b 1\n")
    (templates / "knots" / "deep" / "c.txt").write_bytes(b"c 1\n")
    return replace(LAB4, templates=templates)


def names(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_a_workspace_has_all_files(out: Path) -> None:
    result = workspace.write(LAB4, ME, out)
    assert names(out) >= STARTERS
    assert set(result.added) == names(out) - {".drydock.json"}
    assert result.summary() == [f"Your workspace is {out}: start with README.md there."]


def test_every_value_is_handed_out(out: Path) -> None:
    workspace.write(LAB4, ME, out)
    values = variant(LAB4, ME)
    listed = yaml.safe_load((out / "variant.yaml").read_text(encoding="utf-8"))
    assert listed == {"lab": "lab4", "student": ME, **values}
    text = "".join((out / n).read_text(encoding="utf-8") for n in STARTERS if n != "variant.yaml")
    unused = [name for name, value in values.items() if str(value) not in text]
    assert unused == []
    assert "{{" not in text.replace("{{.", "")
    assert "{%" not in text


def test_files_are_for_linux(out: Path) -> None:
    workspace.write(LAB4, ME, out)
    for name in STARTERS:
        content = (out / name).read_bytes()
        assert b"\r" not in content, name
        assert content.endswith(b"\n"), name
        content.decode("utf-8")
    if os.name == "posix":
        assert (out / "webserver/provision.sh").stat().st_mode & 0o777 == 0o755
        assert (out / "counter/app.py").stat().st_mode & 0o777 == 0o644


def test_starters_are_valid(out: Path) -> None:
    """A student starts from files that work as far as they go."""
    workspace.write(LAB4, ME, out)
    for script in ("counter/app.py", "scientific/analysis.py"):
        compile((out / script).read_text(encoding="utf-8"), script, "exec")
    for name, service in (("counter", "web"), ("blog", "wordpress")):
        composed = yaml.safe_load((out / name / "compose.yaml").read_text(encoding="utf-8"))
        assert list(composed["services"]) == [service]
    for name, services in (("stack", ["front", "app"]), ("voting", ["vote"])):
        stack = yaml.safe_load((out / f"rollout/{name}.yaml").read_text(encoding="utf-8"))
        assert list(stack["services"]) == services
    for exercise, name in (
        ("webserver", "webserver"),
        ("scientific", "scientific"),
        ("compose", "counter"),
    ):
        lines = (out / name / "Dockerfile").read_text(encoding="utf-8").splitlines()
        said = [line for line in lines if line and not line.startswith("#")]
        assert said[0].split()[0] == "FROM"
        assert said[0].split()[1] in LAB4.exercise(exercise).images
    bash = shutil.which("bash")
    if bash:
        subprocess.run([bash, "-n", str(out / "webserver/provision.sh")], check=True)
    for name in sorted(STARTERS - {"README.md", "worksheet.ipynb", "variant.yaml"}):
        given = name.endswith(GIVEN)
        assert ("TODO" in (out / name).read_text(encoding="utf-8")) is not given, name


def test_the_same_student_gets_the_same_bytes() -> None:
    assert workspace.contents(LAB4, ME) == workspace.contents(LAB4, ME)
    other = workspace.contents(LAB4, "s7654321")
    assert all(
        other[n] != c for n, c in workspace.contents(LAB4, ME).items() if n in STARTERS - FOR_ALL
    )


def test_again_changes_nothing(out: Path) -> None:
    workspace.write(LAB4, ME, out)
    before = {n: (out / n).stat().st_mtime_ns for n in names(out)}
    result = workspace.write(LAB4, ME, out)
    assert result.written == []
    assert result.summary() == []
    assert {n: (out / n).stat().st_mtime_ns for n in names(out)} == before


def test_again_loads_no_template_engine(out: Path) -> None:
    """What `nox -s lab4` pays each time: no jinja2, no nbformat, no jupytext."""
    workspace.write(LAB4, ME, out)
    program = (
        "import sys; from pathlib import Path;"
        "from grader.handout import workspace; from grader.lab import labfile;"
        f"workspace.write(labfile.load('lab4'), '{ME}', Path(sys.argv[1]));"
        "print([m for m in ('jinja2', 'nbformat', 'jupytext') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, str(out)], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def test_edits_stay(out: Path) -> None:
    workspace.write(LAB4, ME, out)
    mine = out / "counter" / "compose.yaml"
    mine.write_bytes(b"# mine\r\nservices: {}\r\n")
    (out / "counter" / "notes.txt").write_text("mine", encoding="utf-8")
    result = workspace.write(LAB4, ME, out)
    assert result.kept == ["counter/compose.yaml"]
    assert "counter/compose.yaml" in "".join(result.summary(full=True))
    assert mine.read_bytes() == b"# mine\r\nservices: {}\r\n"
    assert (out / "counter" / "notes.txt").exists()


def test_a_new_version_updates_what_is_untouched(toy: Lab, out: Path) -> None:
    workspace.write(toy, ME, out)
    (out / "knots/a.txt").write_bytes(b"mine\n")
    (toy.templates / "knots/a.txt").write_bytes(b"a 2\n")
    (toy.templates / "knots/b.txt").write_bytes(b"b 2\n")
    (toy.templates / "knots/new.txt").write_bytes(b"new\n")
    result = workspace.write(toy, ME, out)
    assert (result.added, result.updated, result.kept) == (
        ["knots/new.txt"],
        ["knots/b.txt"],
        ["knots/a.txt"],
    )
    assert (out / "knots/a.txt").read_bytes() == b"mine\n"
    assert (out / "knots/b.txt").read_bytes() == b"b 2\n"
    assert len(result.summary()) == 3
    assert workspace.write(toy, ME, out).summary() == []


def test_an_edit_taken_back_is_no_edit(toy: Lab, out: Path) -> None:
    workspace.write(toy, ME, out)
    (out / "knots/a.txt").write_bytes(b"mine\n")
    (toy.templates / "knots/a.txt").write_bytes(b"a 2\n")
    assert workspace.write(toy, ME, out).kept == ["knots/a.txt"]
    (out / "knots/a.txt").write_bytes(b"a 1\n")
    assert workspace.write(toy, ME, out).updated == ["knots/a.txt"]
    assert (out / "knots/a.txt").read_bytes() == b"a 2\n"


def test_a_deleted_file_stays_deleted(toy: Lab, out: Path) -> None:
    """It may have been renamed: compose.yaml beside docker-compose.yml would win over it."""
    workspace.write(toy, ME, out)
    (out / "knots/a.txt").rename(out / "knots/z.txt")
    result = workspace.write(toy, ME, out)
    assert result.gone == ["knots/a.txt"]
    assert not (out / "knots/a.txt").exists()
    (toy.templates / "knots/a.txt").write_bytes(b"a 2\n")
    assert workspace.write(toy, ME, out).gone == ["knots/a.txt"]


def test_a_deleted_folder_comes_back(toy: Lab, out: Path) -> None:
    workspace.write(toy, ME, out)
    (out / "knots/a.txt").write_bytes(b"mine\n")
    shutil.rmtree(out / "knots")
    (out / "README.md").unlink()
    result = workspace.write(toy, ME, out)
    assert result.added == ["README.md", "knots/a.txt", "knots/b.txt", "knots/deep/c.txt"]
    assert (out / "knots/a.txt").read_bytes() == b"a 1\n"


def test_restore_gives_the_original_and_keeps_the_edit(toy: Lab, out: Path) -> None:
    workspace.write(toy, ME, out)
    for text in (b"mine\n", b"mine, too\n"):
        (out / "knots/a.txt").write_bytes(text)
        assert workspace.write(toy, ME, out, restore=["knots/a.txt"]).updated == ["knots/a.txt"]
        assert (out / "knots/a.txt").read_bytes() == b"a 1\n"
    assert (out / "knots/a.txt.bak").read_bytes() == b"mine\n"
    assert (out / "knots/a.txt.bak2").read_bytes() == b"mine, too\n"
    (out / "knots/b.txt").unlink()
    again = workspace.write(toy, ME, out, restore=[str(out / "knots" / "b.txt")])
    assert again.added == ["knots/b.txt"]
    with pytest.raises(KitError, match=r"knots/a\.txt"):
        workspace.write(toy, ME, out, restore=["knots/none.txt"])


def test_what_left_the_lab_leaves_the_workspace_unless_changed(toy: Lab, out: Path) -> None:
    workspace.write(toy, ME, out)
    (out / "knots/a.txt").write_bytes(b"mine\n")
    (toy.templates / "knots/a.txt").unlink()
    (toy.templates / "knots/b.txt").unlink()
    assert workspace.write(toy, ME, out).removed == ["knots/b.txt"]
    assert (out / "knots/a.txt").read_bytes() == b"mine\n"
    assert not (out / "knots/b.txt").exists()


@pytest.mark.parametrize("state", ["", "{", "[]", '{"student": 7}', '{"inputs": "x"}'])
def test_a_spoilt_state_loses_nothing(toy: Lab, out: Path, state: str) -> None:
    workspace.write(toy, ME, out)
    (out / "knots/a.txt").write_bytes(b"mine\n")
    (out / ".drydock.json").write_text(state, encoding="utf-8")
    result = workspace.write(toy, ME, out)
    assert (result.kept, result.written) == (["knots/a.txt"], [])
    assert (out / "knots/a.txt").read_bytes() == b"mine\n"


def test_a_state_leads_nowhere_else(toy: Lab, out: Path) -> None:
    workspace.write(toy, ME, out)
    (out / "knots/b.txt").unlink()
    state = json.loads((out / ".drydock.json").read_text(encoding="utf-8"))
    state["rendered"]["../elsewhere"] = "x"
    (out / ".drydock.json").write_text(json.dumps(state), encoding="utf-8")
    workspace.write(toy, ME, out)
    assert not (out.parent / "elsewhere").exists()


def test_files_that_were_there_before_stay(toy: Lab, out: Path) -> None:
    out.mkdir()
    (out / "README.md").write_text("my own", encoding="utf-8")
    assert workspace.write(toy, ME, out).kept == ["README.md"]
    assert (out / "README.md").read_text(encoding="utf-8") == "my own"


@pytest.mark.parametrize("state_lost", [False, True])
def test_another_students_folder_is_refused(toy: Lab, out: Path, state_lost: bool) -> None:
    workspace.write(toy, ME, out)
    if state_lost:
        (out / ".drydock.json").unlink()
    before = {n: (out / n).read_bytes() for n in names(out)}
    with pytest.raises(KitError, match=f"belongs to the student {ME}") as caught:
        workspace.write(toy, "s7654321", out)
    assert ME in (caught.value.remedy or "")
    assert {n: (out / n).read_bytes() for n in names(out)} == before


def test_another_labs_folder_is_refused(toy: Lab, out: Path) -> None:
    workspace.write(toy, ME, out)
    with pytest.raises(KitError, match="belongs to lab4"):
        workspace.write(replace(toy, id="lab5"), ME, out)


def test_a_file_in_the_way_is_named(toy: Lab, out: Path) -> None:
    out.write_text("I am a file", encoding="utf-8")
    with pytest.raises(KitError, match="cannot be written"):
        workspace.write(toy, ME, out)
    assert out.read_text(encoding="utf-8") == "I am a file"


def test_a_folder_in_a_files_place_is_named(toy: Lab, out: Path) -> None:
    (out / "knots" / "a.txt").mkdir(parents=True)
    with pytest.raises(KitError, match=r"a\.txt"):
        workspace.write(toy, ME, out)


def test_a_folder_that_lets_nobody_write_is_named(toy: Lab, out: Path) -> None:
    """Also for root, whom permissions do not stop: procfs is no one's to write."""
    if Path("/proc/self").is_dir():
        with pytest.raises(KitError, match="cannot be written"):
            workspace.write(toy, ME, Path("/proc/self/workspace"))
    if hasattr(os, "geteuid") and os.geteuid() != 0:
        out.mkdir(mode=0o500)
        with pytest.raises(KitError, match="cannot be written"):
            workspace.write(toy, ME, out)


def test_a_full_disk_leaves_no_half_file(toy: Lab, out: Path) -> None:
    """A limit on file sizes stands for the disk: the write fails in the middle."""
    resource = pytest.importorskip("resource", reason="no such limits on this platform")
    workspace.write(toy, ME, out)
    (toy.templates / "knots/b.txt").write_bytes(b"b" * 100_000)
    program = (
        "import resource, signal, sys; from dataclasses import replace; from pathlib import Path;"
        "from grader.handout import workspace; from grader.lab import labfile;"
        "from grader.errors import KitError;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000));"
        "toy = replace(labfile.load('lab4'), templates=Path(sys.argv[1]))\n"
        f"try: workspace.write(toy, '{ME}', Path(sys.argv[2]))\n"
        "except KitError as error: print(error)\n"
    )
    assert resource
    done = subprocess.run(
        [sys.executable, "-c", program, str(toy.templates), str(out)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cannot be written" in done.stdout
    assert (out / "knots/b.txt").read_bytes() == b"b 1\n"
    assert names(out) == {
        ".drydock.json", "README.md", "variant.yaml",
        "knots/a.txt", "knots/b.txt", "knots/deep/c.txt",
    }  # fmt: skip


def test_wrong_templates_are_named(toy: Lab, out: Path) -> None:
    for text, what in (
        ("{{ nothing }}", "nothing"),
        ("one\n{% if %}", "line 2"),
        ("{{ site_name", "line 1"),
    ):
        (toy.templates / "README.md.j2").write_text(text, encoding="utf-8")
        with pytest.raises(KitError, match=r"README\.md\.j2") as caught:
            workspace.write(toy, ME, out)
        assert what in str(caught.value)
    assert not out.exists()


def test_render_tree_renders_and_copies(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "site").mkdir(parents=True)
    (source / "a.sh.j2").write_bytes(b"#!/bin/sh\r\necho {{ port }} ${#list}\r\n")
    (source / "site" / "raw.bin").write_bytes(b"\x00{{ port }}\r\n")
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "junk.pyc").write_bytes(b"")
    written = workspace.render_tree(source, tmp_path / "dest", {"port": 80})
    assert written == ["a.sh", "site/raw.bin"]
    assert (tmp_path / "dest/a.sh").read_bytes() == b"#!/bin/sh\necho 80 ${#list}\n"
    assert (tmp_path / "dest/site/raw.bin").read_bytes() == b"\x00{{ port }}\r\n"


def test_the_command_line(out: Path) -> None:
    def say(*more: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "grader", "handout", "lab4", "--out", str(out), *more]
        return subprocess.run(line, capture_output=True, text=True, check=False)

    first = say("--student", ME)
    assert first.returncode == 0, first.stderr
    assert str(out) in first.stderr
    assert "Nothing to do" in say("--student", ME).stderr
    other = say("--student", "s7654321")
    assert other.returncode == 2
    assert "belongs to" in other.stderr
    wrong = say("--student", "bob")
    assert wrong.returncode == 2
    assert "s1234567" in wrong.stderr
    assert "Traceback" not in wrong.stderr + other.stderr
    (out / "counter/Dockerfile").write_text("FROM mine\n", encoding="utf-8")
    again = say("--student", ME, "--restore", "counter/Dockerfile")
    assert "counter/Dockerfile" in again.stderr
    assert json.loads((out / ".drydock.json").read_text(encoding="utf-8"))["student"] == ME
    assert (out / "counter/Dockerfile.bak").exists()
