"""Paths that a submission writes: the one place where a stranger's text becomes a path.

    >>> checked("./site/../html", "compose.yaml, line 4")
    PurePosixPath('html')
    >>> checked("../secret", "compose.yaml, line 4")
    Traceback (most recent call last):
        ...
    grader.errors.Refused: compose.yaml, line 4: The path `../secret` leads out of the folder. ...

A checked path is relative, and has no `..`, no `\\`, no drive and no empty part. Files are
opened below a folder step by step, and no step follows a link.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from grader.errors import Refused

MAX_PATH = 1024
"""Characters of a path."""

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://|git@|github\.com/")
_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")

_HERE = "Put what you need beside the file that names it, and write a path that starts there."


def checked(text: str, where: str) -> PurePosixPath:
    """The path, relative to the folder that it counts from; `.` is that folder itself.

    `..` may stand in it as long as the path stays in the folder. Raises Refused for what leads
    out of the folder on any system, and for what systems read in different ways.
    """
    shown = text if len(text) <= 80 else f"{text[:80]}…"
    if _ADDRESS.match(text):
        raise Refused(
            f"`{shown}` is an address, not a folder of yours.",
            where=where,
            remedy="Put what you need beside the compose file; `.` is its folder.",
        )
    if _CONTROL.search(text) or len(text) > MAX_PATH:
        raise Refused(
            f"The path {shown!r} has characters that no path needs, or is too long.",
            where=where,
            remedy="Use letters, digits, `-`, `_`, `.` and `/`.",
        )
    if text.startswith(("/", "\\", "~")) or _DRIVE.match(text):
        raise _leads_out(shown, where)
    if "\\" in text and ".." in text:
        raise Refused(
            f"The path `{shown}` has `\\` and `..`: Windows and Linux read it differently.",
            where=where,
            remedy="Write it with `/` between the names.",
        )
    text = text.replace("\\", "/")  # as on Windows, where its writer has tried it
    parts: list[str] = []
    for part in text.split("/"):
        if part == "..":
            if not parts:
                raise _leads_out(shown, where)
            parts.pop()
        elif _DRIVE.match(part):
            raise _leads_out(shown, where)  # Windows begins a new path with it
        elif part not in ("", "."):
            parts.append(part)
    return PurePosixPath(*parts)


def _leads_out(shown: str, where: str) -> Refused:
    return Refused(f"The path `{shown}` leads out of the folder.", where=where, remedy=_HERE)


def kind_below(folder: Path, path: PurePosixPath) -> str | None:
    """`file` or `folder` for what a checked path names below `folder`; None for anything else.

    Links are something else, also on the way there.
    """
    mode = None
    place = folder
    for part in ("", *path.parts):
        if mode is not None and not stat.S_ISDIR(mode):
            return None
        place = place / part
        try:
            found = os.lstat(place)
        except (OSError, ValueError):
            return None
        if part and is_link(found):
            return None
        mode = found.st_mode
    assert mode is not None
    return "file" if stat.S_ISREG(mode) else "folder" if stat.S_ISDIR(mode) else None


def read_below(folder: Path, path: PurePosixPath, limit: int) -> bytes:
    """Up to `limit` + 1 bytes of the file that a checked path names below `folder`.

    Raises OSError where it is no regular file, or a link stands on the way. A caller that gets
    more than `limit` bytes knows that the file is longer.
    """
    with open_below(folder, path) as file:
        return file.read(limit + 1)


def open_below(folder: Path, path: PurePosixPath) -> BinaryIO:
    """The file that a checked path names below `folder`, for reading; OSError as `read_below`."""
    return os.fdopen(_open_below(folder, path), "rb")


def is_link(found: os.stat_result) -> bool:
    """Whether what `os.lstat` found leads elsewhere: a link, or a junction of Windows."""
    junction = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", None)
    return stat.S_ISLNK(found.st_mode) or (
        junction is not None and getattr(found, "st_reparse_tag", 0) == junction
    )


def _open_below(folder: Path, path: PurePosixPath) -> int:
    """A descriptor of a regular file below `folder`, opened without following any link."""
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise OSError(f"not a path below a folder: {path}")
    if os.open not in os.supports_dir_fd or not hasattr(os, "O_NOFOLLOW"):
        # Windows: no folder can be held open there, so the way is looked at just before.
        if kind_below(folder, path) != "file":
            raise OSError(f"not a regular file: {path}")
        return os.open(folder.joinpath(*path.parts), os.O_RDONLY | getattr(os, "O_BINARY", 0))
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in path.parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
            os.close(handle)
            handle = inner
        if not stat.S_ISREG(os.stat(path.parts[-1], dir_fd=handle, follow_symlinks=False).st_mode):
            # Opening alone can do harm: a device may act, a pipe may wake its other end.
            raise OSError(f"not a regular file: {path}")
        # Without O_NONBLOCK a pipe would keep the reader for ever.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        file = os.open(path.parts[-1], flags, dir_fd=handle)
    finally:
        os.close(handle)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(f"not a regular file: {path}")
    return file
