"""Runs and their objects: finds every object of a run by its ID and removes it.

A run is one sandbox or one builder. Its file in the data directory is locked as long as its process
lives. The system releases the lock when the process ends, however it ends. So a run whose lock is
free is dead, and the next run removes its objects.

The exception is a run that is *kept*: its note says so, and it remains after its process ends,
until a command takes it back and ends it. A run becomes kept only once it is complete.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from grader.console import say
from grader.engine import disk, engine_paths, node_socket, orphans
from grader.errors import EngineFault
from grader.files import private

if TYPE_CHECKING:
    import docker

    from grader.engine.client import Engine


OWNER = ("pid", "process_started")
_say_once = functools.cache(say)
_stuck: set[str] = set()
"""Runs of which this process could not remove everything."""
OTHERS_SECONDS = 3
"""How long a run waits until the engine has removed what an earlier one has left."""
LOCK_SECONDS = 60
"""Another process's reaper holds a kept run's lock for a moment while it checks the run."""


@dataclass(frozen=True)
class Kept:
    """A run that remains after the process that made it ends; `facts` belong to that process."""

    id: str
    engine: Engine
    facts: Mapping[str, Any]

    @property
    def run(self) -> Run:
        """The run, for adding objects to it; this process does not own it."""
        return Run(self.id, self.engine, "", FileLock(_folder() / f"{self.id}.lock", timeout=0))


@dataclass
class Run:
    """One sandbox or builder: the owner of all objects that have its labels."""

    id: str
    engine: Engine
    submission: str
    lock: FileLock

    @staticmethod
    def begin(engine: Engine, submission: str = "", purpose: str = "sandbox") -> Run:
        """A new run, owned by this process until `end` or until the process ends."""
        folder = _folder()
        folder.mkdir(parents=True, exist_ok=True)
        run_id = secrets.token_hex(5)
        lock = FileLock(folder / f"{run_id}.lock", timeout=0)
        lock.acquire()
        note = {
            "run": run_id,
            "purpose": purpose,
            "engine": engine.url,
            **_this_process(),
            "began": time.time(),
        }
        (folder / f"{run_id}.json").write_text(json.dumps(note), encoding="utf-8")
        return Run(run_id, engine, submission, lock)

    def keep(self, purpose: str, facts: Mapping[str, Any]) -> None:
        """Keep the run after this process ends: `kept` finds it by its purpose, `take_back` owns it
        again.

        `facts` is plain data for the process that finds it.
        """
        kept = {"purpose": purpose, "engine": asdict(self.engine), "facts": dict(facts)}
        note = {name: value for name, value in _note(self.id).items() if name not in OWNER}
        _write_note(self.id, {**note, "kept": kept})
        self.lock.release()

    def labels(self, role: str) -> dict[str, str]:
        return {
            "drydock.home": engine_paths.current().key,
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

    def abandon(self) -> None:
        """Leave what could not be removed now to the next `reap`, also one of this process."""
        if note := _note(self.id):
            _write_note(self.id, {name: v for name, v in note.items() if name not in OWNER})
        self.lock.release()


def _folder() -> Path:
    return engine_paths.current().home / "runs"


def engine_url(run: str) -> str | None:
    """The engine of a run, None if there is no such run."""
    url = _note(run).get("engine")
    return str(url) if url else None


def kept(purpose: str) -> Kept | None:
    """The kept run of that purpose (the newest, should there be several), or None."""
    from grader.engine.client import Engine

    found: list[tuple[float, Kept]] = []
    for path in _folder().glob("*.json"):
        note = _note(path.stem)
        said = note.get("kept") or {}
        if said.get("purpose") == purpose:
            one = Kept(path.stem, Engine(**said["engine"]), said.get("facts") or {})
            found.append((float(note.get("began") or 0), one))
    return max(found, key=lambda pair: pair[0])[1] if found else None


def take_back(one: Kept) -> Run:
    """Own a kept run again, as if this process had begun it: `end` removes it.

    Raises EngineFault if another process has it.
    """
    run = one.run
    try:
        run.lock.acquire(timeout=LOCK_SECONDS)
    except Timeout:
        raise EngineFault(
            "Another process of the kit holds these nodes.", where=run.lock.lock_file
        ) from None
    note = {name: value for name, value in _note(one.id).items() if name != "kept"}
    _write_note(one.id, {**note, **_this_process()})
    return run


def give_up(one: Kept) -> None:
    """For a kept run whose engine does not run: the engine's next start treats it as dead."""
    take_back(one).lock.release()
    disk.remove_all(one.id)
    shutil.rmtree(engine_paths.current().nodes / one.id, ignore_errors=True)


def _this_process() -> dict[str, Any]:
    return {"pid": os.getpid(), "process_started": orphans.start_time(os.getpid())}


