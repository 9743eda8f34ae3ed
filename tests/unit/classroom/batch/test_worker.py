"""What goes over the wire between a batch and a worker."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.classroom.batch import worker
from grader.errors import KitError

LIMITS = {"most_bytes": 1000, "most_files": 10}


def test_files_arrive_as_they_are(tmp_path: Path) -> None:
    source, dest = tmp_path / "a", tmp_path / "b"
    (source / "größer als").mkdir(parents=True)
    (source / "größer als/run.sh").write_bytes(b"#!/bin/sh\r\n")
    (source / "größer als/run.sh").chmod(0o755)
    (source / "data.bin").write_bytes(bytes(range(256)))
    names = ["data.bin", "größer als/run.sh"]
    worker.unpack(worker.pack(source, names), dest, **LIMITS)
    for name in names:
        assert (dest / name).read_bytes() == (source / name).read_bytes()
    assert (dest / "größer als/run.sh").stat().st_mode & 0o777 == 0o755
    assert (dest / "data.bin").stat().st_mode & 0o777 == 0o644


def test_the_same_files_are_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    first = worker.pack(tmp_path, ["a"])
    (tmp_path / "a").touch()
    assert worker.pack(tmp_path, ["a"]) == first


def made(change: Callable[[tarfile.TarInfo], None], content: bytes = b"x") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo("file")
        member.size = len(content)
        change(member)
        tar.addfile(member, io.BytesIO(content) if member.isreg() else None)
    return packed.getvalue()


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/tmp/out"])
def test_nothing_is_written_outside(tmp_path: Path, name: str) -> None:
    with pytest.raises(KitError, match="not a file of a submission"):
        worker.unpack(made(lambda m: setattr(m, "name", name)), tmp_path / "in", **LIMITS)
    assert not (tmp_path / "out").exists()


def test_links_are_refused(tmp_path: Path) -> None:
    def link(member: tarfile.TarInfo) -> None:
        member.type, member.linkname, member.size = tarfile.SYMTYPE, "/etc/passwd", 0

    with pytest.raises(KitError, match="not a file of a submission"):
        worker.unpack(made(link), tmp_path, **LIMITS)


def test_too_much_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KitError, match="too large"):
        worker.unpack(made(lambda _m: None, b"x" * 1001), tmp_path, **LIMITS)
    for number in range(11):
        (tmp_path / str(number)).write_bytes(b"")
    many = worker.pack(tmp_path, [str(number) for number in range(11)])
    with pytest.raises(KitError, match="too large"):
        worker.unpack(many, tmp_path / "in", **LIMITS)
