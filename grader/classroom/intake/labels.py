"""Reads the names that LMSs give to files and folders in their downloads."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Label:
    """`kind` is `moodle` or `canvas`, `number` its number for the person (Canvas may hide it).

    `name` is the person's name as the LMS writes it, `file` the student's own file name ("" for a
    folder). `text` is true for a text that was typed into the browser instead of a file.
    """

    kind: str
    name: str
    number: str
    file: str = ""
    late: bool = False
    text: bool = False


_MOODLE = re.compile(r"(.*?)_(\d+)_assignsubmission_(file|onlinetext)(?:_(.*))?", re.DOTALL)
_CANVAS = re.compile(
    r"(?:(?P<name>(?!LATE_|anon_)\D[^_]*(?:_[^_\d][^_]*)*?)_)?(?P<late>LATE_)?(?P<id>\d+|anon_[A-Za-z0-9]+)"
    r"_(?:(?P<upload>\d+)_(?P<file>.+)|(?P<text>text|link)\.html)",
    re.DOTALL,
)
_COPY = re.compile(r"-(\d{1,3})(?=\.|$)")


def read(name: str) -> Label | None:
    """The label of a file or folder with this name, None if no LMS made the name.

    >>> read("Ada Lovelace_17_assignsubmission_file_")
    Label(kind='moodle', name='Ada Lovelace', number='17', file='', late=False, text=False)
    >>> read("lovelaceada_LATE_12345_67890_lab4-1.zip").file
    'lab4-1.zip'
    """
    moodle = _MOODLE.fullmatch(name)
    if moodle:
        typed = moodle[3] == "onlinetext"
        return Label("moodle", moodle[1].replace("_", " "), moodle[2], moodle[4] or "", text=typed)
    canvas = _CANVAS.fullmatch(name)
    if canvas and (canvas["name"] or canvas["id"].startswith("anon_")):
        return Label(
            "canvas",
            canvas["name"] or "",
            canvas["id"],
            canvas["file"] or "",
            late=bool(canvas["late"]),
            text=bool(canvas["text"]),
        )
    return None


def copy_of(file: str) -> tuple[str, int]:
    """A file name without the number that Canvas adds when it is handed in again, and that number.

    Canvas puts it before the last ending or before the first one.

    >>> copy_of("lab4-2.zip"), copy_of("lab4.tar-1.gz"), copy_of("lab4.zip")
    (('lab4.zip', 2), ('lab4.tar.gz', 1), ('lab4.zip', 0))
    """
    found = _COPY.search(file)
    if found is None:
        return file, 0
    return file[: found.start()] + file[found.end() :], int(found[1])
