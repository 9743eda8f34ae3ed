"""One batch in a results folder."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from grader.classroom.batch import lock
from grader.errors import KitError

HOLD = """
import sys
from pathlib import Path
from grader.classroom.batch import lock
with lock.hold(Path(sys.argv[1])) as scratch:
    (scratch / "half.txt").write_text("x")
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def refused(folder: Path) -> KitError:
    with pytest.raises(KitError) as told, lock.hold(folder):
        pass
    return told.value


def test_a_second_batch_hears_who_holds_the_folder(tmp_path: Path) -> None:
    with holder(tmp_path / "out") as first:
        with (
            pytest.raises(KitError, match=f"process {first.pid}, since ") as told,
            lock.hold(tmp_path / "out"),
        ):
            pass
        assert told.value.exit_code == 2
        assert (tmp_path / "out/.work/half.txt").exists(), "the first one's files are its own"
        first.communicate("")
    with lock.hold(tmp_path / "out"):
        pass


def test_batches_in_different_folders_do_not_meet(tmp_path: Path) -> None:
    with lock.hold(tmp_path / "a") as one, lock.hold(tmp_path / "b") as other:
        assert one.is_dir()
        assert other.is_dir()
        assert not one.samefile(other)


def test_a_folder_in_which_nothing_came_to_be_is_gone_again(tmp_path: Path) -> None:
    with pytest.raises(KitError), lock.hold(tmp_path / "new" / "out"):
        raise KitError("The roster cannot be read.")
    assert not (tmp_path / "new" / "out").exists()


def test_what_a_killed_batch_left_is_tidied_up(tmp_path: Path) -> None:
    first = holder(tmp_path)
    first.kill()
    first.communicate()
    records = tmp_path / "records"
    records.mkdir()
    (records / "s1.json").write_text("{}")
    (records / ".s2.json.x1y2").write_text("{")
    with lock.hold(tmp_path) as scratch:
        assert list(scratch.iterdir()) == []
        assert [file.name for file in records.iterdir()] == ["s1.json"]
    assert not scratch.exists()
    assert sorted(file.name for file in tmp_path.iterdir() if file.name != ".lock") == ["records"]


def test_what_a_killed_batch_is_still_writing_does_not_stop_the_next(tmp_path: Path) -> None:
    ended = threading.Event()

    def straggler() -> None:
        number = 0
        while not ended.is_set():
            with contextlib.suppress(OSError):
                (tmp_path / ".work/left").mkdir(parents=True, exist_ok=True)
                (tmp_path / f".work/left/{number}.txt").write_text("half")
            # Few names: a disk that is busy makes files faster than it removes them.
            number = (number + 1) % 20

    writes = threading.Thread(target=straggler)
    writes.start()
    try:
        for _ in range(100):
            with lock.hold(tmp_path) as scratch:
                (scratch / "own.txt").write_text("mine")
    finally:
        ended.set()
        writes.join()
    with lock.hold(tmp_path) as scratch:
        assert list(scratch.iterdir()) == []
    assert not scratch.exists()


def test_a_file_in_the_folders_place_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with (
        pytest.raises(KitError, match="Results cannot be written here") as told,
        lock.hold(tmp_path / "out"),
    ):
        pass
    assert "--out" in (told.value.remedy or "")
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere"
)
def test_a_folder_that_may_not_be_written_to_is_a_clear_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with (
        pytest.raises(KitError, match="Results cannot be written here"),
        lock.hold(tmp_path / "out"),
    ):
        pass
