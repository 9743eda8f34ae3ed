"""The state of the kit's own engine."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from grader.engine import orphans
from grader.engine.engine_paths import EnginePaths
from grader.errors import KitError

if TYPE_CHECKING:
    from filelock import FileLock


@dataclass(frozen=True)
class State:
    """The running engine's data: root writes it into the run folder; a reboot removes it."""

    pid: int
    started: int
    pool: str
    owner: tuple[int, int]


LOCK_SECONDS = 600


HUNG_SECONDS = 20
"""A busy machine answers late. After this long without an answer, an engine counts as dead."""


Health = Literal["running", "stopped", "dead", "hung"]


def read_state(where: EnginePaths) -> State | None:
    try:
        fields = json.loads(where.state.read_text(encoding="utf-8"))
        return State(
            int(fields["pid"]), int(fields["started"]), str(fields["pool"]), tuple(fields["owner"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def health(where: EnginePaths, timeout: float | None = None) -> Health:
    """`stopped`: never started, or stopped cleanly; `dead`: its process is gone but left its
    files; `hung`: the process lives but its API does not answer, or someone has removed its
    data."""
    state = read_state(where)
    alive = state is not None and orphans.start_time(state.pid) == state.started
    if alive and there(where.data) and answers(where.url, timeout or HUNG_SECONDS):
        return "running"
    if alive:
        return "hung"
    return "dead" if state is not None or where.socket.exists() else "stopped"


def there(path: Path) -> bool:
    """Whether the path exists, as far as this user can see."""
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def answers(url: str, timeout: float) -> bool:
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    from grader.engine import client

    try:
        with contextlib.closing(client.connect(url, timeout)) as connected:
            return bool(connected.ping())
    except (DockerException, RequestException, OSError):
        return False


REMEDY = (
    "Start Docker (or Docker Desktop) and make sure that `docker version` shows a server; or set "
    "DOCKER_HOST; or let an administrator run `python -m grader engine start`."
)


def start_lock(where: EnginePaths) -> FileLock:
    """Held while the engine is started or stopped: if two runs start at once, one waits.

    Raises KitError if the data directory cannot be made.
    """
    from filelock import FileLock

    try:
        where.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KitError(
            f"The kit's data directory cannot be made: {error.strerror or error}.",
            where=str(where.home),
            remedy="Set DRYDOCK_HOME to a folder of yours, or unset it.",
        ) from None
    return FileLock(where.home / "engine.lock", timeout=LOCK_SECONDS, mode=0o666)
