"""Files on their way into a node: an uncompressed tar, regular files and folders only."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO

from grader.errors import KitError

IN_MEMORY = 8 * 1024 * 1024


def pack(source: Path | Mapping[str, bytes]) -> IO[bytes]:
    """The tar, to be read from its beginning; all owned by root, modes cut to rwx bits.

    Of a folder the regular files and folders; links, devices and the like are left out.
    Of a mapping {relative path: content}. Raises KitError for a path that leads out.
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
    """`found` is what lies on the disk, None for what is made up here."""
    member = tarfile.TarInfo(path.as_posix())
    member.type = tarfile.DIRTYPE if folder else tarfile.REGTYPE
    least = 0o755 if folder else 0o644
    # Windows knows no execute bit and a student's umask may forbid root's own services.
    member.mode = least | (found.st_mode & 0o777 if found is not None else 0)
    member.mtime = found.st_mtime if found is not None else time.time()
    member.size = size
    return member
