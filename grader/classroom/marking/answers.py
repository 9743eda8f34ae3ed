"""Reads a student's answers from the worksheet, an untrusted notebook.

Only text is read. Outputs, attachments and everything else in the notebook are ignored, and nothing
is run.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from grader.files.submitted_path import read_below

FILE = "worksheet.ipynb"
PLACEHOLDER = "YOUR ANSWER HERE"
"""The text of an answer cell in the handout."""

MAX_BYTES = 10_000_000
MAX_CHARACTERS = 20_000
"""The limit for one answer; no one marks a book."""


@dataclass(frozen=True)
class Answer:
    """One answer. `untouched`: nothing was written. `remark` is a sentence for the tutor."""

    text: str
    untouched: bool
    remark: str = ""


@dataclass(frozen=True)
class Worksheet:
    """Answers by grade_id. If there are none, `trouble` is a sentence that says why."""

    answers: dict[str, Answer] = field(default_factory=dict)
    trouble: str = ""


def read(workspace: Path, known: Collection[str]) -> Worksheet:
    """Read the answers to the questions `known` from the worksheet of a submission.

    No content of a submission makes it raise an exception.
    """
    try:
        # A link could lead to any file of the tutor's.
        found = (workspace / FILE).lstat()
        if not stat.S_ISREG(found.st_mode):
            return Worksheet(trouble=f"{FILE} is not an ordinary file.")
        raw = read_below(workspace, PurePosixPath(FILE), MAX_BYTES)
        if len(raw) > MAX_BYTES:
            return Worksheet(
                trouble=f"{FILE} is too big: {found.st_size / 1e6:.0f} MB, read are"
                f" {MAX_BYTES // 1_000_000} MB at most."
            )
        notebook = json.loads(raw.decode("utf-8-sig"))
    except FileNotFoundError:
        return Worksheet(trouble=f"There is no {FILE} in the submission.")
    except OSError as error:
        return Worksheet(trouble=f"{FILE} cannot be read: {error.strerror or error}.")
    except (ValueError, RecursionError, MemoryError):
        return Worksheet(trouble=f"{FILE} is not a notebook: it is not valid JSON.")
    collected: dict[str, list[str]] = {}
    for name, text in _cells(notebook):
        if name in known:
            collected.setdefault(name, []).append(text)
    if not collected:
        return Worksheet(trouble=f"{FILE} has no answer cell.")
    return Worksheet({name: _answer(parts) for name, parts in collected.items()})


def _cells(notebook: Any) -> Iterator[tuple[str, str]]:
    """Name and text of each cell that has a name."""
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    for cell in cells if isinstance(cells, list) else ():
        if not isinstance(cell, dict):
            continue
        metadata = cell.get("metadata")
        marking = metadata.get("nbgrader") if isinstance(metadata, dict) else None
        # Some editors drop the metadata that they do not know; the cell's id is the same name.
        name = marking.get("grade_id") if isinstance(marking, dict) else cell.get("id")
        if isinstance(name, str):
            yield name, _text(cell.get("source"))


def _text(source: Any) -> str:
    """A cell's text: a string, or a list of lines."""
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    return source if isinstance(source, str) else ""


def _answer(parts: list[str]) -> Answer:
    texts = (part.replace(PLACEHOLDER, "").strip() for part in parts)
    text = "\n\n".join(filter(None, texts))
    remarks = []
    if len(parts) > 1:
        remarks.append(f"The cell is there {len(parts)} times; this is the text of all of them.")
    if len(text) > MAX_CHARACTERS:
        remarks.append(f"{len(text):,} characters; shown are the first {MAX_CHARACTERS:,}.")
        text = text[:MAX_CHARACTERS]
    return Answer(text, not text, " ".join(remarks))
