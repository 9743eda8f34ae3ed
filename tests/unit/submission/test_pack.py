"""What a student hands in is the same archive for the same files, and the grader takes it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from grader import paths, record
from grader.classroom.intake.gather import gather
from grader.cli import main
from grader.errors import KitError
from grader.grading import submission as grading
from grader.handout import workspace
from grader.lab import labfile
from grader.lab.model import Lab
from grader.paths import KIT
from grader.submission import files as submission
from grader.submission import manifest
from grader.submission import pack as handin
from grader.submission.archives import unpack
from grader.vetting import compose
from grader.vetting.yamlfile import Refused
from tests.unit import made_class, toy_lab
from tests.unit.submission.archives.test_unpack import written

LAB4 = labfile.load("lab4")
STUDENT = "s1234567"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return toy_lab.make(tmp_path / "kit")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return made_class.write(
        tmp_path / "work",
        {
            "words/words.txt": "hello\n",
            "words/go.sh": "#!/bin/sh\n",
            "numbers/größe.txt": b"\r\n\xff",
            "worksheet.ipynb": "{}",
        },
    )


def pack(lab: Lab, work: Path, tmp_path: Path, out: str = "out") -> handin.HandIn:
    return handin.pack(lab, STUDENT, work, tmp_path / out)


def test_the_archives_bytes_are_these_on_every_platform(
    lab: Lab, work: Path, tmp_path: Path
) -> None:
    made = pack(lab, work, tmp_path)
    known = hashlib.sha256(made.file.read_bytes()).hexdigest()
    assert known == "97ad3b89831cf9b63813e0aecdd4059d3cd699ccdbe88abf7944cf798c81c435"


def test_times_order_and_place_do_not_count(lab: Lab, work: Path, tmp_path: Path) -> None:
    first = pack(lab, work, tmp_path)
    again = tmp_path / "elsewhere"
    again.mkdir()
    for path in sorted(work.rglob("*"), reverse=True):
        if path.is_file():
            copied = again / path.relative_to(work)
            copied.parent.mkdir(exist_ok=True)
            shutil.copy(path, copied)
            os.utime(copied, (time.time() + 99, time.time() + 99))
    made_class.write(again, {"words/.DS_Store": "x", ".venv/bin/python": "x", ".drydock.json": "{"})
    second = pack(lab, again, tmp_path, "out2")
    assert first.file.read_bytes() == second.file.read_bytes()
    assert set(second.junk) == {"words/.DS_Store", ".venv"}


def test_names_contents_and_executable_bits_count(lab: Lab, work: Path, tmp_path: Path) -> None:
    seen = {pack(lab, work, tmp_path).file.read_bytes()}
    (work / "words/words.txt").write_text("bye\n")
    seen.add(pack(lab, work, tmp_path).file.read_bytes())
    (work / "words/words.txt").chmod(0o755)
    seen.add(pack(lab, work, tmp_path).file.read_bytes())
    (work / "words/words.txt").rename(work / "words/other.txt")
    seen.add(pack(lab, work, tmp_path).file.read_bytes())
    assert len(seen) == 4


def test_what_was_packed_before_is_known_again(lab: Lab, work: Path, tmp_path: Path) -> None:
    assert not pack(lab, work, tmp_path).known
    assert pack(lab, work, tmp_path).known
    (work / "words/words.txt").write_text("bye\n")
    assert not pack(lab, work, tmp_path).known
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["toy-s1234567.zip"]


def test_the_manifest_says_whose_and_what_and_nothing_that_changes_by_itself(
    lab: Lab, work: Path, tmp_path: Path
) -> None:
    made = pack(lab, work, tmp_path)
    unpack.unpack(made.file, tmp_path / "again")
    found = manifest.read(tmp_path / "again")
    assert found is not None
    assert (found.lab, found.student) == ("toy", STUDENT)
    assert set(found.files) == set(written(work))
    assert found.changed(tmp_path / "again") == []
    (tmp_path / "again/words/words.txt").write_text("changed")
    assert found.changed(tmp_path / "again") == ["words/words.txt"]


def test_the_grader_takes_it_and_knows_whose_it_is(lab: Lab, work: Path, tmp_path: Path) -> None:
    made = pack(lab, work, tmp_path)
    (tmp_path / "class").mkdir()
    shutil.copy(made.file, tmp_path / "class/submission (2).zip")
    found = gather(tmp_path / "class", lab, tmp_path / "results")
    (entry,) = found.entries
    assert (entry.person.id, entry.refused, entry.remarks) == (STUDENT, None, ())
    there = written(found.submission(STUDENT))
    there.pop(manifest.NAME)
    assert there == written(work)
    for exercise in lab.exercises:
        here = submission.read(work, exercise.folders).digest
        assert submission.read(found.submission(STUDENT), exercise.folders).digest == here


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"words/CON": "x"}, "device"),
        ({"words/a": "1", "Words/b": "2"}, "upper and lower case"),
        ({"words/" + "x" * 220: "1"}, "longer"),
        ({"words/a\nb": "1"}, "cannot be shown"),
    ],
)
def test_what_the_grader_refuses_is_refused_here_in_the_same_words(
    lab: Lab, work: Path, tmp_path: Path, files: dict[str, str], says: str
) -> None:
    made_class.write(work, files)
    with pytest.raises(KitError, match=says) as here:
        pack(lab, work, tmp_path)
    with pytest.raises(KitError) as there:
        unpack.copy(work, tmp_path / "copy")
    assert str(here.value) == str(there.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_too_much_is_refused_in_gradings_words(
    lab: Lab, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submission, "MAX_FILES", 1)
    with pytest.raises(KitError, match="The folder is too large"):
        pack(lab, work, tmp_path)
    assert not (tmp_path / "out").exists()


def test_links_stay_out_and_are_named(lab: Lab, work: Path, tmp_path: Path) -> None:
    (work / "words/link").symlink_to("/etc/passwd")
    assert pack(lab, work, tmp_path).left_out == ("words/link was left out: it is a link.",)


def test_vettings_refusals_are_warnings_in_the_same_words(tmp_path: Path) -> None:
    work = made_class.write(
        tmp_path / "work",
        {
            "counter/compose.yaml": "services:\n  web: {image: evil:1}\n",
            "blog/compose.yaml": "services: {}\n",
            "rollout/stack.yaml": "services:\n  app: {image: nginx:1.22, privileged: true}\n",
        },
    )
    made = handin.pack(LAB4, STUDENT, work, tmp_path / "out")
    with pytest.raises(Refused) as refused:
        compose.read(work / "counter", "counter").refuse_images({"redis:7"})
    assert any(w.startswith(str(refused.value).split(" Did you")[0][:60]) for w in made.warnings)
    assert len(made.warnings) == 3
    assert "rollout/stack.yaml" in made.warnings[2]
    assert "privileged" in made.warnings[2]


@pytest.mark.parametrize("there", ["others", "no archive", "folder", "link", "none of ours"])
def test_what_is_not_the_students_own_is_never_written_over(
    lab: Lab, work: Path, tmp_path: Path, there: str
) -> None:
    file = tmp_path / "out/toy-s1234567.zip"
    file.parent.mkdir()
    if there == "others":
        made = handin.pack(lab, "s7654321", work, tmp_path / "theirs")
        shutil.copy(made.file, file)
    elif there == "no archive":
        file.write_text("my diary")
    elif there == "folder":
        file.mkdir()
    elif there == "link":
        file.symlink_to(tmp_path / "work/words/words.txt")
    else:
        with zipfile.ZipFile(file, "w") as packed:
            packed.writestr("a", "b")
    before = file.read_bytes() if file.is_file() else None
    with pytest.raises(KitError, match="not overwritten"):
        pack(lab, work, tmp_path)
    assert (file.read_bytes() if file.is_file() else None) == before


def test_another_students_workspace_is_refused(tmp_path: Path) -> None:
    workspace.write(LAB4, "s7654321", tmp_path / "work")
    with pytest.raises(KitError, match="belongs to the student s7654321"):
        handin.pack(LAB4, STUDENT, tmp_path / "work", tmp_path / "out")


def test_nothing_to_hand_in_is_said(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(KitError, match="does not exist"):
        handin.pack(lab, STUDENT, tmp_path / "none", tmp_path / "out")
    made_class.write(tmp_path / "work", {"README.md": "x"})
    with pytest.raises(KitError, match="The exercises' folders have no files"):
        handin.pack(lab, STUDENT, tmp_path / "work", tmp_path / "out")


def test_a_folder_that_cannot_be_written_is_a_clear_error(
    lab: Lab, work: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(KitError, match="cannot be written"):
        pack(lab, work, tmp_path, "file/out")


# The command


@pytest.fixture
def kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DRYDOCK_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DRYDOCK_STUDENT", raising=False)
    monkeypatch.setattr(paths, "KIT", tmp_path / "clone")
    return tmp_path / "clone"


def submit(lab: Lab, work: Path, *more: str) -> int:
    return main(["submit", str(lab.folder), "--student", STUDENT, "--workspace", str(work), *more])


def test_the_command_says_where_the_file_is_and_what_is_in_it(
    kit: Path, lab: Lab, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made_class.write(work, {"node_modules/x": "1"})
    assert submit(lab, work) == 0
    said = capsys.readouterr().out
    file = kit / "results/toy/s1234567/toy-s1234567.zip"
    assert f"Hand in this file: {file}" in said
    assert "4 files" in said
    assert "words 2 files, numbers 1 file, 1 file besides" in said
    assert "node_modules" in said
    assert "Nothing in it has been graded" in said
    assert submit(lab, work) == 0
    assert "the file is the same" in capsys.readouterr().out


def test_the_command_says_what_was_graded_last_and_what_has_changed_since(
    kit: Path, lab: Lab, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = kit / "results/toy/s1234567/record.json"
    request = grading.Request(lab, STUDENT, work, file)
    keys = grading.plan(request).keys
    results = tuple(
        record.ExerciseResult(
            e.id,
            e.title,
            keys[e.id],
            "2026-11-24T10:00:00+01:00",
            (record.CheckResult(f"{e.id}.a", e.id, "A.", "passed", 2, e.points),),
        )
        for e in lab.exercises
    )
    when = "2026-11-24T10:00:00+01:00"
    made = record.Record("toy", "A toy", STUDENT, "work", results, "1", started=when, finished=when)
    record.save(made, file)
    submit(lab, work)
    said = capsys.readouterr().out
    assert "Graded last on 2026-11-24 at 10:00: 4 of 5 points." in said
    assert "Changed" not in said
    (work / "words/words.txt").write_text("bye")
    submit(lab, work)
    said = capsys.readouterr().out
    assert "Changed since then, or graded by another version of the kit: words." in said
    assert file.is_file()


def test_grading_again_does_not_change_the_archive(kit: Path, lab: Lab, work: Path) -> None:
    submit(lab, work)
    archive_file = kit / "results/toy/s1234567/toy-s1234567.zip"
    before = archive_file.read_bytes()
    (archive_file.parent / "record.json").write_text("{}")
    submit(lab, work)
    assert archive_file.read_bytes() == before


def test_nobody_hands_in_as_the_demo_student(tmp_path: Path) -> None:
    environment = {**os.environ, "DRYDOCK_HOME": str(tmp_path)}
    environment.pop("DRYDOCK_STUDENT", None)
    done = subprocess.run(
        [sys.executable, "-m", "grader", "submit"],
        cwd=KIT, env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "No student ID was given." in done.stderr
