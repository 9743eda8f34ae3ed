"""Unpacking what students hand in. All writing is done here: whole, or nothing at all.

Ordinary files and folders only, their owner's alone. Links, devices and pipes stay out and are
named; junk of tools and systems stays out. A path that leads out, names that are one on some
systems, and too much of anything are refused; limits count the bytes that were really unpacked.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from grader.files import private
from grader.submission.archives import members, names, readers
from grader.submission.archives.members import AGAIN, Member
from grader.submission.archives.names import NotUnpacked
from grader.submission.ignored import is_junk

CHUNK = 64 * 1024
_LESS = "Leave out data and tools that do not belong to the exercises."


@dataclass(frozen=True)
class Limits:
    """What may be unpacked: numbers of entries and files, bytes, and bytes per packed byte.

    The ratio counts from `ratio_from` bytes on: a small file of zeros packs well, too.
    """

    entries: int = 50_000
    files: int = 8_000
    file_bytes: int = 50_000_000
    total_bytes: int = 200_000_000
    read_bytes: int = 1_000_000_000
    listing_bytes: int = 8_000_000
    ratio: int = 200
    ratio_from: int = 10_000_000


SUBMISSION = Limits()


@dataclass
class SafeWriter:
    """A folder being filled. `take` writes one member, or raises NotUnpacked.

    `packed` is the archive's size in bytes (0: not packed), `others` are the bytes and files
    that were unpacked before, for the same limits. `left_out` are sentences, `newest`
    is the latest time that a file in it says of itself.
    """

    folder: Path
    limits: Limits = SUBMISSION
    packed: int = 0
    others: tuple[int, int] = (0, 0)
    files: int = 0
    bytes: int = 0
    entries: int = 0
    left_out: list[str] = field(default_factory=list)
    newest: datetime | None = None
    _known: dict[tuple[str, ...], tuple[tuple[str, ...], bool]] = field(default_factory=dict)

    def take(self, member: Member, strip: int = 0) -> None:
        """Write a member without the first `strip` names of its path."""
        self.entries += 1
        if self.entries > self.limits.entries:
            raise NotUnpacked(
                f"There are more than {self.limits.entries} files and folders in it.", remedy=_LESS
            )
        path = names.parts(member.name)[strip:]
        if not path or any(is_junk(name) for name in path):
            return
        names.check(path)
        path = names.composed(path)
        if member.kind in ("link", "special"):
            what = "a link" if member.kind == "link" else "not an ordinary file"
            self.left_out.append(f"{names.shown('/'.join(path))} was left out: it is {what}.")
            self._note(path, folder=False)
        elif member.kind == "folder":
            self._note(path, folder=True)
            self._make(path)
        else:
            self._note(path, folder=False)
            self._make(path[:-1])
            self._write(member, self.folder.joinpath(*path), "/".join(path))

    def _make(self, path: tuple[str, ...]) -> None:
        try:
            private.folder(self.folder.joinpath(*path))
        except (FileExistsError, NotADirectoryError):
            raise _twice(path) from None

    def _note(self, path: tuple[str, ...], *, folder: bool) -> None:
        """Remember a path and the folders it is in; NotUnpacked where they clash."""
        for length in range(1, len(path) + 1):
            part = path[:length]
            as_folder = folder or length < len(path)
            known = names.key(part)
            if known not in self._known:
                self._known[known] = (part, as_folder)
                continue
            spelled, was_folder = self._known[known]
            if spelled != part:
                raise NotUnpacked(
                    "Two names differ only in upper and lower case or in how accents are written:"
                    f" {names.shown('/'.join(spelled))} and {names.shown('/'.join(part))}.",
                    remedy="Rename one of them: on Windows and macOS they are the same file.",
                )
            if was_folder != as_folder:
                raise NotUnpacked(
                    "One name is both a file and a folder.",
                    where=names.shown("/".join(part)),
                    remedy=AGAIN,
                )
            if not as_folder:
                raise _twice(part)

    def _write(self, member: Member, path: Path, name: str) -> None:
        self.files += 1
        if self.files + self.others[1] > self.limits.files:
            raise NotUnpacked(f"There are more than {self.limits.files} files in it.", remedy=_LESS)
        size = 0
        executable = member.executable
        with member.open() as source, self._new(path, name) as copied:
            while chunk := source.read(CHUNK):
                if executable is None:
                    executable = chunk.startswith(b"#!")
                size += len(chunk)
                self.bytes += len(chunk)
                self._measure(size, name)
                copied.write(chunk)
        path.chmod(private.FOLDER if executable else private.FILE)
        if member.modified and (self.newest is None or member.modified > self.newest):
            self.newest = member.modified

    def _new(self, path: Path, name: str) -> BinaryIO:
        try:
            return private.create(path)
        except FileExistsError:
            # Some systems know a file by other names, too (COMPOS~1.YAM).
            raise _twice((name,)) from None

    def _measure(self, size: int, name: str) -> None:
        limits = self.limits
        if size > limits.file_bytes:
            raise NotUnpacked(
                f"A file is larger than {limits.file_bytes // 1_000_000} MB.",
                where=names.shown(name),
                remedy=_LESS,
            )
        if self.bytes + self.others[0] > limits.total_bytes:
            raise NotUnpacked(
                f"It is more than {limits.total_bytes // 1_000_000} MB unpacked.", remedy=_LESS
            )
        if self.packed and self.bytes > max(limits.ratio_from, limits.ratio * self.packed):
            raise NotUnpacked(
                f"It unpacks to more than {limits.ratio} times its size, which is too much for a "
                f"submission.",
                where=names.shown(name),
                remedy=_LESS,
            )


def _twice(path: tuple[str, ...]) -> NotUnpacked:
    return NotUnpacked("One file is in it twice.", where=names.shown("/".join(path)), remedy=AGAIN)


def unpack(
    archive: Path, dest: Path, limits: Limits = SUBMISSION, others: tuple[int, int] = (0, 0)
) -> SafeWriter:
    """Unpack an archive into the new folder `dest`; NotUnpacked leaves nothing behind."""
    found = readers.members(archive, max_listing=limits.listing_bytes, max_bytes=limits.read_bytes)
    return fill(dest, found, limits, archive.stat().st_size, others)


def copy(folder: Path, dest: Path, limits: Limits = SUBMISSION) -> SafeWriter:
    """Copy a folder's ordinary files into the new folder `dest`, by the same rules."""
    return fill(dest, members.of_folder(folder, is_junk), limits)


