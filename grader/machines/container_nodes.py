"""The containers behind `containers`: found by the kept run's ID, replaced one by one."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from grader.engine import packages, reaper
from grader.engine.node import SandboxNode
from grader.engine.node_limits import LIMITS
from grader.engine.node_start import attached_socket, start_node
from grader.engine.sandbox import NAMES, unbroken

if TYPE_CHECKING:
    import docker

    from grader.engine.client import Engine

LIFE_HOURS = 24
LAST_WORD = 60
"""A node with less remaining time than this is not started."""


@dataclasses.dataclass(frozen=True)
class State:
    """The engine's data about a node's container; `found` is empty if there is none."""

    running: bool
    found: Mapping[str, Any]


def look(engine: Engine, kept: reaper.Kept) -> dict[str, State]:
    """The state of each node of the kept run, by name. Raises docker's errors."""
    from docker.errors import NotFound

    states: dict[str, State] = {}
    with contextlib.closing(engine.client()) as client:
        for name in NAMES:
            try:
                found = client.api.inspect_container(f"drydock-{kept.id}-{name}")
            except NotFound:
                found = {}
            running = bool((found.get("State") or {}).get("Running"))
            states[name] = State(running, found)
    return states


def attached(
    engine: Engine, kept: reaper.Kept, states: Mapping[str, State]
) -> Iterator[SandboxNode]:
    """The nodes that run, for use by this process."""
    for name, state in states.items():
        if not state.running:
            continue
        (network,) = state.found["NetworkSettings"]["Networks"].values()
        own = engine.local and packages.is_root()
        yield SandboxNode(
            name=name,
            container_id=str(state.found["Id"]),
            address=str(network["IPAddress"]),
            engine=engine,
            socket=attached_socket(engine, kept.id, name, state.found) if own else None,
        )


def replace(engine: Engine, kept: reaper.Kept, names: Sequence[str]) -> None:
    """Make new nodes for those that ended, beside the running ones; if one fails, none of them
    stays."""
    from grader.engine import egress, images, node_image

    image_set = images.ensure(engine)
    node_image.ensure(engine)
    run = dataclasses.replace(kept, engine=engine).run
    left = max(LAST_WORD, int(until(kept) - time.time()))
    limits = dataclasses.replace(LIMITS, life_seconds=left)
    with contextlib.closing(engine.client()) as client:
        network = _network(client, run.id)
        known = egress.Network(network) if network else egress.open_network(engine, client, run)

        def start(name: str) -> None:
            reaper.clean_node(client, run.id, name)
            node = start_node(
                run,
                client,
                name=name,
                network=known,
                image_set=image_set.volume,
                limits=limits,
            )
            try:
                node.wait_ready()
            finally:
                node.close()

        try:
            # Leaving the pool waits for all of them: nothing appears after a clean-up.
            with ThreadPoolExecutor(len(names)) as pool:
                list(pool.map(start, names))
        except BaseException:
            with unbroken():
                for name in names:
                    reaper.clean_node(client, run.id, name)
            raise


def _network(client: docker.DockerClient, run_id: str) -> str | None:
    found = client.api.networks(filters={"label": f"drydock.run={run_id}"})
    return str(found[0]["Id"]) if found else None


def why(kept: reaper.Kept, state: State) -> str:
    """Why a node does not run: the end of a sentence that begins with its name."""
    if _over(kept):
        return f"ended after {LIFE_HOURS} hours"
    return "has stopped (or the engine did, or the computer)" if state.found else "was removed"


def all_ended(kept: reaper.Kept) -> str:
    if _over(kept):
        return f"{listed(NAMES)} ended after their {LIFE_HOURS} hours"
    return f"{listed(NAMES)} have stopped (or the engine did, or the computer)"


def _over(kept: reaper.Kept) -> bool:
    return time.time() > until(kept) - LAST_WORD


def until(kept: reaper.Kept) -> float:
    """When the nodes end by themselves, in seconds since 1970."""
    return float(kept.facts.get("until") or 0)


def listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
