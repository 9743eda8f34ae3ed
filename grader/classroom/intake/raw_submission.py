"""One submission as it was found: not unpacked and not matched yet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Layout = Literal["moodle", "canvas", "git", "folder", "archive"]


@dataclass(frozen=True)
class RawSubmission:
    """`source` is how a person would find it, `label` the names that may show whose it is.

    `paths` are one folder, or files that belong together. `name` and `numbers` (`moodle`, `canvas`)
    are from the names that the LMS wrote. `submitted` is ISO 8601, None if it is unknown. `refused`
    says why the submission is not accepted.
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
