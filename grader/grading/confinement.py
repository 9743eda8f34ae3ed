"""What the process of checks may use: its environment, and limits that hold before it reads a
submission.

The limits are the last line. What reads a submission bounds its own work; where that fails, one
submission must not take the machine's memory, processor or disk. A limit that is reached is no
one's zero: the check is not graded, and a person looks at the submission.
"""

from __future__ import annotations

import errno
import faulthandler
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MEMORY_BYTES = 2 * 1024**3
"""Address space. The checks of the largest lab take an eighth of it."""

FILE_BYTES = 512 * 1024**2
"""The longest file that may be written: a submission has 50 MB at most."""

OPEN_FILES = 1024

LEAST_CPU_SECONDS = 30

LOOK = "Ask your tutor to look at your submission: something in it is too large to read."

TAKEN_OVER = frozenset(
    {
        *("PATH", "LANG", "LANGUAGE", "TZ", "TERM", "VIRTUAL_ENV", "LD_LIBRARY_PATH"),
        *("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"),
        # Without these Windows finds neither its libraries nor a network.
        *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "PROGRAMDATA"),
        *("NUMBER_OF_PROCESSORS", "PROCESSOR_ARCHITECTURE"),
    }
)
PREFIXES = ("LC_", "DRYDOCK_")


@dataclass(frozen=True)
class Limits:
    """What the process may use. `cpu_seconds` is processor time, not time that passes."""

    cpu_seconds: int
    memory_bytes: int = MEMORY_BYTES
    file_bytes: int = FILE_BYTES
    open_files: int = OPEN_FILES

    @classmethod
    def of(cls, seconds: float) -> Limits:
        """For an exercise that may take `seconds`. Checks mostly wait: they compute for some
        seconds of 15 minutes, and here may for a quarter of the time."""
        return cls(cpu_seconds=max(LEAST_CPU_SECONDS, round(seconds / 4)))

    def apply(self) -> None:
        """Set them for this process and all that it starts; as far as the system knows them."""
        try:
            import resource
        except ImportError:  # Windows
            return
        wanted = {
            resource.RLIMIT_CORE: (0, 0),
            # The signal says what happened; a few seconds later the kernel insists.
            resource.RLIMIT_CPU: (self.cpu_seconds, self.cpu_seconds + 5),
            resource.RLIMIT_FSIZE: (self.file_bytes, self.file_bytes),
            resource.RLIMIT_NOFILE: (self.open_files, self.open_files),
        }
        if sys.platform.startswith("linux"):  # macOS counts what it maps for everyone
            wanted[resource.RLIMIT_AS] = (self.memory_bytes, self.memory_bytes)
        for which, (soft, hard) in wanted.items():
            most = resource.getrlimit(which)[1]
            if most != resource.RLIM_INFINITY:
                soft, hard = min(soft, most), min(hard, most)
            resource.setrlimit(which, (soft, hard))
        # In the log stands what was read when time ran out, also where that was in C. pytest
        # takes standard error for itself while a check runs.
        faulthandler.register(signal.SIGXCPU, file=os.dup(2), all_threads=True, chain=True)

    def explain_error(self, error: BaseException) -> str | None:
        """What happened, if `error` comes from a limit that was reached."""
        if isinstance(error, MemoryError):
            return self._memory
        if isinstance(error, OSError) and error.errno == errno.ENOMEM:
            return self._memory
        if isinstance(error, OSError) and error.errno == errno.EFBIG:
            return self._file
        return None

    def explain_end(self, code: int, log: str) -> str | None:
        """What happened, if the process ended with `code` because a limit was reached."""
        if code == -getattr(signal, "SIGXCPU", 0) < 0:
            return self._cpu
        if code == -getattr(signal, "SIGXFSZ", 0) < 0:
            return self._file
        if code != 0 and "MemoryError" in log[-LOG_END:]:
            return self._memory
        return None

    @property
    def _memory(self) -> str:
        return f"The grader needed more memory than it may use ({_size(self.memory_bytes)})."

    @property
    def _file(self) -> str:
        return f"The grader wrote a file larger than it may ({_size(self.file_bytes)})."

    @property
    def _cpu(self) -> str:
        return f"The grader needed more processor time than it may use ({self.cpu_seconds} s)."


LOG_END = 4_000
"""Characters at the end of a log in which the reason for an end is looked for."""


def environment(folder: Path, surroundings: Mapping[str, str]) -> dict[str, str]:
    """For checks in a sandbox: what Python and the kit need of `surroundings`, and no more.

    Keys, tokens, proxies and engines of the user's shell stay out. `folder` is the home and the
    place for temporary files.
    """
    kept = {
        name: value
        for name, value in surroundings.items()
        if name.upper() in TAKEN_OVER or name.upper().startswith(PREFIXES)
    }
    home = {name: str(folder) for name in ("HOME", "USERPROFILE")}
    return {**kept, **home, **_always(folder)}


def own_environment(folder: Path, surroundings: Mapping[str, str]) -> dict[str, str]:
    """For checks on the user's own machines or engine: ssh and docker as the user has set them."""
    return {**surroundings, **_always(folder)}


def _always(folder: Path) -> dict[str, str]:
    return {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONUTF8": "1",
        # Each thread's own heap would count against the limit long before it is used.
        "MALLOC_ARENA_MAX": "2",
        # What the checks leave behind goes with the folder, even after a kill -9.
        **{name: str(folder) for name in ("TMPDIR", "TEMP", "TMP")},
    }


def _size(size: int) -> str:
    return f"{size / 1024**3:g} GiB" if size >= 1024**3 else f"{size / 1024**2:g} MiB"
