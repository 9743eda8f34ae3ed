"""A member: one entry of an archive or a folder, before anybody believes a word of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Literal, Protocol

Kind = Literal["file", "folder", "link", "special"]

AGAIN = "Make the archive again and hand it in once more."
EPOCH = 1980
"""Times of this year and before say nothing: programs write them that do not know the time."""


class Content(Protocol):
    """A member's bytes, to be read once."""

    def read(self, size: int, /) -> bytes: ...

    def __enter__(self) -> Content: ...

    def __exit__(self, *_: Any) -> None: ...


@dataclass(frozen=True)
class Member:
    """One entry. `name` is as it stands there; `modified` in local time, None where unknown.

    `executable` is None where the system or program it comes from does not know such a thing:
    then a script is a file that begins with `#!`.
    """

    name: str
    kind: Kind
    executable: bool | None
    modified: datetime | None
    open: Callable[[], Content]


def of_folder(folder: Path, skip: Callable[[str], bool]) -> Iterator[Member]:
    """Everything below a folder; no link is followed, nothing below a skipped name is looked at."""
    pending = [folder]
    while pending:
        for path in sorted(pending.pop().iterdir()):
            member = of_file(path, path.relative_to(folder).as_posix())
            if member.kind == "folder" and not skip(path.name):
                pending.append(path)
            yield member


def of_file(path: Path, name: str) -> Member:
    """What lies at `path`, by another name."""
    found = path.lstat()
    kind: Kind = "special"
    if stat.S_ISDIR(found.st_mode):
        kind = "folder"
    elif stat.S_ISLNK(found.st_mode):
        kind = "link"
    elif stat.S_ISREG(found.st_mode):
        kind = "file"
    modified = datetime.fromtimestamp(found.st_mtime)
    executable = None if os.name == "nt" else bool(found.st_mode & stat.S_IXUSR)
    return Member(name, kind, executable, modified, lambda: _open_plain(path))


def _open_plain(path: Path) -> IO[bytes]:
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    return os.fdopen(handle, "rb")
