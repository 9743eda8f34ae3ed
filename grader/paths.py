"""The kit's paths: its own files, the user's data, results."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

KIT = Path(__file__).resolve().parent.parent
"""The clone: labs/, templates/ and the like lie here."""

LABS = KIT / "labs"
TEMPLATES = KIT / "templates"


def data_dir() -> Path:
    """The user's data directory of the kit; `DRYDOCK_HOME` moves it (tests do)."""
    moved = os.environ.get("DRYDOCK_HOME")
    return Path(moved) if moved else Path(platformdirs.user_data_dir("drydock", appauthor=False))


def workspaces() -> Path:
    """Where handouts are written unless `--out` says otherwise."""
    return KIT / "workspaces"


def results() -> Path:
    """Where records and feedback pages are written unless `--out` says otherwise."""
    return KIT / "results"
