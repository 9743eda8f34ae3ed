"""One submission as it was found: not unpacked and not matched yet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Layout = Literal["moodle", "canvas", "git", "folder", "archive"]


@dataclass(frozen=True)
class RawSubmission:
    """`source` is how a person would look for it, `label` the names that may say whose it is.

    `paths` are one folder, or files that belong together. `name` and `numbers` (`moodle`, `canvas`)
    are what the LMS wrote into its names; `submitted` is ISO 8601, None where nothing says it.
    `refused` says why it cannot be taken.
    """

    layout: Layout
    source: str
    label: str
    paths: tuple[Path, ...]
    name: str = ""
    numbers: tuple[tuple[str, str], ...] = ()
    submitted: str | None = None
    remarks: tuple[str, ...] = ()
    refused: str | None = None
