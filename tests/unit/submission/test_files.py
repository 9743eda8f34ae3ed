"""What is taken from a workspace, and what is left where it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from grader.errors import KitError
from grader.submission import files


def put(folder: Path, name: str, content: bytes = b"x") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_only_the_exercises_folders_are_read(tmp_path: Path) -> None:
    put(tmp_path, "blog/compose.yaml")
    put(tmp_path, "counter/app.py")
    put(tmp_path, "notes.txt")
    assert set(files.read(tmp_path, ["blog"]).files) == {"blog/compose.yaml"}


def test_the_digest_follows_names_contents_and_the_executable_bit(tmp_path: Path) -> None:
    file = put(tmp_path, "a/one", b"1")
    digests = [files.read(tmp_path, ["a"]).digest]
    file.write_bytes(b"2")
    digests.append(files.read(tmp_path, ["a"]).digest)
    file.chmod(0o755)
    digests.append(files.read(tmp_path, ["a"]).digest)
    file.rename(file.with_name("two"))
    digests.append(files.read(tmp_path, ["a"]).digest)
    assert len(set(digests)) == 4


def test_the_digest_does_not_follow_times_or_junk(tmp_path: Path) -> None:
    file = put(tmp_path, "a/one")
    before = files.read(tmp_path, ["a"]).digest
    os.utime(file, (1, 1))
    put(tmp_path, "a/__pycache__/one.pyc")
    put(tmp_path, "a/.git/config")
    assert files.read(tmp_path, ["a"]).digest == before


def test_links_stay_behind_and_are_named(tmp_path: Path) -> None:
    secret = put(tmp_path, "secret")
    (tmp_path / "a").mkdir()
    (tmp_path / "a/link").symlink_to(secret)
    (tmp_path / "a/folder").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(tmp_path)
    found = files.read(tmp_path, ["a", "b"])
    assert not found.files
    assert found.left_out == (
        "a/folder: not an ordinary file",
        "a/link: not an ordinary file",
        "b: not an ordinary file",
    )


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    os.mkfifo(tmp_path / "a/pipe")
    assert files.read(tmp_path, ["a"]).left_out == ("a/pipe: not an ordinary file",)


def test_a_missing_folder_is_an_empty_submission(tmp_path: Path) -> None:
    assert files.read(tmp_path, ["nowhere"]).files == {}


def test_too_much_is_refused_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 10)
    put(tmp_path, "a/big", b"x" * 11)
    with pytest.raises(KitError, match="too large") as caught:
        files.read(tmp_path, ["a"])
    assert caught.value.remedy


def test_names_with_spaces_and_umlauts_are_copied(tmp_path: Path) -> None:
    put(tmp_path / "in", "a/größe und mehr.txt", b"moin")
    files.read(tmp_path / "in", ["a"]).copy(tmp_path / "out")
    assert (tmp_path / "out/a/größe und mehr.txt").read_bytes() == b"moin"


def test_a_file_that_vanishes_before_the_copy_is_a_clear_error(tmp_path: Path) -> None:
    file = put(tmp_path / "in", "a/one")
    found = files.read(tmp_path / "in", ["a"])
    file.unlink()
    with pytest.raises(KitError, match="cannot be copied"):
        found.copy(tmp_path / "out")
