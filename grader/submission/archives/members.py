"""A member: one untrusted entry of an archive or a folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Protocol

from grader.files.submitted_path import is_link, open_below

Kind = Literal["file", "folder", "link", "special"]

AGAIN = "Make the archive again and hand it in again."
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
            below = path.relative_to(folder)
            member = _member(path, below.as_posix(), lambda b=below: _open(folder, b))  # type: ignore[misc]
            if member.kind == "folder" and not skip(path.name):
                pending.append(path)
            yield member


def of_file(path: Path, name: str) -> Member:
    """What lies at `path`, by another name."""
    return _member(path, name, lambda: _open(path.parent, Path(path.name)))


def _member(path: Path, name: str, opener: Callable[[], Content]) -> Member:
    found = path.lstat()
    kind: Kind = "special"
    if is_link(found):
        kind = "link"
    elif stat.S_ISDIR(found.st_mode):
        kind = "folder"
    elif stat.S_ISREG(found.st_mode):
        kind = "file"
    modified = datetime.fromtimestamp(found.st_mtime)
    executable = None if os.name == "nt" else bool(found.st_mode & stat.S_IXUSR)
    return Member(name, kind, executable, modified, opener)


def _open(folder: Path, below: Path) -> Content:
    """A file found below a folder, whatever has been put in its place since."""
    return open_below(folder, PurePosixPath(*below.parts))