def _note(run_id: str) -> dict[str, Any]:
    """The contents of a run's file; empty if there is none that can be read."""
    try:
        note = json.loads((_folder() / f"{run_id}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _write_note(run_id: str, note: Mapping[str, Any]) -> None:
    """Write completely or not at all: with a half-written note a living swarm would be a dead
    run."""
    private.write_text(_folder() / f"{run_id}.json", json.dumps(note))


def _forget(run_id: str) -> None:
    # With a dot before it: what a killed process had begun to write.
    for pattern in (f"{run_id}.json", f".{run_id}.json.*", f"{run_id}.lock"):
        for path in _folder().glob(pattern):
            path.unlink(missing_ok=True)


def clean(client: docker.DockerClient, run_id: str, seconds: float = 20) -> None:
    """Remove containers, networks, volumes, disks and sockets of a run.

    Raises APIError if the engine does not let go of a container or network within `seconds`; a
    network that stays keeps nothing else from being removed.
    """
    from docker.errors import APIError

    chosen = {"label": f"drydock.run={run_id}"}
    containers = client.api.containers(all=True, filters=chosen)

    def remove(container: dict[str, Any]) -> None:
        _insist(lambda: client.api.remove_container(container["Id"], v=True, force=True), seconds)

    if containers:
        with ThreadPoolExecutor(len(containers)) as pool:
            list(pool.map(remove, containers))
    with contextlib.ExitStack() as stack:
        # What is entered first is done last: an error of the networks comes after the rest.
        for network in client.api.networks(filters=chosen):
            removal = functools.partial(_remove_network, client, network["Id"])
            stack.callback(_insist, removal, seconds)
        for volume in client.api.volumes(filters=chosen)["Volumes"] or []:
            with contextlib.suppress(APIError):
                _insist(
                    functools.partial(client.api.remove_volume, volume["Name"], force=True), seconds
                )
        disk.remove_all(run_id)
        shutil.rmtree(engine_paths.current().nodes / run_id, ignore_errors=True)


def _remove_network(client: docker.DockerClient, network: str) -> None:
    """Disconnect whatever is in it (the mirror, for which a process that is gone now may only
    just have asked), and remove it."""
    from docker.errors import APIError

    inside: Mapping[str, Mapping[str, str]]
    inside = client.api.inspect_network(network).get("Containers") or {}
    for container, endpoint in inside.items():
        # An endpoint whose container is gone has its own ID here, and is known by its name.
        known = endpoint["Name"] if container.startswith("ep-") else container
        with contextlib.suppress(APIError):
            client.api.disconnect_container_from_network(known, network, force=True)
    client.api.remove_network(network)


def clean_node(client: docker.DockerClient, run_id: str, name: str) -> None:
    """Remove one node of a run: container, data, disk and sockets."""
    known = f"drydock-{run_id}-{name}"
    _insist(lambda: client.api.remove_container(known, v=True, force=True))
    own = (known, node_socket.volume(run_id, name), f"drydock-{run_id}-{disk.files(name)}")
    for volume in own:
        _insist(lambda volume=volume: client.api.remove_volume(volume, force=True))
    disk.remove(run_id, name)
    (engine_paths.current().nodes / run_id / name).unlink(missing_ok=True)


def _insist(action: Any, seconds: float = 20) -> None:
    """Try until it works or the object is gone: engines report "in use" for a moment after the
    end."""
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
    """Remove the objects of this data directory's runs whose process is gone; return their IDs.

    What the engine cannot remove now prevents no new sandbox: the kit prints it, and the next call
    tries again.
    """
    dead: list[str] = []
    with contextlib.closing(engine.client()) as client:
        for runs in (_dead_runs(), _unknown_runs(client)):
            for run_id in runs:
                if _cleaned(client, run_id):
                    dead.append(run_id)
    return dead


def _cleaned(client: docker.DockerClient, run_id: str) -> bool:
    from docker.errors import APIError

    try:
        # Once is enough for what the engine did not let go of a moment ago.
        clean(client, run_id, 0 if run_id in _stuck else OTHERS_SECONDS)
    except APIError as error:
        _stuck.add(run_id)
        _say_once(
            f"The engine cannot remove everything of an earlier run ({run_id}): "
            f"{error.explanation or error}. The kit continues, and tries again later."
        )
        return False
    return True


def _dead_runs() -> Iterator[str]:
    """Runs whose lock is free; it is held while the caller removes their objects."""
    for path in sorted(_folder().glob("*.json")):
        if _owned_by_this_process(path.stem) or "kept" in _note(path.stem):
            continue
        lock = FileLock(path.with_suffix(".lock"), timeout=0)
        try:
            lock.acquire()
        except Timeout:
            continue
        try:
            # Its process may have noted it as kept just before it let go of the lock.
            if path.exists() and "kept" not in _note(path.stem):
                yield path.stem
                _forget(path.stem)
        finally:
            lock.release()


def _owned_by_this_process(run_id: str) -> bool:
    note, mine = _note(run_id), _this_process()
    return all(note.get(name) == value for name, value in mine.items())


def _unknown_runs(client: docker.DockerClient) -> set[str]:
    """Runs of this data directory that have objects in the engine but no longer a file."""
    mine = {"label": f"drydock.home={engine_paths.current().key}"}
    found: set[str] = set()
    for thing in [
        *client.api.containers(all=True, filters=mine),
        *client.api.networks(filters=mine),
        *(client.api.volumes(filters=mine)["Volumes"] or []),
    ]:
        run_id = (thing.get("Labels") or {}).get("drydock.run")
        # A kept run has a note, one that just begins at first only a lock.
        traces = [_folder() / f"{run_id}{end}" for end in (".lock", ".json")]
        if run_id and not any(trace.exists() for trace in traces):
            found.add(run_id)
    return found
