"""Which Docker engine the kit uses: the user's own, or the kit's embedded one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from grader.console import say
from grader.engine import embedded, engine_paths, engine_state, packages
from grader.engine.client import Engine, probe, tls_of_environment
from grader.errors import EngineFault, NoEngine

if TYPE_CHECKING:
    pass


EMBEDDED = "embedded"
"""As an engine option: use the kit's own engine, even if there is another one."""


def find(url: str | None = None) -> Engine | None:
    """Find an engine that answers, in this order: the option's, DOCKER_HOST's, that of a context
    that the user chose, the kit's own, the default context's.

    The kit's own engine comes before one that only happens to run (installing Docker's packages
    starts an engine on some machines), so the kit stays with the engine that has its image set. An
    engine that does not answer is skipped, unless `url` asks for it ("embedded" asks for the kit's
    own): then EngineFault is raised.
    """
    if url == EMBEDDED:
        return own()
    if url is not None:
        engine = probe(url, "option", tls_of_environment(url))
        if engine is None:
            raise EngineFault(
                f"No Docker engine answers at {url}.",
                remedy="Correct the option, or leave it out: the kit then looks for an engine.",
            )
        return engine
    return _environments() or of_context(chosen=True) or own() or of_context(chosen=False)


def _environments() -> Engine | None:
    named = os.environ.get("DOCKER_HOST")
    if not named:
        return None
    if named.startswith(f"unix://{engine_paths.current().nodes}/"):
        say("DOCKER_HOST is a node of your swarm: looking elsewhere for the kit's engine.")
        return None
    engine = probe(named, "environment", tls_of_environment(named))
    if engine is None:
        say(f"No engine answers at DOCKER_HOST={named}: looking elsewhere.")
    return engine


def of_context(*, chosen: bool) -> Engine | None:
    """The current context's engine, if the user chose that context (or did not, as `chosen`
    says)."""
    from docker.context import ContextAPI
    from docker.errors import DockerException

    try:
        context = ContextAPI.get_context(os.environ.get("DOCKER_CONTEXT") or None)
    except (DockerException, OSError, ValueError, KeyError):
        return None
    if context is None or not context.Host or (context.Name != "default") != chosen:
        return None
    folder = Path(str(context.tls_path)) / "docker"
    # docker-py writes Unix sockets in a way of its own.
    host = str(context.Host).replace("http+unix://", "unix://")
    return probe(host, "context", str(folder) if (folder / "ca.pem").is_file() else None)


def own() -> Engine | None:
    """The kit's own engine, if it runs, answers, and has its data."""
    where = engine_paths.current()
    if not where.socket.exists() or not engine_state.there(where.data):
        return None
    return probe(where.url, "embedded")


def ensure(url: str | None = None) -> Engine:
    """Like `find`, but start the embedded engine if none answers (and install it if the user may).

    Raises NoEngine with a hint if that is impossible.
    """
    engine = find(url)
    if engine is None or (engine.origin == "context" and _rather_embedded()):
        _start_embedded()
        engine = own()
    if engine is None:
        raise NoEngine(
            "The kit's own engine started but does not answer.", remedy=engine_state.REMEDY
        )
    from grader.engine import reaper

    reaper.reap(engine)
    return engine


def _rather_embedded() -> bool:
    """Whether the kit's own engine worked here before (but it or the machine was stopped), and
    the user chose no context: then it is restarted, not replaced by another engine."""
    where = engine_paths.current()
    used = where.data.is_dir() and any(where.data.iterdir())
    return used and of_context(chosen=True) is None and packages.may_be_root()


def _start_embedded() -> None:
    from filelock import Timeout

    where = engine_paths.current()
    try:
        with engine_state.start_lock(where):
            if engine_state.health(where) != "running":
                embedded.start(where)
    except Timeout:
        raise EngineFault(
            "Another run of the kit has been starting the engine for ten minutes.",
            where=str(where.home / "engine.lock"),
            remedy="Stop that run and try again.",
        ) from None
