"""A student's text file, read with care for what can be wrong with it."""

from __future__ import annotations

from pathlib import Path

from grader.checks import fail

MAX_KB = 64
"""A script or a Dockerfile that someone has written is shorter."""


def text_of(folder: Path, name: str) -> str:
    """The file's text. Fails if it is not there (naming what looks like it), empty, or no text."""
    path = folder / name
    there = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    if name not in there or not path.is_file():
        like = [other for other in there if _alike(other) == _alike(name) and other != name]
        fail(
            f"There is no {folder.name}/{name}.",
            expected=f"a file named exactly {name}",
            actual=("files: " + ", ".join(there)) if there else "the folder is not there or empty",
            hint=f"Rename {like[0]!r} to {name!r}."
            if like
            else f"Save it as {folder.name}/{name} in your workspace.",
        )
    with path.open("rb") as file:
        raw = file.read(MAX_KB * 1000 + 1)
    if len(raw) > MAX_KB * 1000:
        fail(
            f"{folder.name}/{name} is longer than {MAX_KB} KB.",
            expected="a short text file",
            actual=f"{path.stat().st_size} bytes",
            hint="Move long parts into another file.",
        )
    if not raw.strip():
        fail(
            f"{folder.name}/{name} is empty.",
            expected="your solution",
            actual="nothing in it",
            hint="Save the file. To get the starter file back, delete the whole folder and run "
            "the kit again.",
        )
    if b"\0" in raw:
        fail(
            f"{folder.name}/{name} is not a plain text file.",
            expected="text in UTF-8",
            actual="UTF-16, or not text",
            hint="In the editor: Save with Encoding, UTF-8. (PowerShell's > writes UTF-16.)",
        )
    return raw.decode("utf-8", errors="replace")


def _alike(name: str) -> str:
    """What is left of a name when its case, blanks and a hidden .txt are not looked at."""
    return "".join(name.lower().split()).removesuffix(".txt").removesuffix(".sh")
