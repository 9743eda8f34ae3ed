"""`drydock.json`: what an archive of `submit` says of itself.

It depends on the files, the lab and the student and on nothing else: no time, no points, no
version of the kit. So the same files make the same archive, whenever and wherever that is done.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAME = "drydock.json"
SCHEMA = 1
MAX_BYTES = 4_000_000


@dataclass(frozen=True)
class Manifest:
    """Whose files, for which lab; `files` is SHA-256 by path (with /)."""

    lab: str
    student: str
    files: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        data = {
            "schema": SCHEMA,
            "about": "What was handed in with nox -s submit, and whose it is.",
            "lab": self.lab,
            "student": self.student,
            "files": dict(sorted(self.files.items())),
        }
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"

    def changed(self, folder: Path) -> list[str]:
        """Paths of files that are not as they were when the archive was made."""
        return [
            name
            for name, known in sorted(self.files.items())
            if not _is(folder.joinpath(*name.split("/")), known)
        ]


def from_json(text: str | bytes) -> Manifest | None:
    """The manifest; None if it is none that this kit can read. Nothing in it is to be trusted."""
    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        return None
    lab, student, files = data.get("lab"), data.get("student"), data.get("files")
    if not isinstance(lab, str) or not isinstance(student, str) or not isinstance(files, dict):
        return None
    plain = {
        name: value
        for name, value in files.items()
        if isinstance(value, str) and ".." not in name.split("/") and not name.startswith("/")
    }
    return Manifest(lab, student, plain)


def read(folder: Path) -> Manifest | None:
    """The manifest that lies in a folder, if there is one that can be read."""
    file = folder / NAME
    try:
        if file.is_symlink() or file.stat().st_size > MAX_BYTES:
            return None
        return from_json(file.read_bytes())
    except OSError:
        return None


def _is(path: Path, known: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == known
    except (OSError, ValueError):
        return False
