"""`drydock.json`: the manifest of an archive made by `submit`.

It depends on the files, the lab and the student and on nothing else: no time, no points, no
version of the kit. So the same files make the same archive, whenever and wherever that is done.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from grader.errors import Refused
from grader.files.submitted_path import checked, read_below
from grader.submission.archives import members
from grader.submission.archives.members import Member

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
        """Paths of files that are not as they were when the archive was made.

        `folder` is one of ours. Names of the manifest are held against those of the files there:
        none of them is ever a path.
        """
        there = {
            member.name: member
            for member in members.of_folder(folder, lambda _name: False)
            if member.kind == "file"
        }
        return [
            name
            for name, known in sorted(self.files.items())
            if name not in there or _digest(there[name]) != known
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
        name: value for name, value in files.items() if isinstance(value, str) and _is_plain(name)
    }
    return Manifest(lab, student, plain)


def read(folder: Path) -> Manifest | None:
    """The manifest that lies in a folder, if there is one that can be read."""
    try:
        raw = read_below(folder, PurePosixPath(NAME), MAX_BYTES)
    except OSError:
        return None
    return None if len(raw) > MAX_BYTES else from_json(raw)


def _is_plain(name: str) -> bool:
    """Whether a name is one that `submit` writes: inside, and written in one way only."""
    try:
        return name != "." and checked(name, NAME).as_posix() == name
    except Refused:
        return False


def _digest(member: Member) -> str:
    known = hashlib.sha256()
    with member.open() as content:
        while chunk := content.read(1_000_000):
            known.update(chunk)
    return known.hexdigest()