def fill(
    dest: Path,
    found: Iterable[Member],
    limits: Limits,
    packed: int = 0,
    others: tuple[int, int] = (0, 0),
) -> SafeWriter:
    """Write members into a temporary folder beside `dest`, then give it that name."""
    private.folder(dest.parent)
    temporary = Path(tempfile.mkdtemp(dir=dest.parent, prefix=f".{dest.name[:40]}."))
    try:
        writer = SafeWriter(temporary, limits, packed, others)
        for member in found:
            writer.take(member)
        temporary.rename(dest)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    writer.folder = dest
    return writer


def spread(archive: Path, folder: Path, strip: int, limits: Limits) -> dict[str, SafeWriter | str]:
    """Unpack a class's archive: each of its top-level files and folders by limits of its own.

    `strip` names are taken off each path first, `limits` are the whole archive's. The value is
    what was unpacked, or why it was not: then nothing of it is in `folder`, and a name that may
    not be written here is one like it, with `?` at its end.
    """
    writers: dict[str, SafeWriter | str] = {}
    spelled: dict[tuple[str, ...], str] = {}
    count = 0
    for member in readers.members(
        archive, max_listing=limits.listing_bytes, max_bytes=limits.read_bytes
    ):
        count += 1
        if count > limits.entries:
            raise NotUnpacked(f"There are more than {limits.entries} files in it.")
        path = names.composed(names.parts(member.name))[strip:]
        if not path or is_junk(path[0]) or (len(path) == 1 and member.kind == "folder"):
            continue
        try:
            names.check(path[:1])
        except NotUnpacked as error:
            # Its name is none to look for on a disk, so that another stands for it: one that
            # nothing here can have.
            writers[f"{names.safe(path[0])}?"] = str(error)
            continue
        writer = writers.setdefault(path[0], SafeWriter(folder))
        if isinstance(writer, str):
            continue
        try:
            if spelled.setdefault(names.key(path[:1]), path[0]) != path[0]:
                raise NotUnpacked(
                    "Another name differs only in upper and lower case or in accents.",
                    remedy="Unpack the archive, rename one, and give the folder instead.",
                )
            writer.take(member, strip)
        except NotUnpacked as error:
            writers[path[0]] = str(error)
            if spelled[names.key(path[:1])] == path[0]:
                remove(folder / path[0])
    return writers


def remove(path: Path) -> None:
    """Remove a file or folder, if it is there; a link is not followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
