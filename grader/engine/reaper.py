"""Runs and what they own: every object of a run can be found by its ID and taken away.

A run is one sandbox or one builder. Its file in the data directory is locked as long
as its process lives; the system lets go of the lock when the process ends, however it
ends. So a run whose lock is free is dead, and what it left is removed by the next one.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from grader.engine import disk, embedded, leftovers

if TYPE_CHECKING:
    import docker

    from grader.engine.find import Engine


@dataclass
class Run:
    """One sandbox or builder: the owner of all objects that carry its labels."""

    id: str
    engine: Engine
    submission: str
    lock: FileLock

    @staticmethod
    def begin(engine: Engine, submission: str = "", purpose: str = "sandbox") -> Run:
        """A new run, owned by this process until `end` or the process's own end."""
        folder = _folder()
        folder.mkdir(parents=True, exist_ok=True)
        run_id = secrets.token_hex(5)
        lock = FileLock(folder / f"{run_id}.lock", timeout=0)
        lock.acquire()
        note = {
            "run": run_id,
            "purpose": purpose,
            "engine": engine.url,
            "pid": os.getpid(),
            "process_started": leftovers.start_time(os.getpid()),
            "began": time.time(),
        }
        (folder / f"{run_id}.json").write_text(json.dumps(note), encoding="utf-8")
        return Run(run_id, engine, submission, lock)

    def labels(self, role: str) -> dict[str, str]:
        return {
            "drydock.home": embedded.place().key,
            "drydock.run": self.id,
            "drydock.submission": self.submission,
            "drydock.role": role,
        }

    def end(self) -> None:
        """Remove everything that belongs to the run; safe to call twice."""
        with contextlib.closing(self.engine.client()) as client:
            clean(client, self.id)
        _forget(self.id)
        self.lock.release()


def _folder() -> Path:
    return embedded.place().home / "runs"


def _forget(run_id: str) -> None:
    (_folder() / f"{run_id}.json").unlink(missing_ok=True)
    (_folder() / f"{run_id}.lock").unlink(missing_ok=True)


def clean(client: docker.DockerClient, run_id: str) -> None:
    """Remove containers, networks, volumes, disks and sockets of a run."""
    from docker.errors import APIError

    chosen = {"label": f"drydock.run={run_id}"}
    containers = client.api.containers(all=True, filters=chosen)

    def remove(container: dict[str, Any]) -> None:
        _insist(lambda: client.api.remove_container(container["Id"], v=True, force=True))

    if containers:
        with ThreadPoolExecutor(len(containers)) as pool:
            list(pool.map(remove, containers))
    for network in client.api.networks(filters=chosen):
        _insist(lambda network=network: client.api.remove_network(network["Id"]))
    for volume in client.api.volumes(filters=chosen)["Volumes"] or []:
        with contextlib.suppress(APIError):
            _insist(lambda volume=volume: client.api.remove_volume(volume["Name"], force=True))
    disk.remove_all(run_id)
    shutil.rmtree(embedded.place().nodes / run_id, ignore_errors=True)


def _insist(action: Any, seconds: float = 20) -> None:
    """Try until it works or the thing is gone: engines say "in use" for a moment after the end."""
    from docker.errors import APIError, NotFound

    deadline = time.monotonic() + seconds
    while True:
        try:
            action()
            return
        except NotFound:
            return
        except APIError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def reap(engine: Engine) -> list[str]:
    """Remove what runs of this data directory left whose process is gone; their IDs."""
    dead: list[str] = []
    with contextlib.closing(engine.client()) as client:
        for run_id in _dead_runs():
            clean(client, run_id)
            dead.append(run_id)
        for run_id in _unknown_runs(client):
            clean(client, run_id)
            dead.append(run_id)
    return dead


def _dead_runs() -> Iterator[str]:
    """Runs whose lock is free; it is held while the caller removes what is theirs."""
    for path in sorted(_folder().glob("*.json")):
        if _owned_by_this_process(path):
            continue
        lock = FileLock(path.with_suffix(".lock"), timeout=0)
        try:
            lock.acquire()
        except Timeout:
            continue
        try:
            if path.exists():
                yield path.stem
                _forget(path.stem)
        finally:
            lock.release()


def _owned_by_this_process(path: Path) -> bool:
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
        mine = (os.getpid(), leftovers.start_time(os.getpid()))
        return bool((note["pid"], note["process_started"]) == mine)
    except (OSError, ValueError, KeyError):
        return False


def _unknown_runs(client: docker.DockerClient) -> set[str]:
    """Runs of this data directory that have objects in the engine and no file any more."""
    mine = {"label": f"drydock.home={embedded.place().key}"}
    found: set[str] = set()
    for thing in [
        *client.api.containers(all=True, filters=mine),
        *client.api.networks(filters=mine),
        *(client.api.volumes(filters=mine)["Volumes"] or []),
    ]:
        run_id = (thing.get("Labels") or {}).get("drydock.run")
        if run_id and not (_folder() / f"{run_id}.lock").exists():
            found.add(run_id)
    return found
