"""What lies somewhere, to be held against what lies there afterwards."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

Seen = dict[str, tuple[int, int, int, bytes]]


def snapshot(folder: Path, but: Sequence[Path] = ()) -> Seen:
    """Kind and rights, size, time of change and content of all below a folder; no link followed."""
    seen: Seen = {}
    pending = [folder]
    while pending:
        for entry in os.scandir(pending.pop()):
            path = Path(entry.path)
            if path in but:
                continue
            found = path.lstat()
            content = b""
            if stat.S_ISDIR(found.st_mode):
                pending.append(path)
            elif stat.S_ISLNK(found.st_mode):
                content = os.fsencode(path.readlink())
            elif stat.S_ISREG(found.st_mode) and found.st_size < 1_000_000:
                content = path.read_bytes()
            size = 0 if stat.S_ISDIR(found.st_mode) else found.st_size
            times = (found.st_mode, size, found.st_mtime_ns)
            seen[path.relative_to(folder).as_posix()] = (*times, content)
    return seen
