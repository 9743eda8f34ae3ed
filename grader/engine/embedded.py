"""The kit's own engine: a private dockerd with user-namespace remapping.

It has its own data root (in the user's data directory), socket and address pool, no default bridge,
and its own mount namespace. So the data root can be in a home directory that others cannot enter,
and no mount remains when the engine ends. It is started once, and later runs find it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from grader import paths
from grader.engine import engine_paths, packages
from grader.engine.engine_paths import EnginePaths
from grader.engine.engine_state import REMEDY, health, start_lock
from grader.engine.sources import bootstrap
from grader.errors import EngineFault, NoEngine

if TYPE_CHECKING:
    pass


def supported() -> str | None:
    """Why this machine cannot have an embedded engine; None if it can."""
    if not sys.platform.startswith("linux"):
        return "The kit's own engine runs on Linux only."
    if packages.program("dockerd") is None and packages.program("apt-get") is None:
        return "Docker is not installed, and there is no apt to install it."
    return None


def start(where: EnginePaths) -> None:
    """Install what is missing, clean up a broken engine, and start; the caller holds the lock.

    Raises NoEngine (with a hint) if the user may not, EngineFault if it fails.
    """
    problem = supported()
    if problem is not None:
        raise NoEngine(problem, remedy=REMEDY)
    if not packages.may_be_root():
        raise NoEngine(
            "No Docker engine answers. To start the kit's own engine, you need root or a sudo "
            "that needs no password.",
            remedy=REMEDY,
        )
    wanted = {"dockerd": "docker.io", "iptables": "iptables", "ip": "iproute2"}
    needed = sorted({wanted[name] for name in packages.missing(wanted)})
    if needed:
        # One run of apt also for what the images are made with.
        if packages.program("mmdebstrap") is None:
            needed += bootstrap.PACKAGES
        packages.apt_install(needed, "for the kit's own Docker engine")
    owner = packages.invoking_user() or (0, 0)
    if packages.is_root():
        from grader.engine import daemon

        daemon.start_as_root(where, owner)
    else:
        _again_as_root("start", where, owner)


def shut_down() -> bool:
    """Stop this data directory's engine; False if it was not running."""
    where = engine_paths.current()
    with start_lock(where):
        return stop(where)


def stop(where: EnginePaths) -> bool:
    """Stop the engine and remove everything that it left on the host; False if there was nothing.

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


def _again_as_root(action: str, where: EnginePaths, owner: tuple[int, int]) -> None:
    argv = [sys.executable, "-m", "grader.engine.daemon", action]
    argv += ["--home", str(where.home), "--owner", f"{owner[0]}:{owner[1]}"]
    # sudo clears the environment; root's Python must find what this one found.
    found = os.pathsep.join([str(paths.KIT), *(entry for entry in sys.path if entry)])
    done = subprocess.run(
        packages.as_root(["env", f"PYTHONPATH={found}", *argv]), stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        raise EngineFault("The engine's process that ran as root failed (see above).")
