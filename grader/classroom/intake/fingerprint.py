"""Detects that SUBMISSIONS have not changed since the last time, so nothing is unpacked again."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from grader.files.private import write_text
from grader.grading import submission
from grader.lab.model import Lab

FILE = ".intake.json"


def signature(source: Path, lab: Lab, roster: Path | None, out: Path) -> str:
    """SHA-256 over everything that intake depends on: the submissions, roster, lab and this kit.

    For an archive its content counts, for a folder the names, sizes and times of its files, without
    the results folder `out`, which may be inside.
    """
    known = hashlib.sha256()
    parts = [submission.kit_digest(), str(source.resolve()), str(roster and roster.resolve())]
    known.update(json.dumps(parts).encode())
    for file in [lab.folder / "lab.yaml", roster, None if source.is_dir() else source]:
        if file is not None and file.is_file():
            with file.open("rb") as content:
                while chunk := content.read(1024 * 1024):
                    known.update(chunk)
        known.update(b"\0")
    if source.is_dir():
        skip = out.resolve()
        for folder, folders, files in os.walk(source):
            folders[:] = sorted(f for f in folders if Path(folder, f).resolve() != skip)
            for name in sorted(files):
                found = Path(folder, name).lstat()
                line = (os.path.relpath(folder, source), name, found.st_size, found.st_mtime_ns)
                known.update(repr((*line, found.st_mode)).encode())
            known.update(repr(folders).encode())
    return known.hexdigest()


def before(out: Path) -> str | None:
    """The signature of the last time, None if there is none."""
    try:
        found = json.loads((out / FILE).read_text(encoding="utf-8"))["signature"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return found if isinstance(found, str) else None


def remember(out: Path, signature: str, scratch: Path) -> None:
    """Store a signature. It is first written in the folder `scratch`, beside the files of `out`."""
    about = "What was unpacked last, so that it need not be unpacked again."
    write_text(scratch / FILE, json.dumps({"about": about, "signature": signature}) + "\n")
    (scratch / FILE).replace(out / FILE)


def forget(out: Path) -> None:
    (out / FILE).unlink(missing_ok=True)
