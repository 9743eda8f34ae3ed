"""A command of the kit in a process of its own, with what it needed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from grader.paths import KIT

END_SECONDS = 180
"""How long a command may clean up after Ctrl-C."""
LOOK_SECONDS = 0.2

Line = Callable[[str, float], None]
"""Called with each line that a command prints, and the seconds since its start."""


@dataclass(frozen=True)
class Ran:
    """How a command ended. `memory` (bytes) and `files` are the most that its process had."""

    code: int
    seconds: float
    memory: int
    files: int
    said: str


def kit(
    *words: str | Path,
    ok: Collection[int] = (0,),
    folder: Path = KIT,
    python: str | Path = sys.executable,
    home: Path | None = None,
    line: Line | None = None,
) -> Ran:
    """Run `python -m grader` to its end; SystemExit with its output if the exit code is not `ok`.

    `folder` and `python` are those of another checkout; `home` is another data directory. After
    Ctrl-C it has time to clean up.
    """
    own = {} if home is None else {"DRYDOCK_HOME": str(home)}
    said: list[str] = []
    most = [0]
    over = threading.Event()
    began = time.monotonic()
    process = subprocess.Popen(
        [str(python), "-m", "grader", *map(str, words)],
        cwd=folder,
        env={**os.environ, **own},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        # It gets Ctrl-C from here, once, and not from the terminal as well.
        start_new_session=True,
    )
    assert process.stdout is not None
    threads = [
        threading.Thread(target=_read, args=(process.stdout, said, began, line), daemon=True),
        threading.Thread(target=_watch, args=(process.pid, most, over), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        _end(process)
        raise
    finally:
        over.set()
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    threads[0].join(timeout=5)
    text = "".join(said)
    if process.returncode not in ok:
        command = " ".join(map(str, words))
        raise SystemExit(f"`{command}` ended with code {process.returncode}:\n{text}")
    return Ran(process.returncode, seconds, int(usage.ru_maxrss) * 1024, most[0], text)


def _read(output: IO[str], said: list[str], began: float, line: Line | None) -> None:
    for text in output:
        said.append(text)
        if line is not None:
            line(text.rstrip("\n"), time.monotonic() - began)


def _watch(pid: int, most: list[int], over: threading.Event) -> None:
    """Keep the most files that the process has open."""
    while not over.wait(LOOK_SECONDS):
        with contextlib.suppress(OSError):
            most[0] = max(most[0], len(list(Path(f"/proc/{pid}/fd").iterdir())))


def _end(process: subprocess.Popen[str]) -> None:
    """Ctrl-C, and time to clean up."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(timeout=END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
