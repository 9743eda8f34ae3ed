"""The kit's own files for the virtual machine: a tar file that is attached as a disk."""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from grader import paths

LEFT_OUT = ("__pycache__", "examples", ".git")
"""Grading does not need solutions."""


def packed(lab: str, checks: Path, templates: Path) -> BinaryIO:
    """An open file without a name that contains the kit and one lab, wherever the lab's folders
    are."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 (the caller's to close)
    with tarfile.open(fileobj=file, mode="w") as tar:
        for path, name in files(lab, checks, templates):
            member = tarfile.TarInfo(name)
            member.size = path.stat().st_size
            member.mode = 0o755 if os.access(path, os.X_OK) else 0o644
            with path.open("rb") as opened:
                tar.addfile(member, opened)
    file.flush()
    file.seek(0)
    return file


def files(lab: str, checks: Path, templates: Path) -> Iterator[tuple[Path, str]]:
    """Each file with its name in the machine. A lab from elsewhere is put beside the kit's own
    labs."""
    tops = {
        "grader": paths.KIT / "grader",
        "templates/images": paths.TEMPLATES / "images",
        "templates/pictures": paths.TEMPLATES / "pictures",
        "templates/guest": paths.TEMPLATES / "guest",
        f"labs/{lab}": checks,
        f"templates/{lab}": templates,
    }
    for name, top in tops.items():
        for place, folders, names in os.walk(top):
            folders[:] = sorted(set(folders) - {*LEFT_OUT})
            for each in sorted(names):
                path = Path(place, each)
                if path.is_file() and not path.is_symlink():
                    yield path, (Path(name) / path.relative_to(top)).as_posix()
