"""Names that tools and systems leave behind: no one hands them in on purpose."""

from __future__ import annotations

from fnmatch import fnmatchcase

from grader.submission.files import IGNORED

NAMES = IGNORED | {
    ".venv",
    ".svn",
    ".hg",
    ".nox",
    ".tox",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".idea",
    ".vscode",
    ".vagrant",
    ".ds_store",
    ".appledouble",
    ".spotlight-v100",
    ".trashes",
    "__macosx",
    "thumbs.db",
    "desktop.ini",
    "icon\r",
}
PATTERNS = ("*.swp", "*.swo", "*~", "._*", ".#*", "~$*")


def is_junk(name: str) -> bool:
    """Whether a file or folder of this name (no path) is left out, whatever is in it."""
    small = name.casefold()
    return small in NAMES or any(fnmatchcase(small, pattern) for pattern in PATTERNS)
