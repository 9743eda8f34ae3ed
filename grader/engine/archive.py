"""Files for a node: an uncompressed tar with regular files and folders only."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from grader.errors import KitError

IN_MEMORY = 8 * 1024 * 1024


@dataclass(frozen=True)
class Entry:
    """A regular file of `size` bytes, or a folder (size None). `mode` has rwx bits only."""

    path: str
    mode: int
    mtime: float
    size: int | None

    def __post_init__(self) -> None:
        well = isinstance(self.path, str) and isinstance(self.mode, int)
        sized = self.size is None or (isinstance(self.size, int) and self.size >= 0)
        if not well or not sized or not isinstance(self.mtime, (int, float)):
            raise TypeError("no entry")
        if any(part in ("", ".", "..") for part in self.path.split("/")) or "\0" in self.path:
            raise ValueError(f"{self.path!r} is not a relative path inside the folder.")


def entry_of(member: tarfile.TarInfo) -> tuple[str, int, float, int | None]:
    """The Entry's fields for a member that `pack` made."""
    return member.name, member.mode, member.mtime, member.size if member.isreg() else None


def pack_entries(entries: Sequence[Entry], content: IO[bytes]) -> IO[bytes]:
    """Like `pack`, but the files' content follows separately. Raises OSError if it ends early."""
    file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 (the caller closes)
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry in entries:
            member = tarfile.TarInfo(entry.path)
            member.type = tarfile.DIRTYPE if entry.size is None else tarfile.REGTYPE
            member.mode, member.mtime = entry.mode & 0o777, entry.mtime
            member.size = entry.size or 0
            tar.addfile(member, content if member.size else None)
    file.seek(0)
    return file


def pack(source: Path | Mapping[str, bytes]) -> IO[bytes]:
    """The tar, to be read from its beginning; everything is owned by root, modes are cut to rwx
    bits.

    From a folder it takes regular files and folders, without links, devices and the like. It also
    accepts a mapping {relative path: content}. Raises KitError for a path that leads outside.
    """
    file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 (the caller closes)
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        if isinstance(source, Path):
            _pack_folder(tar, source)
        else:
            _pack_mapping(tar, source)
    file.seek(0)
    return file


def _pack_folder(tar: tarfile.TarFile, source: Path) -> None:
    for folder, names, files in os.walk(source, followlinks=False):
        here = Path(folder)
        names[:] = sorted(name for name in names if not (here / name).is_symlink())
        for name in names:
            path = here / name
            found = path.stat()
            tar.addfile(_member(path.relative_to(source), found, 0, True))
        for name in sorted(files):
            path = here / name
            found = path.lstat()
            if not stat.S_ISREG(found.st_mode):
                continue
            with path.open("rb") as content:
                size = os.fstat(content.fileno()).st_size
                tar.addfile(_member(path.relative_to(source), found, size), content)


def _pack_mapping(tar: tarfile.TarFile, source: Mapping[str, bytes]) -> None:
    made: set[PurePosixPath] = set()
    for name, content in sorted(source.items()):
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise KitError(f"{name!r} is not a relative path inside the folder.")
        for parent in reversed(path.parents[:-1]):
            if parent not in made:
                made.add(parent)
                tar.addfile(_member(parent, None, 0, True))
        tar.addfile(_member(path, None, len(content)), io.BytesIO(content))


def _member(
    path: Path | PurePosixPath, found: os.stat_result | None, size: int, folder: bool = False
) -> tarfile.TarInfo:
    """`found` is the file's status on disk, None for generated content."""
    member = tarfile.TarInfo(path.as_posix())
    member.type = tarfile.DIRTYPE if folder else tarfile.REGTYPE
    least = 0o755 if folder else 0o644
    # Windows knows no execute bit and a student's umask may forbid root's own services.
    member.mode = least | (found.st_mode & 0o777 if found is not None else 0)
    member.mtime = found.st_mtime if found is not None else time.time()
    member.size = size
    return member
