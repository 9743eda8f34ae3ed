"""Zip files that are the same, byte for byte, whenever they are made of the same files.

Names, contents and executable bits decide their bytes, and nothing else: nothing is compressed,
since compressors differ, all times are the same, and the order is the names'.
"""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Packed:
    """A file to be packed."""

    content: bytes
    executable: bool = False


def executable(path: Path, content: bytes) -> bool:
    """Whether a file is a program: by its rights, or by its first line where there are none."""
    if os.name == "nt":
        return content.startswith(b"#!")
    return bool(path.stat().st_mode & stat.S_IXUSR)


def write(files: Mapping[str, Packed], dest: Path, first: tuple[str, bytes] | None = None) -> None:
    """Write `files` (by path with /) to a new zip file `dest`, after the entry `first`."""
    with zipfile.ZipFile(dest, "x", zipfile.ZIP_STORED) as packed:
        if first:
            packed.writestr(_entry(first[0], False), first[1])
        for name, file in sorted(files.items()):
            packed.writestr(_entry(name, file.executable), file.content)


def _entry(path: str, executable: bool) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(path, _TIME)
    entry.create_system = 3
    entry.create_version = entry.extract_version = 20
    entry.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
    return entry
