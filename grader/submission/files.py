"""What a student hands in: the files of an exercise's folders, copied before they are graded."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from grader.errors import KitError
from grader.files.submitted_path import read_below

MAX_FILES = 2_000
MAX_BYTES = 50_000_000
MAX_ENTRIES = 20_000
MAX_DEPTH = 60
"""Links and the like count as entries, too; they are named, and not copied."""

IGNORED = frozenset({".git", ".venv", "node_modules", "__pycache__", ".ipynb_checkpoints"})
"""Names that tools leave behind; no exercise is about them."""


@dataclass(frozen=True)
class Submission:
    """Files by path relative to the workspace (with `/`), and what was left out and why."""

    workspace: Path
    files: dict[str, str] = field(default_factory=dict)
    """SHA-256 and executable bit of each file."""
    left_out: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 over names and contents: equal for equal files, on every platform."""
        text = json.dumps([sorted(self.files.items()), sorted(self.left_out)])
        return hashlib.sha256(text.encode()).hexdigest()

    def copy(self, dest: Path) -> None:
        """Copy the files to `dest`; links, devices and what is not listed stay behind."""
        left = MAX_BYTES
        for name, known in self.files.items():
            copied = dest / name
            copied.parent.mkdir(parents=True, exist_ok=True)
            try:
                content = read_below(self.workspace, PurePosixPath(name), left)
                if len(content) > left:
                    raise _too_much(self.workspace)
                left -= len(content)
                copied.write_bytes(content)
                # Windows knows no such thing: there every file may be run.
                copied.chmod(0o755 if os.name == "nt" or known.endswith("x") else 0o644)
            except OSError as error:
                raise KitError(
                    f"This file cannot be copied: {error.strerror or error}.",
                    where=str(self.workspace / name),
                    remedy="Save your files and run the check again.",
                ) from None


def read(workspace: Path, folders: Sequence[str]) -> Submission:
    """The regular files under `folders` of the workspace; KitError where they are too many."""
    files: dict[str, str] = {}
    left_out: list[str] = []
    left = MAX_BYTES
    for folder in folders:
        place = workspace / folder
        for count, path in enumerate(_walk(place), start=1):
            name = path.relative_to(workspace).as_posix()
            found = path.lstat()
            if count > MAX_ENTRIES or len(files) >= MAX_FILES:
                raise _too_much(place)
            if not stat.S_ISREG(found.st_mode):
                left_out.append(f"{name}: not an ordinary file")
                continue
            if found.st_size > left:
                raise _too_much(place)
            try:
                content = read_below(workspace, PurePosixPath(name), left)
            except OSError as error:
                left_out.append(f"{name}: cannot be read ({error.strerror or error})")
                continue
            if len(content) > left:
                raise _too_much(place)
            left -= len(content)
            executable = "x" if found.st_mode & stat.S_IXUSR else "-"
            files[name] = hashlib.sha256(content).hexdigest() + executable
    return Submission(workspace, files, tuple(left_out))


def _too_much(place: Path) -> KitError:
    return KitError(
        f"The folder is too large: more than {MAX_BYTES // 1_000_000} MB or {MAX_FILES} files.",
        where=str(place),
        remedy="Move data and tools that are not part of the exercise elsewhere.",
    )


def _walk(folder: Path, depth: int = 0) -> Iterator[Path]:
    """Everything below a folder that is not a folder itself, in a stable order.

    KitError where a folder holds more than is looked at, or folders are too deep in one another.
    """
    if folder.is_symlink() or not folder.is_dir():
        if folder.is_symlink() or folder.exists():
            yield folder
        return
    if depth > MAX_DEPTH:
        raise KitError(
            f"Folders are nested more than {MAX_DEPTH} levels deep.",
            where=f"{str(folder)[:200]}…",
            remedy="Move them up, or move what is not part of the exercise elsewhere.",
        )
    entries = list(itertools.islice(folder.iterdir(), MAX_ENTRIES + 1))
    if len(entries) > MAX_ENTRIES:
        raise _too_much(folder)
    for path in sorted(entries, key=lambda entry: entry.name):
        if path.name in IGNORED:
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path, depth + 1)
        else:
            yield path
