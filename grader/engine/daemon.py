"""The root part of the embedded engine: starts its dockerd, stops it, cleans up after it.

`embedded` calls it: in this process if the kit is root, otherwise through sudo in a new process
(`python -m grader.engine.daemon`).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from grader.console import say, task
from grader.engine import disk, firewall, kernel_limits, orphans, packages, pools, sealed
from grader.engine.engine_paths import EnginePaths
from grader.engine.engine_state import REMEDY, State, answers, read_state
from grader.errors import EngineFault, KitError, NoEngine
from grader.files.private import write

START_SECONDS = 90.0
STOP_SECONDS = 30
NEEDED_BYTES = 2 * 1024**3
"""With less free space than this the engine is not started."""


def start_as_root(where: EnginePaths, owner: tuple[int, int]) -> None:
    """Start it, whatever its last state was: the caller has found that it does not run."""
    clean(where)
    _check_space(where)
    with task("Starting the kit's own Docker engine"):
        try:
            _launch(where, owner)
        except EngineFault as fault:
            clean(where)
            _check_space(where)
            if not where.data.exists() or not any(where.data.iterdir()):
                raise
            # A killed daemon or a full disk may have left data that no daemon can read.
            say(f"The engine did not start with its old data: {fault.what}")
            broken = where.data.with_name("data.broken")
            shutil.rmtree(broken, ignore_errors=True)
            where.data.rename(broken)
            where.data.mkdir()
            try:
                _launch(where, owner)
            except EngineFault:
                clean(where)
                shutil.rmtree(where.data, ignore_errors=True)
                broken.rename(where.data)
                raise
            shutil.rmtree(broken, ignore_errors=True)
            say("It starts with new data; the image set is rebuilt when it is needed.")


def _check_space(where: EnginePaths) -> None:
    where.data.mkdir(parents=True, exist_ok=True)
    disk.require(where.data, NEEDED_BYTES, "the engine's data")


def _launch(where: EnginePaths, owner: tuple[int, int]) -> None:
    dockerd = packages.program("dockerd")
    unshare = packages.program("unshare")
    if dockerd is None or unshare is None:
        raise NoEngine("dockerd and unshare are needed.", remedy=REMEDY)
    where.run.mkdir(mode=0o755, parents=True, exist_ok=True)
    where.nodes.mkdir(mode=0o711, exist_ok=True)
    mounted = where.run / "data"
    mounted.mkdir(exist_ok=True)
    pool = pools.reserve()
    argv = [
        "--userns-remap=default",
        "--bridge=none",
        "--iptables=false",
        "--ip6tables=false",
        f"--data-root={mounted}",
        f"--exec-root={where.run / 'exec'}",
        f"--pidfile={where.run / 'engine.pid'}",
        f"--host={where.url}",
        f"--group={owner[1]}",
        f"--default-address-pool=base={pools.inner(pool)},size=24",
        f"--label=drydock.home={where.key}",
    ]
    # A system containerd's socket would be used in place of a private one: hide it.
    script = (
        'mount --bind "$1" "$2" && mkdir -p /run/containerd && '
        'mount -t tmpfs -o mode=711 drydock /run/containerd && shift 2 && exec "$@"'
    )
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "PATH": packages.SYSTEM_PATH}
    environment.pop("DOCKER_HOST", None)
    private = [unshare, "--mount", "--propagation", "private"]
    with where.log.open("wb") as log:
        process = subprocess.Popen(
            [*private, "sh", "-c", script, "sh", str(where.data), str(mounted), dockerd, *argv],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd="/",
            env=environment,
        )
    kernel_limits.halve_pending(process.pid)
    kernel_limits.raise_shared()
    started = orphans.start_time(process.pid)
    state = State(process.pid, started or 0, pool, owner)
    write(where.state, json.dumps(asdict(state)).encode(), mode=0o644)
    firewall.up(where.key, pool)
    deadline = time.monotonic() + START_SECONDS
    while not answers(where.url, 5):
        if process.poll() is not None or time.monotonic() > deadline:
            why = "ended at once" if process.poll() is not None else "does not answer"
            raise EngineFault(
                f"dockerd {why}. The end of its log:\n{log_tail(where)}", where=str(where.log)
            )
        time.sleep(0.1)
    # Where that fails, the first sandbox says why.
    with contextlib.suppress(EngineFault):
        sealed.attach_all(where)
    os.chown(where.socket, owner[0], owner[1])
    where.socket.chmod(0o600)


def log_tail(where: EnginePaths, lines: int = 12) -> str:
    try:
        text = where.log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def stop_as_root(where: EnginePaths) -> None:
    state = read_state(where)
    if state is not None and orphans.start_time(state.pid) == state.started:
        orphans.end(state.pid, state.started, STOP_SECONDS)
    clean(where)
    shutil.rmtree(where.run, ignore_errors=True)


def clean(where: EnginePaths) -> None:
    """Remove what an engine that is not running (or hangs) left on the host."""
    state = read_state(where)
    orphans.kill_all(str(where.run), _container_ids(where))
    firewall.down(where.key)
    if state is not None:
        pools.remove_blackhole(state.pool)
        pools.remove_bridges(state.pool)
    for place in ("disks", "engine/images"):
        orphans.detach_loops(where.home / place)
    for path in (where.socket, where.state, where.run / "engine.pid"):
        path.unlink(missing_ok=True)
    for folder in (where.run / "exec", where.run / "images", where.nodes):
        shutil.rmtree(folder, ignore_errors=True)


def _container_ids(where: EnginePaths) -> set[str]:
    return {path.name for path in where.data.glob("*/containers/*")}


def main() -> int:
    """The entry point as root, called through sudo for a user who is not root."""
    parser = argparse.ArgumentParser(prog="python -m grader.engine.daemon")
    parser.add_argument("action", choices=["start", "stop"])
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--owner", default="0:0", help="UID:GID that may use the engine")
    args = parser.parse_args()
    uid, gid = (int(part) for part in args.owner.split(":"))
    try:
        if args.action == "start":
            start_as_root(EnginePaths(args.home), (uid, gid))
        else:
            stop_as_root(EnginePaths(args.home))
    except KitError as error:
        say(str(error))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
