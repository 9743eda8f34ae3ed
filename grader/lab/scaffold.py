"""A new lab: a skeleton with one exercise, which can be graded at once.

The exercise is an image's page, or a runbook of docker commands (PAGE, RUNBOOK).

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
COMMON, PAGE, RUNBOOK = "common", "page", "runbook"
"""Parts of the skeleton: what both kinds of exercise have, and the two kinds."""
NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
RESERVED = ("images", "pictures", "release", "reports", SKELETON)
"""Folders of templates that belong to no lab."""


def make(
    name: str, title: str | None = None, root: Path = paths.KIT, kind: str = PAGE
) -> list[Path]:
    """Write the skeleton of a kind below `root`; returns its two folders.

    Raises KitError, and has changed nothing then.
    """
    if not NAME.fullmatch(name) or name in RESERVED:
        raise KitError(
            f"{name!r} cannot be the name of a lab.",
            remedy="Use small letters, digits and _, with a letter first, such as lab5.",
        )
    folders = {"lab": root / "labs" / name, "handout": root / "templates" / name}
    for folder in folders.values():
        if folder.exists():
            raise KitError(
                "This folder exists already; nothing was changed.",
                where=str(folder),
                remedy="Choose another name.",
            )
    texts = {"LABNAME": name, "LABTITLE": (title or name).replace('"', "'")}
    try:
        for part, folder in folders.items():
            for half in (COMMON, kind):
                _copy(paths.TEMPLATES / SKELETON / half / part, folder, texts)
    except OSError as error:
        for folder in folders.values():
            shutil.rmtree(folder, ignore_errors=True)
        raise KitError(
            f"The lab cannot be written: {error.strerror or error}.",
            where=str(error.filename or root),
            remedy="Fix that, or name the folder of labs/ and templates/ with --in.",
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
