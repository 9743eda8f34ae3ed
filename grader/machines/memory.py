"""Which provider's machines are up: a small file in the data directory."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from grader import paths
from grader.console import say
from grader.errors import KitError
from grader.files import private
from grader.machines.provider import Options

WAIT_SECONDS = 1800
"""Emulated machines take many minutes to come up."""


@dataclass(frozen=True)
class Remembered:
    """A provider with machines that were brought up, and its options."""

    kind: str
    hosts_file: str | None = None

    def options(self) -> Options:
        return Options(hosts_file=Path(self.hosts_file) if self.hosts_file else None)


def recall() -> Remembered | None:
    try:
        said = json.loads(_file().read_text(encoding="utf-8"))
        return Remembered(str(said["kind"]), said.get("hosts_file"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def remember(kind: str, options: Options) -> None:
    hosts = str(options.hosts_file.resolve()) if options.hosts_file else None
    private.write_text(_file(), json.dumps(asdict(Remembered(kind, hosts))))


def forget() -> None:
    _file().unlink(missing_ok=True)


@contextlib.contextmanager
def changing() -> Iterator[None]:
    """Held while machines are brought up, joined or removed: a second process waits."""
    from filelock import FileLock, Timeout

    home = paths.data_dir()
    home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home / "swarm.lock", mode=0o666)
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say("Another of your `swarm` commands is running: waiting for it.")
            lock.acquire(timeout=WAIT_SECONDS)
    except Timeout:
        raise KitError(
            f"Another `swarm` command has been running for {WAIT_SECONDS // 60} minutes.",
            where=str(home / "swarm.lock"),
            remedy="Stop it and try again.",
        ) from None
    try:
        yield
    finally:
        lock.release()


def _file() -> Path:
    return paths.data_dir() / "swarm.json"
