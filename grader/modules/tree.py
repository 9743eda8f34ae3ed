"""The files of a container as plain data, and what changed in them between two looks.

    before = entries(node, machine.id, "/etc/nginx")
    before["/etc/nginx/nginx.conf"].kind  # 'file'
    changes(before, entries(node, machine.id, "/etc/nginx"))
    # ['/etc/nginx/sites-enabled/site has changed (something was appended to it)']

The files are read through the engine as a stream, whether or not the container runs; nothing is
unpacked.
"""

from __future__ import annotations

import difflib
import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from grader.errors import EngineFault
from grader.nodes import commands

if TYPE_CHECKING:
    from grader.nodes.node import Node

MAX_TREE = 200_000_000
"""The limit for bytes of a folder; the rest is left out."""

MAX_ENTRIES = 50_000
"""The limit for files and folders; the rest is left out."""

MAX_KEPT = 64_000_000
"""The limit for stored content of all files together in bytes; the same again for names."""

MAX_HEADER = 100_000
"""Bytes of one file's name or attributes."""

TREE_SECONDS = 300

KEPT = 64_000
"""A file's content is stored up to this many bytes, so that a change in it can be shown."""


@dataclass(frozen=True)
class Entry:
    """A file, link or folder. `digest` is a file's SHA-256, or a link's target.

    `content` is a file's content, None if it is longer than requested.
    """

    kind: str
    mode: int
    owner: str
    digest: str
    content: bytes | None = None


def entries(node: Node, container: str, tree: str, keep: int = KEPT) -> dict[str, Entry]:
    """A file, or a folder and everything under it, by path; empty if it does not exist.

    Raises EngineFault if the engine does not answer.
    """
    from docker.errors import APIError, NotFound

    parent = tree.rstrip("/").rpartition("/")[0]
    try:
        with commands.within(TREE_SECONDS):
            chunks, _ = node.docker.api.get_archive(container, tree)
    except NotFound:
        return {}
    except APIError as error:
        raise EngineFault(f"The engine does not give the files of {tree}: {error}") from error
    source = _Chunks(chunks)
    found: dict[str, Entry] = {}
    kept = 0
    try:
        with tarfile.open(
            fileobj=io.BufferedReader(source, 1_000_000), mode="r|", tarinfo=_Header
        ) as archive:
            for member in islice(archive, MAX_ENTRIES):
                entry = _entry(archive, member, keep if kept < MAX_KEPT else -1)
                found[f"{parent}/{member.name.rstrip('/')}"] = entry
                # The archive has a list of its own of all that came.
                vars(archive)["members"].clear()
                kept += len(entry.content or b"") + len(member.name) + len(entry.digest)
                if kept > 2 * MAX_KEPT:
                    break
    except tarfile.ReadError as error:
        if not source.cut:
            raise EngineFault(f"The engine's archive of {tree} is broken: {error}") from error
    finally:
        chunks.close()
    return found


def changes(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> list[str]:
    """The differences between two looks at the same folders, a sentence each, by path."""
    told = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old is None:
            told.append(f"{path} is new")
        elif new is None:
            told.append(f"{path} is gone")
        elif (old.kind, old.digest) != (new.kind, new.digest):
            told.append(f"{path} has changed{_appended(old, new)}")
        elif (old.mode, old.owner) != (new.mode, new.owner):
            told.append(f"{path} has another owner or other permissions")
    return told


def difference(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> str:
    """The changed text files as a unified diff."""
    lines: list[str] = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old != new and not (old and old.content is None) and not (new and new.content is None):
            lines += difflib.unified_diff(
                _lines(old), _lines(new), f"{path} before", f"{path} after", lineterm=""
            )
    return "\n".join(lines)


def _lines(entry: Entry | None) -> list[str]:
    content = (entry.content if entry else None) or b""
    return content.decode("utf-8", errors="replace").splitlines()


def _appended(old: Entry, new: Entry) -> str:
    if old.content and new.content and new.content.startswith(old.content):
        return " (something was appended to it)"
    return ""


def _entry(archive: tarfile.TarFile, member: tarfile.TarInfo, keep: int) -> Entry:
    owner = f"{member.uid}:{member.gid}"
    if member.isfile():
        file = archive.extractfile(member)
        hashed = hashlib.sha256()
        kept = bytearray()
        while file and (part := file.read(1_000_000)):
            hashed.update(part)
            if member.size <= keep:
                kept += part
        content = bytes(kept) if member.size <= keep else None
        return Entry("file", member.mode, owner, hashed.hexdigest(), content)
    if member.issym() or member.islnk():
        return Entry("link", 0, owner, member.linkname)
    return Entry("folder" if member.isdir() else "other", member.mode, owner, "")


class _Header(tarfile.TarInfo):
    """A tar header that cannot request much memory."""

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        plain = self.isreg() or self.isdir() or self.issym() or self.islnk() or self.isdev()
        if self.size < 0 or (not plain and self.size > MAX_HEADER):
            raise tarfile.ReadError("a header of unreasonable size")
        return super()._proc_member(archive)  # type: ignore[misc]


class _Chunks(io.RawIOBase):
    """An answer's chunks as a file; `cut` is true once it was ended for being too long."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.cut = False
        self._chunks = chunks
        self._rest = memoryview(b"")
        self._taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        target = cast(memoryview, buffer)
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        self._taken += (size := min(len(target), len(self._rest)))
        if self._taken > MAX_TREE:
            self.cut = True
            return 0
        target[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
