"""Three nodes as containers of this computer's own engine: no virtual machine, up in seconds.

They are sandbox nodes on a kept run. They remain after the command that made them, until `down`,
until their time (`LIFE_HOURS`) is over, or until their engine ends. There is one such group of
three per data directory.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from grader.console import say
from grader.engine import client, find, reaper
from grader.engine.node import SandboxNode
from grader.engine.node_limits import LIMITS
from grader.engine.sandbox import NAMES, Sandbox, unbroken
from grader.errors import EngineFault, KitError
from grader.machines.container_nodes import (
    LIFE_HOURS,
    State,
    all_ended,
    attached,
    listed,
    look,
    replace,
    until,
    why,
)
from grader.machines.provider import UP, Options, Progress, Shell, no_such, none_there

if TYPE_CHECKING:
    from grader.engine.client import Engine
    from grader.nodes.node import Node, Target

KIND = "containers"
PURPOSE = "swarm"
ANSWER_SECONDS = 20


def open_provider(options: Options) -> Containers:
    return Containers(options)


def refuse_loss() -> None:
    """Raise KitError if nodes run on the kit's own engine: they would be lost when it stops."""
    kept = reaper.kept(PURPOSE)
    if kept is None or kept.engine.origin != "embedded":
        return
    engine = client.probe(kept.engine.url, "embedded")
    if engine is not None and any(state.running for state in look(engine, kept).values()):
        raise KitError(
            "The nodes of your swarm run on the kit's engine and would be lost.",
            remedy="Remove them first (nox -s swarm -- down), or add --force.",
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
        states = look(engine, kept)
        ended = [name for name in NAMES if not states[name].running]
        if len(ended) == len(NAMES):
            progress(f"{all_ended(kept)}. New ones are made.")
            with unbroken():
                reaper.take_back(dataclasses.replace(kept, engine=engine)).end()
            self._make(engine, progress)
            return
        for node in attached(engine, kept, states):
            self._wait(node)
        if not ended:
            progress(f"{listed(NAMES)} are up already: nothing to do.")
            return
        for name in ended:
            progress(f"{name} {why(kept, states[name])}: a new one takes its place.")
        replace(engine, kept, ended)

    def _make(self, engine: Engine, progress: Progress) -> None:
        from grader.engine import images

        image_set = images.ensure(engine)
        progress(f"Starting {listed(NAMES)} as containers of {engine.url}")
        limits = dataclasses.replace(LIMITS, life_seconds=LIFE_HOURS * 3600)
        end = time.time() + limits.life_seconds
        with contextlib.ExitStack() as stack:
            sandbox = stack.enter_context(
                Sandbox.create(
                    engine,
                    len(NAMES),
                    image_set=image_set.volume,
                    limits=limits,
                    # They are for what their user types, who may want more than packages.
                    way_out=True,
                )
            )
            assert sandbox.run is not None
            with unbroken():
                sandbox.run.keep(PURPOSE, {"until": end})
                sandbox.run = None

    def _wait(self, node: SandboxNode) -> None:
        try:
            node.wait_ready(ANSWER_SECONDS)
        except EngineFault as fault:
            raise EngineFault(
                f"{node.name} runs and its engine does not answer: {fault.what}",
                remedy="A busy computer needs a moment: try again. If that does not help, begin "
                "again: "
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
        engine = client.probe(kept.engine.url, kept.engine.origin, kept.engine.tls)
        if engine is None:
            reaper.give_up(kept)
            say(
                f"The engine {kept.engine.url} is not running, so the nodes are not, either. The "
                f"kit removes the rest of them when it next uses this engine."
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
        say(f"{listed(NAMES)} are removed.")

    # Looking -----------------------------------------------------------------------------------

    def nodes(self) -> list[Node]:
        engine, kept, states = self._here()
        found: list[Node] = [*attached(engine, kept, states)]
        if not found:
            raise KitError(f"{all_ended(kept)}.", remedy=f"Make new ones: {UP}")
        return found

    def target(self, nodes: int, *, read_only: bool) -> Target:
        from grader.engine.sandbox_target import SandboxTarget

        engine, kept, states = self._here()
        wanted = list(attached(engine, kept, states))[:nodes]
        if len(wanted) < nodes:
            raise KitError(f"Only {len(wanted)} of {nodes} nodes run.", remedy=UP)
        sandbox = Sandbox(kept.id, engine, wanted, submission="", limits=LIMITS)
        return SandboxTarget(sandbox, kind=KIND, read_only=read_only, persistent=True)

    def missing(self) -> Mapping[str, str]:
        _engine, kept, states = self._here()
        return {n: why(kept, state) for n, state in states.items() if not state.running}

    def remarks(self) -> list[str]:
        kept = reaper.kept(PURPOSE)
        if kept is None:
            return []
        end = time.strftime("%A, %d %B, %H:%M", time.localtime(until(kept)))
        return [f"The nodes end automatically on {end}. Everything in them is then lost."]

    def shell(self, name: str, command: Sequence[str]) -> Shell:
        from grader.machines import terminal

        engine, _kept, node = self._node(name)
        return terminal.enter(engine, node.container_id, list(command))

    def docker_host(self, name: str) -> str:
        _engine, _kept, node = self._node(name)
        if node.socket_path is None:
            raise KitError(
                f"The engine of {name} has no socket that this computer can open: this needs "
                f"Linux and root.",
                remedy=f"Run your docker commands on the node: nox -s swarm -- ssh {name}",
            )
        return f"unix://{node.socket_path}"

    # ---------------------------------------------------------------------------------------------

    def _same_engine(self, kept: reaper.Kept) -> None:
        wanted = self.options.engine_url
        if wanted not in (None, kept.engine.url, _option(kept.engine)):
            raise KitError(
                f"The nodes exist already, on the engine {kept.engine.url}.",
                remedy="Leave --engine out; or remove them first: nox -s swarm -- down",
            )

    def _here(self) -> tuple[Engine, reaper.Kept, dict[str, State]]:
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        kept = reaper.kept(PURPOSE)
        if kept is None:
            raise none_there()
        self._same_engine(kept)
        engine = client.probe(kept.engine.url, kept.engine.origin, kept.engine.tls)
        try:
            if engine is not None:
                return engine, kept, look(engine, kept)
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
        for node in attached(engine, kept, states):
            if node.name == name:
                return engine, kept, node
        raise KitError(f"{name} {why(kept, states[name])}.", remedy=f"{UP} makes a new one.")


def _option(engine: Engine) -> str:
    """The engine option for `find.ensure` that leads to that engine."""
    return find.EMBEDDED if engine.origin == "embedded" else engine.url
