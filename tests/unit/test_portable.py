"""The student's side on other systems, as far as Linux can show it (see docs/students.md)."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader import record
from grader.grading import examples
from grader.handout import workspace as handout
from grader.lab import labfile
from grader.lab import model as labs
from grader.modules.compose_projects import NotRunning, OwnProject, same_folder, started_from
from grader.paths import KIT
from grader.release import student_zip

LAB = labfile.load("lab4")
STUDENT = "s1234567"
RESERVED = re.compile(r"(?i)^(con|prn|aux|nul|com\d|lpt\d)(\.|$)|[<>:\"|?*\\]|[. ]$")

LINUX_ONLY = {
    "grader/engine/daemon.py": "the kit's own engine runs on Linux",
    "grader/engine/orphans.py": "the kit's own engine runs on Linux",
    "grader/engine/node_start.py": "sockets of nodes: only where the kit is root on its own engine",
    "grader/grading/jail.py": "entered where the kit is root on Linux",
    "grader/engine/packages.py": "asks with hasattr whether there is such a thing as root",
    "grader/files/private.py": "asks with hasattr whether folders have owners and rights",
}


@pytest.fixture
def windows_like(tmp_path: Path) -> dict[str, str]:
    """An environment without POSIX: no tools on PATH, no modules, no UTF-8 on the terminal."""
    for name in ("sitecustomize", "tools", "mein Übungsblatt"):
        (tmp_path / name).mkdir()
    shutil.copyfile(
        Path(__file__).with_name("windows_like.py"), tmp_path / "sitecustomize/sitecustomize.py"
    )
    return {
        "PATH": str(tmp_path / "tools"),
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "sitecustomize"), str(KIT)]),
        "PYTHONIOENCODING": "cp437",
        "DRYDOCK_TEST_KIT": str(KIT),
        "DRYDOCK_HOME": str(tmp_path / "mein Übungsblatt" / "data"),
        "DOCKER_HOST": "tcp://127.0.0.1:1",
        "HOME": str(tmp_path),
    }


def run(environment: dict[str, str], *words: str | Path) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(
        [sys.executable, "-m", "grader", *map(str, words)],
        cwd=KIT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert b"Traceback" not in done.stdout + done.stderr, done.stderr.decode("cp437")
    return done


def test_the_simulation_lacks_what_windows_lacks(windows_like: dict[str, str]) -> None:
    code = "import os, signal, sys; print(hasattr(os, 'fork'), hasattr(signal, 'SIGKILL'))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=windows_like, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]
    assert shutil.which("sh", path=windows_like["PATH"]) is None


def test_a_students_commands_need_no_posix(windows_like: dict[str, str], tmp_path: Path) -> None:
    place = tmp_path / "mein Übungsblatt"
    workspace, out = place / "lab 4", place / "Ergebnis"
    who = ["--student", STUDENT]
    done = run(windows_like, "handout", "lab4", "--out", workspace, *who)
    assert done.returncode == 0, done.stderr
    where = ("--workspace", workspace, "--out", out)
    done = run(windows_like, "check", "lab4", "--target", "local", *where, *who)
    assert done.returncode == 3, done.stderr.decode("cp437")
    found = record.load(out / "record.json")
    assert found is not None
    by_outcome = {c.id: c.outcome for c in found.checks if c.why != "engine"}
    assert by_outcome["compose.counter_file"] == "passed", "files are graded without an engine"
    assert {c.why for c in found.checks} <= {None, "engine", "needs"}, "the grader did not break"
    assert (out / "feedback.html").is_file()
    done = run(windows_like, "submit", "lab4", *where, *who)
    assert done.returncode == 0, done.stderr
    assert zipfile.is_zipfile(out / f"lab4-{STUDENT}.zip")


@pytest.mark.parametrize("command", [*student_zip.COMMANDS, None])
def test_each_command_explains_itself(windows_like: dict[str, str], command: str | None) -> None:
    assert run(windows_like, *filter(None, [command]), "--help").returncode == 0


def test_every_module_of_the_students_can_be_imported(windows_like: dict[str, str]) -> None:
    names = sorted(
        ".".join(Path(name).with_suffix("").parts).removesuffix(".__init__")
        for name in student_zip.contents(LAB)
        if name.startswith("grader/") and not name.endswith("__main__.py")
    )
    assert len(names) > 100
    code = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"
    done = subprocess.run(
        [sys.executable, "-c", code, *names],
        env=windows_like,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_nothing_of_the_students_uses_what_posix_alone_has() -> None:
    """Save where it is known to be Linux."""
    posix = re.compile(
        r"\b(os\.(fork|get(e?[ug]id|pgid|groups)|l?chown|killpg|setsid|mkfifo|mknod|symlink|link"
        r"|system|popen|uname|statvfs|sysconf)|signal\.SIG(KILL|HUP|USR\d|CHLD|ALRM)"
        r"|symlink_to|hardlink_to|preexec_fn|shell=True)\b"
    )
    seen = set()
    for name, file in student_zip.contents(LAB).items():
        if not name.endswith(".py") or name == "noxfile.py":
            continue
        code = ast.unparse(ast.parse(file.content))
        found = posix.search(code)
        if found:
            assert name in LINUX_ONLY, f"{name}: {found[0]}"
            seen.add(name)
    assert seen == LINUX_ONLY.keys(), "the list is as long as it has to be"


def test_every_text_file_is_read_and_written_as_utf_8() -> None:
    """What a system takes for granted differs."""
    for name, file in student_zip.contents(LAB).items():
        if not name.startswith(("grader/", "labs/")) or not name.endswith(".py"):
            continue
        for called, node in calls(ast.parse(file.content)):
            # private.write_text writes UTF-8, whatever the system.
            if called.endswith((".read_text", ".write_text")) and called != "private.write_text":
                given = [ast.unparse(argument) for argument in node.args]
                given += [ast.unparse(k.value) for k in node.keywords if k.arg == "encoding"]
                assert "'utf-8'" in given, f"{name}, line {node.lineno}"
            if called == "open":
                raise AssertionError(f"{name}, line {node.lineno}: open")


def test_nothing_in_the_release_is_a_link_or_has_to_be_executable(tmp_path: Path) -> None:
    made = student_zip.make(LAB, tmp_path / "lab4.zip").file
    with zipfile.ZipFile(made) as packed:
        kinds = {info.external_attr >> 28 for info in packed.infolist()}
        assert kinds == {0o10}, "ordinary files"
        # Unpacked where there are no executable bits:
        packed.extractall(tmp_path / "kit")
    for path in (tmp_path / "kit").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
    kit = tmp_path / "kit" / "drydock-lab4"
    done = subprocess.run(
        [sys.executable, "-m", "grader", "handout", "lab4", "--student", STUDENT],
        cwd=kit,
        env={**os.environ, "PYTHONPATH": str(kit)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "lab", [labfile.load(name) for name in labfile.names()], ids=lambda lab: lab.id
)
def test_files_that_are_made_have_names_that_every_system_takes(lab: labs.Lab) -> None:
    made = list(handout.contents(lab, lab.demo_student))
    assert len({name.casefold() for name in made}) == len(made), "no two differ by case only"
    parts = {part for name in made for part in name.split("/")}
    assert [part for part in parts if RESERVED.search(part)] == []
    assert all(part.isascii() for part in parts)


def test_files_with_windows_line_ends_are_graded_alike(
    windows_like: dict[str, str], tmp_path: Path
) -> None:
    workspace, out = tmp_path / "lab 4", tmp_path / "out"
    for exercise in ("compose", "swarm", "rollout"):
        (solution,) = examples.find(LAB, [f"{exercise}/solution"])
        examples.render(LAB, solution, STUDENT, workspace)
    for path in workspace.rglob("*"):
        if path.is_file() and path.suffix != ".png":
            path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    where: list[str | Path] = ["--workspace", workspace, "--out", out, "--student", STUDENT]
    run(windows_like, "check", "lab4", "--target", "local", *where)
    found = record.load(out / "record.json")
    assert found is not None
    graded = {c.id: c.outcome for c in found.checks if c.why is None}
    assert set(graded.values()) == {"passed"}, graded
    assert {"compose.counter_file", "compose.blog_images"} <= graded.keys()
    packed = run(windows_like, "submit", "lab4", *where)
    assert packed.returncode == 0
    assert b"Warning" not in packed.stdout


# Compose on other systems ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "folder"),
    [
        ("/home/ada/lab4/counter", "/home/ada/lab4/counter"),
        ("/home/ada/lab4/counter/", "/home/ada/lab4/counter"),
        ("/home/ada/lab 4/../lab4/counter", "/home/ada/lab4/counter"),
        (r"C:\Users\Ada\lab4\counter", "c:/Users/ada/lab4/counter"),
        ("/mnt/c/Users/Ada/lab4/counter", r"C:\Users\Ada\lab4\counter"),
        ("/run/desktop/mnt/host/c/Users/Ada/counter", r"C:\Users\Ada\counter"),
    ],
)
def test_a_folder_is_known_by_every_name_that_compose_gives_it(told: str, folder: str) -> None:
    assert same_folder(told, Path(folder))


@pytest.mark.parametrize("told", ["", "/home/ada/lab4", "/home/eve/lab4/counter", "C:\\counter"])
def test_another_folder_is_another(told: str) -> None:
    assert not same_folder(told, Path("/home/ada/lab4/counter"))


def test_a_folder_is_known_through_a_link(tmp_path: Path) -> None:
    """As /tmp is one on macOS."""
    (tmp_path / "real" / "counter").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert same_folder(str(tmp_path / "real/counter"), tmp_path / "link/counter")
    assert same_folder(str(tmp_path / "link/counter"), tmp_path / "real/counter")


def test_a_project_of_an_unknown_folder_is_not_taken() -> None:
    found = [OwnProject("counter", "", {"counter-web-1": "running"}, 0.0)]
    with pytest.raises(NotRunning, match="another folder"):
        started_from(found, Path("/home/ada/counter"), "counter")
