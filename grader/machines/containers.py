"""Three nodes as containers of this computer's own engine: no virtual machine, up in seconds.

They are sandbox nodes on a kept run: they outlive the command that made them, and go with
`down`, with their time (`LIFE_HOURS`), or with their engine. There is one such trio per data
directory.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from grader.console import say
from grader.engine import embedded, find, packages, reaper
from grader.engine.node import LIMITS, SandboxNode, start_node
from grader.engine.sandbox import NAMES, Sandbox, unbroken
from grader.errors import EngineFault, KitError
from grader.machines.provider import UP, Options, Progress, Shell, no_such, none_there
from grader.targets.sandbox import Member

if TYPE_CHECKING:
    import docker

    from grader.engine.find import Engine
    from grader.targets.node import Node, Target

KIND = "containers"
PURPOSE = "swarm"
LIFE_HOURS = 24
LAST_WORD = 60
"""Seconds that a node needs to be worth starting."""
ANSWER_SECONDS = 20


def open_provider(options: Options) -> Containers:
    return Containers(options)


def refuse_loss() -> None:
    """KitError if nodes run on the kit's own engine: they would not survive its stop."""
    kept = reaper.kept(PURPOSE)
    if kept is None or kept.engine.origin != "embedded":
        return
    engine = find.probe(kept.engine.url, "embedded")
    if engine is not None and any(state.running for state in _states(engine, kept).values()):
        raise KitError(
            "The nodes of your swarm run on the kit's engine, and would be lost with it.",
            remedy="Remove them first (nox -s swarm -- down); or add --force.",
        )


class Containers:
    """See grader.machines.provider.Provider."""

    kind = KIND

    def __init__(self, options: Options) -> None:
        self.options = options

    # Making and removing -----------------------------------------------------------------------

    def up(self, progress: Progress) -> None:
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        try:
            self._up(progress)
        except (DockerException, RequestException) as error:
            raise EngineFault(f"The nodes could not be made: {error}") from None

    def _up(self, progress: Progress) -> None:
        kept = reaper.kept(PURPOSE)
        if kept is None:
            self._make(find.ensure(self.options.engine_url), progress)
            return
        self._same_engine(kept)
        engine = find.ensure(_option(kept.engine))
        states = _states(engine, kept)
        ended = [name for name in NAMES if not states[name].running]
        if len(ended) == len(NAMES):
            progress(f"The nodes of before {_why(kept, states[NAMES[0]])}: they are made anew.")
            with unbroken():
                reaper.take_back(dataclasses.replace(kept, engine=engine)).end()
            self._make(engine, progress)
            return
        for node in _attached(engine, kept, states):
            self._wait(node)
        if not ended:
            progress(f"{_listed(NAMES)} are up already: nothing is changed.")
            return
        for name in ended:
            progress(f"{name} {_why(kept, states[name])}: a new one takes its place.")
        _replace(engine, kept, ended)

    def _make(self, engine: Engine, progress: Progress) -> None:
        from grader.engine import images

        image_set = images.ensure(engine)
        progress(f"Starting {_listed(NAMES)} as containers of {engine.url}")
        limits = dataclasses.replace(LIMITS, life_seconds=LIFE_HOURS * 3600)
        until = time.time() + limits.life_seconds
        with contextlib.ExitStack() as stack:
            sandbox = stack.enter_context(
                Sandbox.create(engine, len(NAMES), image_set=image_set.volume, limits=limits)
            )
            assert sandbox.run is not None
            with unbroken():
                sandbox.run.keep(PURPOSE, {"until": until})
                sandbox.run = None

    def _wait(self, node: SandboxNode) -> None:
        try:
            node.wait_ready(ANSWER_SECONDS)
        except EngineFault as fault:
            raise EngineFault(
                f"{node.name} runs and its engine does not answer: {fault.what}",
                remedy="A busy computer needs a moment: try again. If it stays so, begin anew: "
                f"nox -s swarm -- down, then {UP}",
            ) from None
        finally:
            node.close()

    def down(self) -> None:
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        kept = reaper.kept(PURPOSE)
        if kept is None:
            say("There are no nodes to remove.")
            return
        engine = find.probe(kept.engine.url, kept.engine.origin, kept.engine.tls)
        if engine is None:
            reaper.give_up(kept)
            say(
                f"The engine {kept.engine.url} does not run, and so do the nodes; what it still "
                "has of them is removed when the kit uses it next."
            )
            return
        try:
            with unbroken():
                reaper.take_back(dataclasses.replace(kept, engine=engine)).end()
        except (DockerException, RequestException) as error:
            raise EngineFault(
                f"The nodes could not be removed: {error}",
                remedy="The next start of the kit tries again.",
            ) from None
        say(f"{_listed(NAMES)} are removed.")

    # Looking -----------------------------------------------------------------------------------

    def nodes(self) -> list[Node]:
        engine, kept, states = self._here()
        found: list[Node] = [Member(node) for node in _attached(engine, kept, states)]
        if not found:
            raise KitError(
                f"The nodes {_why(kept, states[NAMES[0]])}.", remedy=f"Make new ones: {UP}"
            )
        return found

    def target(self, nodes: int, *, live: bool) -> Target:
        from grader.targets.sandbox import SandboxTarget

        engine, kept, states = self._here()
        wanted = list(_attached(engine, kept, states))[:nodes]
        if len(wanted) < nodes:
            raise KitError(f"Only {len(wanted)} of {nodes} nodes run.", remedy=UP)
        sandbox = Sandbox(kept.id, engine, wanted, submission="", limits=LIMITS)
        return SandboxTarget(sandbox, kind=KIND, live=live, kept=True)

    def missing(self) -> Mapping[str, str]:
        _engine, kept, states = self._here()
        return {n: _why(kept, state) for n, state in states.items() if not state.running}

    def remarks(self) -> list[str]:
        kept = reaper.kept(PURPOSE)
        if kept is None:
            return []
        end = time.strftime("%A, %d %B, %H:%M", time.localtime(_until(kept)))
        return [f"The nodes end by themselves on {end}, with all that is in them."]

    def shell(self, name: str, command: Sequence[str]) -> Shell:
        from grader.machines import terminal

        engine, _kept, node = self._node(name)
        return terminal.enter(engine, node.container_id, list(command))

    def docker_host(self, name: str) -> str:
        _engine, _kept, node = self._node(name)
        if node.socket is None:
            raise KitError(
                f"The engine of {name} has no socket that this computer can open: that takes "
                "Linux, and root.",
                remedy=f"Type your docker commands on the node: nox -s swarm -- ssh {name}",
            )
        return f"unix://{node.socket}"

    # ---------------------------------------------------------------------------------------------

    def _same_engine(self, kept: reaper.Kept) -> None:
        wanted = self.options.engine_url
        if wanted not in (None, kept.engine.url, _option(kept.engine)):
            raise KitError(
                f"The nodes are there already, on the engine {kept.engine.url}.",
                remedy="Leave --engine out; or remove them first: nox -s swarm -- down",
            )

    def _here(self) -> tuple[Engine, reaper.Kept, dict[str, State]]:
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        kept = reaper.kept(PURPOSE)
        if kept is None:
            raise none_there()
        self._same_engine(kept)
        engine = find.probe(kept.engine.url, kept.engine.origin, kept.engine.tls)
        try:
            if engine is not None:
                return engine, kept, _states(engine, kept)
        except (DockerException, RequestException):
            pass
        raise EngineFault(
            f"The engine of the nodes does not answer ({kept.engine.url}); they ended with it.",
            remedy=f"Make new ones: {UP}",
        )

    def _node(self, name: str) -> tuple[Engine, reaper.Kept, SandboxNode]:
        if name not in NAMES:
            raise no_such(name, NAMES)
        engine, kept, states = self._here()
        for node in _attached(engine, kept, states):
            if node.name == name:
                return engine, kept, node
        raise KitError(f"{name} {_why(kept, states[name])}.", remedy=f"{UP} makes a new one.")


