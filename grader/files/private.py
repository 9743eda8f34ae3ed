"""Files about people: folders (0700) and files (0600) that are their owner's alone.

The rights are there from the moment that something is made, whatever the umask. On Windows it is
the user's profile that keeps others out: there nothing is changed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

FOLDER = 0o700
FILE = 0o600


def folder(path: Path) -> None:
    """Make a folder and those above it that are missing; what is there stays as it is. OSError."""
    try:
        path.mkdir(FOLDER)
    except FileExistsError:
        if not path.is_dir():
            raise
        return
    except FileNotFoundError:
        if path.parent == path:
            raise
        folder(path.parent)
        with contextlib.suppress(FileExistsError):
            path.mkdir(FOLDER)
    _set(path, FOLDER)


def write(path: Path, content: bytes, mode: int = FILE) -> None:
    """Write a file so that readers see the old or the new one, never a part. OSError.

    `mode` is for what is no secret: a state that others must read.
    """
    folder(path.parent)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        _set(Path(temporary), mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """The same for text, as UTF-8. OSError."""
    # Half a surrogate pair (from a file name that is not UTF-8) has no UTF-8; as a backslash
    # escape it is at least text, and in JSON the very same character again.
    write(path, text.encode("utf-8", errors="backslashreplace"))


def read(path: Path, most: int) -> bytes:
    """An ordinary file's content. Raises OSError, also for what is no file, or is larger."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is no ordinary file", str(path))
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content


def create(path: Path) -> BinaryIO:
    """A new file to be filled. Raises OSError, FileExistsError where something is."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags, FILE), "wb")


def narrow(path: Path) -> None:
    """Take the rights of others from a folder of our own. Links, others' folders and those that
    are meant for all (the sticky bit, as /tmp has it) stay as they are."""
    if not hasattr(os, "geteuid") or not hasattr(os, "O_NOFOLLOW"):
        return
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            found = os.fstat(handle)
            foreign = found.st_uid != os.geteuid() or found.st_mode & stat.S_ISVTX
            if not foreign and stat.S_IMODE(found.st_mode) & ~FOLDER:
                os.fchmod(handle, FOLDER)
        finally:
            os.close(handle)


def results_folder(path: Path, signs: Collection[str], inner: Collection[str] = ()) -> None:
    """Make a folder for results, or narrow the one that is there; and the folders `inner` in it.

    One that was there is ours if it is empty or holds one of the files `signs`: what a user
    names may also be their home. OSError.
    """
    folder(path)
    there = {entry.name for entry in path.iterdir()}
    if not there or there & set(signs):
        narrow(path)
    for name in inner:
        narrow(path / name)


def _set(path: Path, mode: int) -> None:
    if os.name == "posix":
        path.chmod(mode)
