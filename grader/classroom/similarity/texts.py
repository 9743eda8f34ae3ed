"""Reads the text files of a submission safely: no links, limited size."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from grader.files.submitted_path import read_below
from grader.handout import pictures, workspace
from grader.submission import files as submission

MAX_FILE = 200_000
MAX_FILES = 500
MAX_TOTAL = 2_000_000
"""Bytes; the rest of a file is not compared."""


@dataclass(frozen=True)
class TextFile:
    """`name` is relative to the submission, with `/`. `lines` have no blanks at their ends and
    only single spaces; empty lines are left out."""

    name: str
    text: str
    lines: tuple[str, ...]

    @property
    def normal(self) -> str:
        return "\n".join(self.lines)


def read(folder: Path) -> list[TextFile]:
    """The submission's text files in a stable order; binary and very large files are left out.

    The lab's pictures are also left out: their coordinates are numbers that could be anyone's
    values.
    """
    files: list[TextFile] = []
    total = 0
    for path, size in _walk(folder):
        if path.is_relative_to(folder / pictures.FOLDER):
            continue
        if len(files) >= MAX_FILES or total + size > MAX_TOTAL:
            break
        try:
            below = PurePosixPath(path.relative_to(folder).as_posix())
            content = read_below(folder, below, MAX_FILE)
        except OSError:
            continue
        total += len(content)
        found = text_file(path.relative_to(folder).as_posix(), content)
        if found is not None:
            files.append(found)
    return files


def text_file(name: str, content: bytes) -> TextFile | None:
    """A file's content as text; None if it is not text."""
    if b"\0" in content or len(content) > MAX_FILE:
        return None
    text = content.decode("utf-8", errors="replace")
    lines = (" ".join(line.split()) for line in text.splitlines())
    return TextFile(name, text, tuple(line for line in lines if line))


def _walk(folder: Path, depth: int = 0) -> Iterator[tuple[Path, int]]:
    """Ordinary files that are small enough; files of tools and of the kit are skipped."""
    if depth > submission.MAX_DEPTH:
        return
    try:
        with os.scandir(folder) as entries:
            some = itertools.islice(entries, submission.MAX_ENTRIES)
            found = sorted(some, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in found:
        if entry.name in submission.IGNORED or entry.name == workspace.STATE:
            continue
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        if stat.S_ISDIR(status.st_mode):
            yield from _walk(Path(entry.path), depth + 1)
        elif stat.S_ISREG(status.st_mode) and status.st_size <= MAX_FILE:
            yield Path(entry.path), status.st_size
