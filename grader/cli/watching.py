"""Watches a workspace: reports saved files once no more changes follow.

    watch = Watch(workspace, lab.exercises)
    watch.wait()  # returns when counter/compose.yaml was saved
    # Saved(exercises={'compose'}, files=['counter/compose.yaml'], outside=False)

Looks once a second at times and sizes, which works on every file system and system. What editors
write beside a file while they work does not count.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from grader.lab.model import Exercise
from grader.submission import files as submission
from grader.submission.ignored import is_junk

EVERY = 1.0
"""Seconds between two looks. Saves that come closer to each other are one."""

MOST_LOOKS = 10
"""So many looks in a row may find something new before it is told anyway."""

TEMPORARY = (
    "4913",
    "*.tmp",
    "*.temp",
    ".*.sw?",
    "#*#",
    ".goutputstream-*",
    "*___jb_*___",
    "*.part",
)
"""What editors write for a moment (4913 is vim's)."""

Look = dict[str, dict[str, tuple[int, int]]]
"""By exercise: each file's time of change (ns) and size, by its path in the workspace."""


@dataclass(frozen=True)
class Saved:
    """The exercises whose files have changed, and these files; `outside`: something else has."""

    exercises: set[str]
    files: list[str]
    outside: bool


class Watch:
    """See the module's docstring. What changes from now on is told by `wait`.

    `pulse` tells of something else that is watched: its answer changes when that does.
    """

    def __init__(
        self,
        workspace: Path,
        exercises: Sequence[Exercise],
        pulse: Callable[[], object] | None = None,
        every: float = EVERY,
    ) -> None:
        self.workspace = workspace
        self.exercises = list(exercises)
        self.pulse = pulse
        self.every = every
        self._seen, self._felt = self._look()

    def wait(self) -> Saved:
        """Return when something has changed since this was asked last, and is quiet again."""
        while True:
            now = self._look()
            if now != (self._seen, self._felt):
                return self._take(self._quiet(now))
            time.sleep(self.every)

    def _quiet(self, now: tuple[Look, object]) -> tuple[Look, object]:
        """What is there once two looks find the same."""
        for _ in range(MOST_LOOKS):
            time.sleep(self.every)
            before, now = now, self._look()
            if now == before:
                break
        return now

    def _take(self, now: tuple[Look, object]) -> Saved:
        before, (self._seen, felt) = self._seen, now
        outside, self._felt = felt != self._felt, felt
        files = {
            name
            for exercise, found in self._seen.items()
            for name, _ in before[exercise].items() ^ found.items()
        }
        exercises = {name for name, found in self._seen.items() if found != before[name]}
        return Saved(exercises, sorted(files), outside)

    def _look(self) -> tuple[Look, object]:
        found = {
            exercise.id: {
                path.relative_to(self.workspace).as_posix(): told
                for folder in exercise.folders
                for path, told in itertools.islice(
                    _files(self.workspace / folder), submission.MAX_ENTRIES
                )
            }
            for exercise in self.exercises
        }
        return found, self.pulse() if self.pulse else None


def is_temporary(name: str) -> bool:
    """Whether an editor or a tool made a file of this name (no path) for itself."""
    return is_junk(name) or any(fnmatchcase(name.casefold(), each) for each in TEMPORARY)


def _files(folder: Path, depth: int = 0) -> Iterator[tuple[Path, tuple[int, int]]]:
    """Every file below a folder with its time and size; what vanishes meanwhile is passed over.

    So is what no submission may have: more entries or deeper ones, and a folder that is a link.
    """
    if folder.is_symlink() or depth > submission.MAX_DEPTH:
        return
    try:
        with os.scandir(folder) as inside:
            entries = list(itertools.islice(inside, submission.MAX_ENTRIES))
    except OSError:
        return
    for entry in entries:
        if is_temporary(entry.name):
            continue
        try:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path), depth + 1)
            else:
                found = entry.stat(follow_symlinks=False)
                yield Path(entry.path), (found.st_mtime_ns, found.st_size)
        except OSError:
            continue
