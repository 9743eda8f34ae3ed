"""The kit's own engine: a private dockerd with user-namespace remapping.

It has its own data root (under the user's data directory), its own socket and address
pool, no default bridge, and lives in a mount namespace of its own: so the data root may
lie under a home directory that others may not enter, and no mount outlives it.
Started once, found again by later runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from grader import paths
from grader.engine import leftovers, packages
from grader.errors import EngineFault, NoEngine

if TYPE_CHECKING:
    from filelock import FileLock


@dataclass(frozen=True)
class Place:
    """Where the embedded engine of one data directory keeps its things."""

    home: Path

    @property
    def key(self) -> str:
        """Tells the engines (and objects) of different data directories apart."""
        return sha256(str(self.home).encode()).hexdigest()[:8]

    @property
    def run(self) -> Path:
        """Short, because the path of a Unix socket may have only some 100 characters."""
        return Path("/run") / f"drydock-{self.key}"

    @property
    def socket(self) -> Path:
        return self.run / "engine.sock"

    @property
    def state(self) -> Path:
        return self.run / "state.json"

    @property
    def nodes(self) -> Path:
        """Links to the folders with nested engines' sockets, a folder of links per run."""
        return self.run / "nodes"

    @property
    def data(self) -> Path:
        return self.home / "engine" / "data"

    @property
    def log(self) -> Path:
        return self.home / "engine" / "engine.log"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"


@dataclass(frozen=True)
class State:
    """What was started: written by root into the run folder, gone after a reboot."""

    pid: int
    started: int
    pool: str
    owner: tuple[int, int]


LOCK_SECONDS = 600
HUNG_SECONDS = 20
"""A busy machine answers late; one that is silent for so long is taken for dead."""
Health = Literal["running", "stopped", "dead", "hung"]


def place() -> Place:
    return Place(paths.data_dir().expanduser().resolve())


def read_state(where: Place) -> State | None:
    try:
        fields = json.loads(where.state.read_text(encoding="utf-8"))
        return State(
            int(fields["pid"]), int(fields["started"]), str(fields["pool"]), tuple(fields["owner"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def health(where: Place, timeout: float | None = None) -> Health:
    """`stopped`: never started or stopped cleanly; `dead`: its process is gone but what it
    left is there; `hung`: the process lives and its API does not answer, or somebody has removed
    its data."""
    state = read_state(where)
    alive = state is not None and leftovers.start_time(state.pid) == state.started
    if alive and there(where.data) and answers(where.url, timeout or HUNG_SECONDS):
        return "running"
    if alive:
        return "hung"
    return "dead" if state is not None or where.socket.exists() else "stopped"


def there(path: Path) -> bool:
    """Whether it is there, as far as one may look."""
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

    from grader.engine import find

    try:
        client = find.connect(url, timeout)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except (DockerException, RequestException, OSError):
        return False


def supported() -> str | None:
    """Why there can be no embedded engine on this machine; None if there can."""
    if not sys.platform.startswith("linux"):
        return "The kit's own engine runs on Linux only."
    if packages.program("dockerd") is None and packages.program("apt-get") is None:
        return "Docker is not installed, and there is no apt to install it with."
    return None


def start(where: Place) -> None:
    """Install what is missing, replace what is half dead, start; the caller holds the lock.

    Raises NoEngine (with what to do) where the user may not, EngineFault where it fails.
    """
    problem = supported()
    if problem is not None:
        raise NoEngine(problem, remedy=REMEDY)
    if not packages.may_be_root():
        raise NoEngine(
            "No Docker engine answers, and starting the kit's own one needs root or a sudo "
            "that asks for no password.",
            remedy=REMEDY,
        )
    wanted = {"dockerd": "docker.io", "iptables": "iptables", "ip": "iproute2"}
    needed = sorted({wanted[name] for name in packages.missing(wanted)})
    if needed:
        packages.apt_install(needed, "for the kit's own Docker engine")
    owner = packages.invoking_user() or (0, 0)
    if packages.is_root():
        from grader.engine import daemon

        daemon.start_as_root(where, owner)
    else:
        _again_as_root("start", where, owner)


REMEDY = (
    "Start Docker (or Docker Desktop) and make sure that `docker version` shows a server; or set "
    "DOCKER_HOST; or let an administrator run `python -m grader engine start`."
)


def start_lock(where: Place) -> FileLock:
    """Held while the engine is started or stopped: of two first runs one waits for the other."""
    from filelock import FileLock

    where.home.mkdir(parents=True, exist_ok=True)
    return FileLock(where.home / "engine.lock", timeout=LOCK_SECONDS, mode=0o666)


def shut_down() -> bool:
    """Stop this data directory's engine; False if it was not running."""
    where = place()
    with start_lock(where):
        return stop(where)


def stop(where: Place) -> bool:
    """Stop the engine and take away all that it left on the host; False if there was nothing.

    The image set stays in the data root.
    """
    if health(where) == "stopped" and not where.run.exists():
        return False
    if not packages.may_be_root():
        raise NoEngine("Stopping the kit's engine needs root.", remedy="Use sudo.")
    if packages.is_root():
        from grader.engine import daemon

        daemon.stop_as_root(where)
    else:
        _again_as_root("stop", where, (0, 0))
    return True


def _again_as_root(action: str, where: Place, owner: tuple[int, int]) -> None:
    argv = [sys.executable, "-m", "grader.engine.daemon", action]
    argv += ["--home", str(where.home), "--owner", f"{owner[0]}:{owner[1]}"]
    # sudo clears the environment; root's Python must find what this one found.
    found = os.pathsep.join([str(paths.KIT), *(entry for entry in sys.path if entry)])
    done = subprocess.run(
        packages.as_root(["env", f"PYTHONPATH={found}", *argv]), stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        raise EngineFault("The engine's process that ran as root failed (see above).")
