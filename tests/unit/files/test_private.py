"""Results are their owner's alone from the moment that they are made; a workspace is not."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader import cli, record
from grader.classroom import results
from grader.classroom.batch import lock
from grader.files import private
from tests.unit import made_class, sample_class
from tests.unit.handed_in import Class, mixed
from tests.unit.sample_record import typical

pytestmark = pytest.mark.skipif(os.name != "posix", reason="rights as POSIX has them")


@pytest.fixture(params=[0, 0o022, 0o777], ids=["umask 0", "umask 022", "umask 777"])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def wide(folder: Path) -> list[str]:
    """What of a folder others may read or enter, the folder itself included."""
    return [
        f"{path}: {stat.S_IMODE(path.lstat().st_mode):o}"
        for path in (folder, *sorted(folder.rglob("*")))
        if not path.is_symlink() and stat.S_IMODE(path.lstat().st_mode) & 0o077
    ]


def test_folders_and_files_are_the_owners_alone(tmp_path: Path, umask: int) -> None:
    private.write(tmp_path / "a/b/c.txt", b"content")
    assert wide(tmp_path / "a") == []
    assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "a/b/c.txt").stat().st_mode) == 0o600
    assert private.read(tmp_path / "a/b/c.txt", 100) == b"content"


def test_a_file_is_private_before_anything_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    made = tempfile.mkstemp

    def mkstemp(**more: object) -> tuple[int, str]:
        handle, name = made(**more)  # type: ignore[call-overload]
        seen.append(stat.S_IMODE(os.fstat(handle).st_mode))
        return handle, name

    monkeypatch.setattr(tempfile, "mkstemp", mkstemp)
    private.write_text(tmp_path / "results/page.html", "text")
    assert seen == [0o600]


def test_a_class_is_private_from_unpacking_to_exports(
    tmp_path: Path, umask: int, capsys: pytest.CaptureFixture[str]
) -> None:
    if umask == 0o777:
        pytest.skip("with it not even the test could make its files")
    klass = Class(tmp_path, count=8)
    with lock.hold(klass.out):
        klass.gather(mixed(klass))
        assert wide(klass.out) == []
    sample_class.make(klass.out, size=6)
    folder = str(klass.out)
    assert cli.main(["report", folder]) == 0
    assert cli.main(["marks", folder]) == 0
    for name in ("plain", "gradescope", "junit"):
        assert cli.main(["export", name, folder]) == 0
    assert cli.main(["export", "plain", folder, "--out", str(tmp_path / "x/points.csv")]) == 0
    assert cli.main(["export", "plain", folder, "--anonymous"]) == 0
    assert wide(klass.out) == []
    assert wide(tmp_path / "x") == []
    made = {p.relative_to(klass.out).as_posix() for p in klass.out.rglob("*") if p.is_file()}
    assert made >= {"class.json", "grades.csv", "marks.csv", "answers.html", "class/index.html"}
    capsys.readouterr()


def test_a_programs_bit_is_kept_for_the_owner(tmp_path: Path) -> None:
    klass = Class(tmp_path, count=1)
    klass.all_right(klass.gather(made_class.folder_of_folders(klass.folders, tmp_path / "in")))


def widened(folder: Path) -> Path:
    """As an earlier version of the kit made results."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def test_folders_of_an_earlier_version_are_narrowed(tmp_path: Path) -> None:
    folder = sample_class.make(tmp_path / "results", size=3).folder
    widened(folder)
    results.load(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "records").stat().st_mode) == 0o700


@pytest.mark.parametrize("inside", [[], ["record.json", "feedback.html"]])
def test_a_students_own_results_are_private(tmp_path: Path, inside: list[str]) -> None:
    out = tmp_path / "results"
    out.mkdir()
    for name in inside:
        (out / name).write_text("{}", encoding="utf-8")
    widened(out)
    private.results_folder(out, ["record.json"])
    record.save(typical(), out / "record.json")
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    assert stat.S_IMODE((out / "record.json").stat().st_mode) == 0o600


def test_what_is_not_the_kits_keeps_its_rights(tmp_path: Path) -> None:
    """`--out` may name a home or /tmp: those are not for the kit to close."""
    home, public = tmp_path / "home", tmp_path / "public"
    for folder in (home, public):
        folder.mkdir()
    (home / "letter.txt").write_bytes(b"")
    home.chmod(0o755)
    public.chmod(0o1777)
    for folder in (home, public):
        before = folder.stat().st_mode
        private.results_folder(folder, [results.LIST], results.INNER)
        private.write(folder / "page.html", b"")
        assert folder.stat().st_mode == before
        assert stat.S_IMODE((folder / "page.html").stat().st_mode) == 0o600


def test_a_links_target_keeps_its_rights(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    private.narrow(tmp_path / "link")
    assert stat.S_IMODE((tmp_path / "elsewhere").stat().st_mode) == 0o755


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs two users")
def test_other_peoples_folders_keep_their_rights(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir(mode=0o755)
    os.chown(tmp_path / "theirs", 12345, 12345)
    private.narrow(tmp_path / "theirs")
    assert stat.S_IMODE((tmp_path / "theirs").stat().st_mode) == 0o755


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "page.html").mkdir()
    with pytest.raises(OSError, match="directory"):
        private.write(tmp_path / "page.html", b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no ordinary file"):
        private.read(tmp_path / "pipe", 100)
    (tmp_path / "long").write_bytes(b"x" * 101)
    with pytest.raises(OSError, match="too large"):
        private.read(tmp_path / "long", 100)
