"""A sandbox: one or three nodes made for one submission, then removed."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from types import FrameType, TracebackType
from typing import Any

from grader.console import say
from grader.engine import disk, egress, engine_paths, node_image, reaper
from grader.engine.client import Engine
from grader.engine.node import SandboxNode
from grader.engine.node_limits import LIMITS, Limits, limited
from grader.engine.node_start import start_node
from grader.errors import EngineFault, KitError

__all__ = ["LIMITS", "Limits", "Sandbox", "SandboxNode", "builder"]

BUILDER_LIMITS = Limits(memory_mb=6144, pids=8000, disk_mb=None)
NEEDED_BYTES = 1024**3
NAMES = ("manager1", "worker1", "worker2")


@dataclass
class Sandbox:
    """Nodes on their own network.

    A sandbox from `create` belongs to this process and is removed with it; `attach` lets another
    process use it. As a context manager it is removed at the end (if it is owned).
    """

    id: str
    engine: Engine
    nodes: list[SandboxNode]
    submission: str
    limits: Limits
    run: reaper.Run | None = None

    @classmethod
    def create(
        cls,
        engine: Engine,
        nodes: int = 1,
        submission: str = "",
        image_set: str | None = None,
        limits: Limits = LIMITS,
        way_out: bool = False,
    ) -> Sandbox:
        """Nodes (1 to 3) with running engines, seeded from the volume `image_set`.

        With `way_out` they reach what this machine reaches, otherwise only the class mirror.
        Objects of dead runs are removed first. Raises EngineFault, and leaves nothing in that case.
        """
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        if not 1 <= nodes <= len(NAMES):
            raise KitError(f"A sandbox has 1 to {len(NAMES)} nodes, not {nodes}.")
        try:
            reaper.reap(engine)
            _prepare(engine)
        except (DockerException, RequestException) as error:
            raise EngineFault(f"The engine does not answer: {error}") from None
        run = reaper.Run.begin(engine, submission)
        try:
            made = _start_all(engine, run, list(NAMES[:nodes]), image_set, limits, way_out)
        except (DockerException, RequestException) as error:
            _remove(run)
            raise EngineFault(f"A sandbox could not be made: {error}") from None
        except BaseException:
            _remove(run)
            raise
        return cls(run.id, engine, made, submission, limits, run)

    @classmethod
    def attach(cls, description: dict[str, Any]) -> Sandbox:
        """The sandbox that another process described; this process does not own it."""
        engine = Engine(**description["engine"])
        nodes = [SandboxNode(engine=engine, **fields) for fields in description["nodes"]]
        limits = Limits(**description["limits"])
        return cls(description["id"], engine, nodes, description["submission"], limits)

    def describe(self) -> dict[str, Any]:
        """Everything that `attach` needs, as plain data."""
        return {
            "id": self.id,
            "engine": asdict(self.engine),
            "nodes": [node.describe() for node in self.nodes],
            "submission": self.submission,
            "limits": asdict(self.limits),
        }

    def remove(self) -> None:
        """Remove all of it; Ctrl-C waits until that is done. Safe to call twice."""
        for node in self.nodes:
            node.close()
        if self.run is not None:
            run, self.run = self.run, None
            _remove(run)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.remove()


def _prepare(engine: Engine) -> None:
    if engine.origin == "embedded":
        disk.require(engine_paths.current().home, NEEDED_BYTES, "sandboxes")
    node_image.ensure(engine)


def _start_all(
    engine: Engine,
    run: reaper.Run,
    names: list[str],
    image_set: str | None,
    limits: Limits,
    way_out: bool,
) -> list[SandboxNode]:
    with contextlib.closing(engine.client()) as client:
        choose = egress.open_network if way_out else egress.sandbox_network
        network = choose(engine, client, run)
        if limits.disk_mb is not None and limited(engine):
            # Of all of its nodes at once: else two sandboxes could each get half of theirs.
            disk.reserve(run.id, limits.disks(names))

        def start(name: str) -> SandboxNode:
            node = start_node(
                run,
                client,
                name=name,
                network=network,
                image_set=image_set,
                limits=limits,
            )
            node.wait_ready()
            return node

        # Leaving the pool waits for all of them: nothing appears after a clean-up.
        with ThreadPoolExecutor(len(names)) as pool:
            return list(pool.map(start, names))


def _remove(run: reaper.Run) -> None:
    """Remove a run's objects; what cannot be removed now is left to a later run, and said."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    with unbroken():
        try:
            run.end()
        except (DockerException, RequestException) as error:
            run.abandon()
            say(
                f"The sandbox {run.id} could not be removed completely: {error}. "
                "The kit tries again at its next start or sandbox."
            )


@contextlib.contextmanager
def unbroken(told: str = "Cleaning up, one moment …") -> Iterator[None]:
    """Delay Ctrl-C until the block is done; `told` is printed when it is pressed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        if not pressed:
            say(told)
        pressed.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if pressed:
        raise KeyboardInterrupt


@contextlib.contextmanager
def builder(
    engine: Engine, volume: str, limits: Limits = BUILDER_LIMITS, hub: bool = False
) -> Iterator[SandboxNode]:
    """A node with the volume `volume` (made by the caller) as its /var/lib/docker, to fill it.

    Its engine is stopped cleanly at the end, so that the volume can seed nodes. With `hub` it may
    use Docker Hub.
    """
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    reaper.reap(engine)
    _prepare(engine)
    run = reaper.Run.begin(engine, purpose="builder")
    try:
        with contextlib.closing(engine.client()) as client:
            network = egress.open_network(engine, client, run)
            node = start_node(
                run,
                client,
                name="builder",
                network=network,
                role="builder",
                limits=limits,
                data=volume,
                hub=hub,
            )
            node.wait_ready()
            yield node
            client.api.stop(node.container_id, timeout=60)
    except (DockerException, RequestException) as error:
        raise EngineFault(f"The image set's builder failed: {error}") from None
    finally:
        _remove(run)
