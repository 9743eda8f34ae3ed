"""The time of a clone's last commit, read without trusting the clone.

A repository's configuration and hooks can run programs, so no git command runs in a clone. Two
small files say which commit is checked out. Git then reads that commit from its own empty
repository, with the clone's objects as an additional object store.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from datetime import datetime
from pathlib import Path, PurePosixPath

from grader.errors import Refused
from grader.files.submitted_path import checked, kind_below, read_below

SECONDS = 20
_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_BORROWED = PurePosixPath(".git/objects/info/alternates")
"""The file in which a clone can say that its objects are elsewhere on the disk."""
_REF = re.compile(r"ref: (refs/[A-Za-z0-9._/+@-]{1,200})")


def last_commit(clone: Path) -> str | None:
    """The time of the checked-out commit, ISO 8601 with offset; None if it cannot be read."""
    objects = PurePosixPath(".git/objects")
    if kind_below(clone, objects) != "folder" or kind_below(clone, _BORROWED) is not None:
        return None
    commit = _head(clone)
    store = (clone / objects).resolve()
    # It is named in a file of lines: a folder's name may not become a line of its own.
    if commit is None or not str(store).isprintable():
        return None
    return _time(store, commit)


def _head(clone: Path) -> str | None:
    head = _small(clone, "HEAD").strip()
    if _ID.fullmatch(head):
        return head
    ref = _REF.fullmatch(head)
    if ref is None or ".." in ref[1]:
        return None
    loose = _small(clone, ref[1]).strip()
    if _ID.fullmatch(loose):
        return loose
    for line in _small(clone, "packed-refs", most=2_000_000).splitlines():
        commit, _, name = line.partition(" ")
        if name == ref[1] and _ID.fullmatch(commit):
            return commit
    return None


def _small(clone: Path, name: str, most: int = 4096) -> str:
    """The text of a file of the repository, "" if it is not an ordinary file or is too large."""
    try:
        path = PurePosixPath(".git") / checked(name, ".git/HEAD")
        raw = read_below(clone, path, most)
    except (OSError, Refused):
        return ""
    return "" if len(raw) > most else raw.decode("utf-8", errors="replace")


def _time(objects: Path, commit: str) -> str | None:
    with tempfile.TemporaryDirectory(prefix="drydock-git-") as own:
        bare = Path(own)
        (bare / "objects" / "info").mkdir(parents=True)
        (bare / "refs").mkdir()
        (bare / "objects" / "info" / "alternates").write_text(f"{objects}\n", encoding="utf-8")
        (bare / "HEAD").write_text("ref: refs/heads/none\n", encoding="ascii")
        form = "1\n[extensions]\n\tobjectformat = sha256" if len(commit) == 64 else "0"
        (bare / "config").write_text(
            f"[core]\n\tbare = true\n\trepositoryformatversion = {form}\n", encoding="ascii"
        )
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": own,
            "GIT_DIR": own,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
            # A few packed bytes can say that they are a gigabyte.
            "GIT_ALLOC_LIMIT": "50m",
            "LC_ALL": "C",
        }
        if "SYSTEMROOT" in os.environ:  # without it, Windows starts no program
            environment["SYSTEMROOT"] = os.environ["SYSTEMROOT"]
        try:
            done = subprocess.run(
                ["git", "--no-pager", "cat-file", "commit", commit],
                cwd=own,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
    return _committed(done.stdout[:20_000]) if done.returncode == 0 else None


def _committed(commit: bytes) -> str | None:
    header = commit.partition(b"\n\n")[0].decode("utf-8", "replace")
    found = re.search(r"^committer .*> (\d{1,11}) ([+-])(\d\d)(\d\d)$", header, re.MULTILINE)
    if found is None:
        return None
    try:
        offset = f"{found[2]}{found[3]}:{found[4]}"
        zone = datetime.fromisoformat(f"2000-01-01T00:00:00{offset}").tzinfo
        return datetime.fromtimestamp(int(found[1]), zone).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return None
