"""Figures: printed the moment they are measured, and kept in a file with the machine's facts."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from grader.files import private
from grader.paths import KIT

WIDTH = 62
"""Characters of the first column, where that is enough."""


@dataclass(frozen=True)
class Row:
    """One figure and its goal; or several `values`, each with a column of its own."""

    part: str
    measured: str
    figure: str = ""
    goal: str = ""
    values: Mapping[str, float] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.values) or ("figure", "goal")

    @property
    def cells(self) -> tuple[str, ...]:
        if self.values:
            return tuple(number(value) for value in self.values.values())
        return self.figure, self.goal


def number(value: float) -> str:
    """With as many decimals as say something: 0.05, 12.3, 1234."""
    decimals = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{round(value, decimals) + 0.0:.{decimals}f}"  # + 0.0: no -0.00


class Report:
    """All rows of a run. Each is printed as a row of a Markdown table, and `file` is written again
    with it: what was measured is kept however the run ends."""

    def __init__(self, file: Path, facts: Mapping[str, Any]) -> None:
        self.file = file
        self.facts = dict(facts)
        self.rows: list[Row] = []

    def add(self, row: Row) -> None:
        last = self.rows[-1] if self.rows else None
        if last is None or (last.part, last.columns) != (row.part, row.columns):
            print(f"\n| {' | '.join((row.part.ljust(WIDTH), *row.columns))} |")
            print(f"|{'---|' * (1 + len(row.columns))}")
        print(f"| {' | '.join((row.measured.ljust(WIDTH), *row.cells))} |", flush=True)
        self.rows.append(row)
        self.write()

    def write(self) -> None:
        told = {**self.facts, "rows": [asdict(row) for row in self.rows]}
        text = json.dumps(told, indent=1, ensure_ascii=False)
        private.write(self.file, f"{text}\n".encode(), mode=0o644)


def facts() -> dict[str, Any]:
    """This machine, the kit's commit, and the time."""
    return {
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "commit": commit(KIT),
        "machine": {
            "cores": os.cpu_count(),
            "memory_gib": round(_memory() / 1024**3, 1),
            "kernel": platform.release(),
            "python": platform.python_version(),
            "engine": None,
        },
    }


def commit(folder: Path) -> str:
    """The commit of a checkout, with `(changed)` if its files differ; empty without Git."""

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + (" (changed)" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def _memory() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
