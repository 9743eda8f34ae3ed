"""A new lab: a skeleton that is graded at once, to be changed step by step.

labs/NAME/       lab.yaml, checks/hello/, examples/hello/
templates/NAME/  what its handout is rendered from
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from grader import paths
from grader.errors import KitError

SKELETON = "new-lab"
NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
RESERVED = ("images", "pictures", "release", "reports", SKELETON)
"""Folders of templates that belong to no lab."""


def make(name: str, title: str | None = None, root: Path = paths.KIT) -> list[Path]:
    """Write the skeleton below `root`; its two folders. KitError changes nothing."""
    if not NAME.fullmatch(name) or name in RESERVED:
        raise KitError(
            f"{name!r} cannot be the name of a lab.",
            remedy="Small letters, digits and _, a letter first: lab5, say.",
        )
    folders = {"lab": root / "labs" / name, "handout": root / "templates" / name}
    for folder in folders.values():
        if folder.exists():
            raise KitError(
                "This is there already, and stays as it is.",
                where=str(folder),
                remedy="Take another name.",
            )
    texts = {"LABNAME": name, "LABTITLE": (title or name).replace('"', "'")}
    try:
        for part, folder in folders.items():
            _copy(paths.TEMPLATES / SKELETON / part, folder, texts)
    except OSError as error:
        for folder in folders.values():
            shutil.rmtree(folder, ignore_errors=True)
        raise KitError(
            f"The lab cannot be written: {error.strerror or error}.",
            where=str(error.filename or root),
            remedy="Fix that, or say with --in where labs/ and templates/ are.",
        ) from None
    return list(folders.values())


def _copy(source: Path, dest: Path, texts: dict[str, str]) -> None:
    for path in sorted(source.rglob("*")):
        if path.is_dir() or "__pycache__" in path.parts:
            continue
        text = path.read_text(encoding="utf-8")
        for word, meant in texts.items():
            text = text.replace(word, meant)
        file = dest / path.relative_to(source)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")
