"""Writing in a folder that a stranger may have made: below it, by checked names, through no link.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write(Path(folder), "counter/Dockerfile", b"FROM python:3.11")
    ...     Path(folder, "counter", "Dockerfile").read_text()
    'FROM python:3.11'

Each step down is taken from a handle of the folder above, so that no one exchanges one on the
way. Windows holds no folder open: there each step is looked at just before. What the caller
gives as the folder may itself be reached through links; the caller knows it, a stranger does not.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from grader.files import submitted_path

LARGEST = 50_000_000
"""Bytes of a file that is compared with a starter; a larger one is none."""

OTHER = "other"
"""The digest of a file that is too large to be read."""

_HANDLES = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
_LINKS = (errno.ELOOP, errno.ENOTDIR)


@dataclass(frozen=True)
class _Parent:
    """The folder that a file lies in, open where the system can."""

    folder: Path
    handle: int | None

    def at(self, name: str) -> str:
        """What to call a file in it, together with `dir_fd=handle`."""
        return name if self.handle is not None else str(self.folder / name)


def write(folder: Path, name: str, content: bytes) -> None:
    """Write a file whole or not at all, as an ordinary one; the folders it is in are made.

    What stands there is replaced: a link by the file, never what the link leads to. Raises
    OSError, also where a link or a file stands in a folder's place; Refused for an unsafe name.
    """
    path = submitted_path.checked(name, str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    mode = 0o755 if content.startswith(b"#!") else 0o644
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with _parent(folder, path, make=True) as parent:
        temporary = parent.at(f".{path.name[:40]}.{secrets.token_hex(6)}")
        handle = os.open(temporary, flags, mode, dir_fd=parent.handle)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                if hasattr(os, "fchmod"):
                    os.fchmod(file.fileno(), mode)  # whatever the umask
            os.replace(
                temporary,
                parent.at(path.name),
                src_dir_fd=parent.handle,
                dst_dir_fd=parent.handle,
            )
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=parent.handle)
            raise


def digest(folder: Path, name: str) -> str | None:
    """SHA-256 of a file; None where nothing is, `OTHER` for one that is larger than `LARGEST`.

    Raises OSError where a link or something else that is no file stands in its place.
    """
    path = submitted_path.checked(name, str(folder))
    try:
        with _parent(folder, path) as parent:
            found = os.stat(parent.at(path.name), dir_fd=parent.handle, follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, _what(found), str(folder / path))
        known, left = hashlib.sha256(), LARGEST + 1
        with submitted_path.open_below(folder, path) as file:
            while left > 0 and (chunk := file.read(min(left, 1_000_000))):
                known.update(chunk)
                left -= len(chunk)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return known.hexdigest() if left > 0 else OTHER


def exists(folder: Path, name: str) -> bool:
    """Whether something stands there, be it a link that leads nowhere."""
    path = submitted_path.checked(name, str(folder))
    try:
        with _parent(folder, path) as parent:
            os.stat(parent.at(path.name), dir_fd=parent.handle, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def remove(folder: Path, name: str) -> None:
    """Delete a file (of a link, the link); OSError."""
    path = submitted_path.checked(name, str(folder))
    with _parent(folder, path) as parent:
        os.unlink(parent.at(path.name), dir_fd=parent.handle)


def rename(folder: Path, name: str, new: str) -> None:
    """Give a file another name in the same folder, which must be free; OSError."""
    path = submitted_path.checked(name, str(folder))
    with _parent(folder, path) as parent:
        os.rename(
            parent.at(path.name),
            parent.at(submitted_path.checked(new, str(folder)).name),
            src_dir_fd=parent.handle,
            dst_dir_fd=parent.handle,
        )


@contextlib.contextmanager
def _parent(folder: Path, path: PurePosixPath, *, make: bool = False) -> Iterator[_Parent]:
    """The folder below `folder` in which a checked path lies; with `make`, made if need be.

    Raises OSError, FileNotFoundError where there is none.
    """
    if not path.parts:
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(folder))
    place = folder
    if not _HANDLES:
        for part in path.parts[:-1]:
            place = place / part
            if make:
                with contextlib.suppress(FileExistsError):
                    place.mkdir()
            _see_folder(place.lstat(), place)
        yield _Parent(place, None)
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in path.parts[:-1]:
            place = place / part
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, dir_fd=handle)
            try:
                inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
            except OSError as error:
                if error.errno in _LINKS:
                    _see_folder(os.stat(part, dir_fd=handle, follow_symlinks=False), place)
                raise
            os.close(handle)
            handle = inner
        yield _Parent(place, handle)
    finally:
        os.close(handle)


def _see_folder(found: os.stat_result, place: Path) -> None:
    """OSError, in words for a person, where what was found is no folder."""
    if submitted_path.is_link(found) or not stat.S_ISDIR(found.st_mode):
        number = errno.ELOOP if submitted_path.is_link(found) else errno.ENOTDIR
        raise OSError(number, f"{_what(found)}, where a folder belongs", str(place))


def _what(found: os.stat_result) -> str:
    if submitted_path.is_link(found):
        return "it is a link"
    if stat.S_ISDIR(found.st_mode):
        return "it is a folder"
    return "it is a file" if stat.S_ISREG(found.st_mode) else "it is no ordinary file"
