"""`engine start|stop|status|mirror`: the kit's own Docker engine, and the class mirror on it."""

from __future__ import annotations

import argparse
import json

EXAMPLE = """examples:
  python -m grader engine status
  python -m grader engine start      starts the kit's own engine, even if there is another one
  python -m grader engine stop       stops it; the image set stays
  python -m grader engine stop --force   even if a swarm's nodes run on it; they end with it
  python -m grader engine mirror     what the class mirror has fetched and stored
  python -m grader engine mirror --clear   removes it and what it has stored
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "engine",
        help="start or stop the kit's own Docker engine, or show its state",
        description="Start or stop the kit's own Docker engine, or show its state. The kit starts "
        "it when it needs an engine and no other one answers.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", choices=["start", "stop", "status", "mirror"])
    parser.add_argument(
        "--engine", metavar="URL", help="status, mirror: the engine to use, as in DOCKER_HOST"
    )
    parser.add_argument("--force", action="store_true", help="stop: end a swarm's nodes, too")
    parser.add_argument(
        "--clear", action="store_true", help="mirror: remove it and the packages it has stored"
    )
    parser.add_argument("--json", action="store_true", help="status: print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.action == "start":
        return _start()
    if args.action == "stop":
        return _stop(force=args.force)
    if args.action == "mirror":
        return _mirror(args.engine, clear=args.clear, as_json=args.json)
    return _status(args.engine, as_json=args.json)


def _start() -> int:
    from grader.engine import find

    engine = find.ensure(find.EMBEDDED)
    print(f"The kit's engine {engine.version} runs at {engine.url}.")
    return 0


def _stop(*, force: bool) -> int:
    from grader.engine import embedded
    from grader.machines import containers

    if not force:
        containers.refuse_loss()
    _remove_mirrors()
    stopped = embedded.shut_down()
    print("The kit's engine is stopped." if stopped else "The kit's engine was not running.")
    return 0


def _remove_mirrors() -> None:
    """The kit's container on each engine that it may have used; what it has kept stays."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    from grader.console import say
    from grader.engine import find, mirror
    from grader.errors import KitError

    own = find.own()
    engines = {engine.url: engine for engine in (find.find(), own) if engine is not None}
    for engine in engines.values():
        try:
            # Another engine goes on, and so may sandboxes on it.
            mirror.remove(engine, idle=own is None or engine.url != own.url)
        except (DockerException, RequestException, KitError) as error:
            say(f"The class mirror on {engine.url} could not be removed: {error}")


def _mirror(url: str | None, *, clear: bool, as_json: bool) -> int:
    """0 if an engine answers, else 3."""
    from dataclasses import asdict

    from grader.engine import find, mirror
    from grader.engine.mirror import status

    engine = find.find(url)
    if engine is None:
        print("No Docker engine answers, so there is no class mirror.")
        return 3
    if clear:
        mirror.remove_cache(engine)
        print("The class mirror and the packages that it had stored are removed.")
        return 0
    found = status.look(engine)
    if as_json:
        print(json.dumps(asdict(found)))
        return 0
    kept = f"It stores {found.cache_bytes / 1e6:.0f} MB of packages."
    if not found.running:
        print(f"The class mirror is not running; the next sandbox starts it. {kept}")
        return 0
    print(f"The class mirror runs on {engine.url}. Sandboxes that use it now: {found.sandboxes}.")
    print(f"It serves packages of {', '.join(found.names)}.")
    print(
        f"Since it started: {found.from_cache} requests answered from its store, "
        f"{found.from_outside} passed on, {found.refused} refused. {kept}"
    )
    return 0


def _status(url: str | None, *, as_json: bool) -> int:
    """0 if an engine answers, else 3."""
    from grader.engine import engine_paths, engine_state, find

    where = engine_paths.current()
    health = engine_state.health(where)
    engine = find.find(url)
    if as_json:
        print(
            json.dumps(
                {
                    "embedded": health,
                    "data": str(where.data),
                    "engine": None
                    if engine is None
                    else {
                        "url": engine.url,
                        "origin": engine.origin,
                        "isolation": engine.isolation,
                        "version": engine.version,
                    },
                }
            )
        )
    else:
        print(f"The kit's own engine: {SENTENCES[health]} (data in {where.data})")
        if engine is None:
            print("No Docker engine answers; the kit starts its own when it needs one.")
        else:
            print(
                f"The kit uses {engine.url} (found by: {engine.origin}), Docker "
                f"{engine.version}, isolation of sandboxes: {engine.isolation}."
            )
            from grader.engine import mirror

            state = "runs" if mirror.runs(engine) else "is not running; the next sandbox starts it"
            print(f"The class mirror {state}.")
    return 0 if engine is not None else 3


SENTENCES = {
    "running": "runs",
    "stopped": "does not run",
    "dead": "was killed; the next start replaces it",
    "hung": "runs but does not answer; the next start replaces it",
}
