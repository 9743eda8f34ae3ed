"""The lock: one batch at a time grades into a results folder. A second batch learns which one."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from grader.classroom import results
from grader.errors import KitError
from grader.files import private
from grader.grading import progress

LOCK = ".lock"
HOLDER = ".batch.json"
SCRATCH = ".work"
"""Temporary files of the batch that holds the lock. Anything else in it is left over."""

WRITTEN = (".", "records", "feedback", "regrade/records")
"""Folders in which files are written under temporary names and then renamed."""


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[Path]:
    """Make the results folder if necessary and lock it for this batch. Yields the scratch folder.

    Removes temporary files that a killed batch left. Raises KitError if another batch has the lock,
    or if nothing can be written; then nothing is changed.
    """
    new = not folder.exists()
    try:
        results.prepare(folder)
        lock = FileLock(folder / LOCK, timeout=0, mode=private.FILE)
        lock.acquire()
    except Timeout:
        raise KitError(
            f"Another batch is grading into this folder: {_holder(folder)}.",
            where=str(folder),
            remedy="Wait for it, stop it with Ctrl-C, or grade into another folder (--out).",
        ) from None
    except (OSError, NotImplementedError) as error:
        raise unwritable(folder, error) from None
    scratch = folder / SCRATCH
    try:
        try:
            _tidy(folder)
            # A killed batch's check may write into it for a moment still, so that it stays.
            private.folder(scratch)
            private.write(folder / HOLDER, json.dumps(_this()).encode())
        except OSError as error:
            raise unwritable(folder, error) from None
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        with contextlib.suppress(OSError):
            (folder / HOLDER).unlink(missing_ok=True)
        if new and {path.name for path in folder.iterdir()} <= {LOCK}:
            # Nothing came of it: bad input leaves nothing behind.
            shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def unwritable(folder: Path, error: BaseException) -> KitError:
    said = getattr(error, "strerror", None) or str(error)
    return KitError(
        f"Results cannot be written here: {said}.",
        where=str(getattr(error, "filename", None) or folder),
        remedy="Name another folder with --out, or make this one writable.",
    )


def _this() -> dict[str, str | int]:
    return {"pid": os.getpid(), "host": platform.node(), "since": progress.now()}


def _holder(folder: Path) -> str:
    try:
        told = json.loads((folder / HOLDER).read_text(encoding="utf-8"))
        here = "" if told["host"] == platform.node() else f" on {told['host']}"
        return f"process {told['pid']}{here}, since {told['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "unknown process"


def _tidy(folder: Path) -> None:
    shutil.rmtree(folder / SCRATCH, ignore_errors=True)
    for name in WRITTEN:
        for end in ("json", "html", "csv"):
            # `private.write_text` names them so.
            for file in (folder / name).glob(f".*.{end}.*"):
                file.unlink(missing_ok=True)
