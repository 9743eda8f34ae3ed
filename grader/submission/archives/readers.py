"""Archives as a sequence of members, whatever their format. Nothing is written here."""

from __future__ import annotations

import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from grader.submission.archives import names, tars, zips
from grader.submission.archives.members import AGAIN, Member
from grader.submission.archives.names import NotUnpacked

SUFFIXES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".tbz", ".xz", ".txz")
FOREIGN = (".rar", ".7z", ".zst", ".lz", ".cab", ".dmg", ".iso", ".ace")
"""Endings of archives that are read, and of those that are not."""

ZIP = "zip"
_MAGIC = {b"PK\x03\x04": ZIP, b"PK\x05\x06": ZIP, b"\x1f\x8b": "gz", b"BZh": "bz2"}
_XZ = b"\xfd7zXZ\x00"


def kind_of(path: Path) -> str | None:
    """`zip`, `tar`, `gz`, `bz2` or `xz`, by name and content; None if it is no archive."""
    if path.suffix.lower() not in SUFFIXES:
        return None
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError:
        return None
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    if head.startswith(_XZ):
        return "xz"
    return "tar" if head[257:262] == b"ustar" or path.suffix.lower() == ".tar" else None


def is_archive(path: Path) -> bool:
    """Whether the name is an archive's, be it whole, broken or of a kind that is not read."""
    return path.suffix.lower() in SUFFIXES + FOREIGN and path.is_file()


def members(path: Path, *, max_listing: int, max_bytes: int) -> Iterator[Member]:
    """All entries of an archive in its order; each is to be read before the next is asked for.

    `max_listing` bounds a zip's directory, `max_bytes` what a tar unpacks to, both in bytes.
    NotUnpacked if the archive is broken, encrypted, or not what its name says.
    """
    kind = kind_of(path)
    if kind is None:
        raise NotUnpacked(
            "This is not an archive that can be read.",
            where=path.name,
            remedy="Hand in a .zip (nox -s submit makes one), or a .tar.gz.",
        )
    reader = zips.read(path, max_listing) if kind == ZIP else tars.read(path, kind, max_bytes)
    with explained(path.name):
        for member in reader:
            yield replace(member, open=lambda m=member: _Explained(m.open, path.name))  # type: ignore[misc]


_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    UnicodeError,
    struct.error,
    ArithmeticError,
    ValueError,
    RuntimeError,
)
"""What the standard library's readers say of an archive that is not whole, or made to hurt."""


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn what a reader says of a broken archive into NotUnpacked."""
    try:
        yield
    except (*_BROKEN, OSError) as error:
        # The decompressors say OSError for bad data; those of the disk have a number.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise NotUnpacked(
            "The archive is damaged or not complete.",
            where=f"{name} ({names.shown(str(error) or type(error).__name__)})",
            remedy=AGAIN,
        ) from None


class _Explained:
    """A member's content; what goes wrong while it is read is said as of its archive."""

    def __init__(self, opener: Callable[[], Any], name: str) -> None:
        self.name = name
        with explained(name):
            self.raw = opener()

    def read(self, size: int) -> bytes:
        with explained(self.name):
            found: bytes = self.raw.read(size)
        return found

    def __enter__(self) -> _Explained:
        return self

    def __exit__(self, *_: object) -> None:
        self.raw.__exit__(None, None, None)
