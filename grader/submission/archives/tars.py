"""Tar archives, packed or not, read forwards only with the standard library."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from grader.submission.archives.members import EPOCH, Content, Kind, Member
from grader.submission.archives.names import NotUnpacked

MAX_HEADER = 256 * 1024
MAX_XZ_MEMORY = 128 * 1024 * 1024
"""Bytes that a header may ask us to hold in memory."""


class _Counted:
    """A stream for tarfile that ends with a refusal once more than `most` bytes were read."""

    def __init__(self, raw: Any, most: int, name: str) -> None:
        self.raw, self.left, self.name = raw, most, name

    def read(self, size: int) -> bytes:
        found: bytes = self.raw.read(size)
        self.left -= len(found)
        if self.left < 0:
            raise NotUnpacked(
                "The unpacked archive is too large.",
                where=self.name,
                remedy="Leave out data and tools that do not belong to the exercises.",
            )
        return found


class _Xz:
    """An xz file for reading, with a limit on the memory that its header may ask for."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("rb")
        self.xz = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_XZ_MEMORY)

    def read(self, size: int) -> bytes:
        found = b""
        while not found and not self.xz.eof:
            data = self.file.read(16 * 1024) if self.xz.needs_input else b""
            if not data and self.xz.needs_input:
                raise EOFError("the file ends too early")
            found = self.xz.decompress(data, size)
        return found

    def __enter__(self) -> _Xz:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


class _Whole:
    """A member's content, which must be as long as its header says: tarfile does not mind."""

    def __init__(self, raw: Any, size: int) -> None:
        self.raw, self.left = raw, size

    def read(self, size: int) -> bytes:
        found: bytes = self.raw.read(size)
        self.left -= len(found)
        if not found and self.left:
            raise EOFError("the file ends too early")
        return found

    def __enter__(self) -> _Whole:
        return self

    def __exit__(self, *_: object) -> None:
        self.raw.close()


class _Header(tarfile.TarInfo):
    """A tar header that may not ask for much memory, nor for less than none.

    Nor may an archive just stop: it ends with blocks of zeros, and anything else that is no
    header is damage, which tarfile would take for the end.
    """

    @classmethod
    def frombuf(cls, buf: Any, encoding: Any, errors: Any) -> Any:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from None

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        if self.size < 0:
            raise tarfile.ReadError("a size below zero")
        extended = self.type in (
            tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK,
            tarfile.XHDTYPE,
            tarfile.XGLTYPE,
            tarfile.SOLARIS_XHDTYPE,
        )
        if extended and self.size > MAX_HEADER:
            raise tarfile.ReadError("a header of unreasonable size")
        return super()._proc_member(archive)  # type: ignore[misc]


def read(path: Path, kind: str, max_bytes: int) -> Iterator[Member]:
    openers: dict[str, Callable[[Path], Any]] = {
        "gz": gzip.open,
        "bz2": bz2.open,
        "xz": _Xz,
        "tar": lambda p: p.open("rb"),
    }
    with openers[kind](path) as raw:
        counted: Any = _Counted(raw, max_bytes, path.name)
        # As a stream: it can only go forward, so no header leads it round in a circle.
        with tarfile.open(
            fileobj=counted, mode="r|", errors="surrogateescape", tarinfo=_Header
        ) as archive:
            while (info := archive.next()) is not None:
                yield _tar_member(archive, info, path)
                # What was seen is not needed again; headers alone can be a gigabyte.
                archive.members.clear()  # type: ignore[attr-defined]


def _tar_member(archive: tarfile.TarFile, info: tarfile.TarInfo, path: Path) -> Member:
    if info.issparse():
        raise NotUnpacked(
            "The archive has a sparse file (a file with holes).",
            where=path.name,
            remedy="Make it again without tar's option --sparse.",
        )
    kind: Kind = "special"
    if info.isreg():
        kind = "file"
    elif info.isdir():
        kind = "folder"
    elif info.issym() or info.islnk():
        kind = "link"

    def content() -> Content:
        found = archive.extractfile(info)
        assert found is not None
        return _Whole(found, info.size)

    return Member(info.name, kind, bool(info.mode & 0o100), _tar_time(info.mtime), content)


def _tar_time(seconds: float) -> datetime | None:
    try:
        found = datetime.fromtimestamp(seconds)
    except (ValueError, OverflowError, OSError):
        return None
    return found if found.year > EPOCH else None