@dataclasses.dataclass(frozen=True)
class State:
    """What the engine says of a node's container; `found` is empty where there is none."""

    running: bool
    found: Mapping[str, Any]


def _states(engine: Engine, kept: reaper.Kept) -> dict[str, State]:
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


def _attached(
    engine: Engine, kept: reaper.Kept, states: Mapping[str, State]
) -> Iterator[SandboxNode]:
    for name, state in states.items():
        if not state.running:
            continue
        (network,) = state.found["NetworkSettings"]["Networks"].values()
        socket = embedded.place().nodes / kept.id / name / "engine.sock"
        own = engine.local and packages.is_root()
        yield SandboxNode(
            name=name,
            container_id=str(state.found["Id"]),
            address=str(network["IPAddress"]),
            engine=engine,
            socket=str(socket) if own else None,
        )


def _replace(engine: Engine, kept: reaper.Kept, names: Sequence[str]) -> None:
    """New nodes for those that ended, beside the living ones; none of them stays if one fails."""
    from grader.engine import egress, images, node_image

    image_set = images.ensure(engine)
    node_image.ensure(engine)
    run = dataclasses.replace(kept, engine=engine).run
    left = max(LAST_WORD, int(_until(kept) - time.time()))
    limits = dataclasses.replace(LIMITS, life_seconds=left)
    with contextlib.closing(engine.client()) as client:
        network = _network(client, run.id) or egress.make_network(engine, client, run)

        def start(name: str) -> None:
            reaper.clean_node(client, run.id, name)
            node = start_node(
                run,
                client,
                name=name,
                network=network,
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


def _why(kept: reaper.Kept, state: State) -> str:
    if time.time() > _until(kept) - LAST_WORD:
        return f"ended after their time of {LIFE_HOURS} hours"
    return "stopped (or the engine did, or the computer)" if state.found else "was removed"


def _until(kept: reaper.Kept) -> float:
    return float(kept.facts.get("until") or 0)


def _option(engine: Engine) -> str:
    """How `find.ensure` is asked for that engine."""
    return find.EMBEDDED if engine.origin == "embedded" else engine.url


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
