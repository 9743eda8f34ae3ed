"""What a student hands in: the files of an exercise's folders, copied before they are graded."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from grader.errors import KitError

MAX_FILES = 2_000
MAX_BYTES = 50_000_000

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
        for name in self.files:
            source, copied = self.workspace / name, dest / name
            copied.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(source, copied, follow_symlinks=False)
                copied.chmod(0o755 if os.access(source, os.X_OK) else 0o644)
            except OSError as error:
                raise KitError(
                    f"This file cannot be copied: {error.strerror}.",
                    where=str(source),
                    remedy="Save your files and run the check again.",
                ) from None


def read(workspace: Path, folders: Sequence[str]) -> Submission:
    """The regular files under `folders` of the workspace; KitError where they are too many."""
    files: dict[str, str] = {}
    left_out: list[str] = []
    total = 0
    for folder in folders:
        for path in _walk(workspace / folder):
            name = path.relative_to(workspace).as_posix()
            found = path.lstat()
            if not stat.S_ISREG(found.st_mode):
                left_out.append(f"{name}: not an ordinary file")
                continue
            total += found.st_size
            if total > MAX_BYTES or len(files) >= MAX_FILES:
                raise KitError(
                    f"There is too much in it: more than {MAX_BYTES // 1_000_000} MB"
                    f" or {MAX_FILES} files.",
                    where=str(workspace / folder),
                    remedy="Move data and tools that do not belong to the exercise elsewhere.",
                )
            try:
                content = path.read_bytes()
            except OSError as error:
                left_out.append(f"{name}: cannot be read ({error.strerror})")
                continue
            executable = "x" if found.st_mode & stat.S_IXUSR else "-"
            files[name] = hashlib.sha256(content).hexdigest() + executable
    return Submission(workspace, files, tuple(left_out))


def _walk(folder: Path) -> Iterator[Path]:
    """Everything below a folder that is not a folder itself, in a stable order."""
    if folder.is_symlink() or not folder.is_dir():
        if folder.is_symlink() or folder.exists():
            yield folder
        return
    for path in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if path.name in IGNORED:
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)
        else:
            yield path
