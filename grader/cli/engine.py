"""`engine start|stop|status`: the kit's own Docker engine."""

from __future__ import annotations

import argparse
import json

EXAMPLE = """examples:
  python -m grader engine status
  python -m grader engine start      starts the kit's own engine, even if there is another one
  python -m grader engine stop       stops it; the image set stays
  python -m grader engine stop --force   even if a swarm's nodes run on it, which end then
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "engine",
        help="start, stop or look at the kit's own Docker engine",
        description="Start, stop or look at the kit's own Docker engine. The kit starts it by "
        "itself when it is needed and no other engine answers.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", choices=["start", "stop", "status"])
    parser.add_argument(
        "--engine", metavar="URL", help="status: the engine to look at, as in DOCKER_HOST"
    )
    parser.add_argument("--force", action="store_true", help="stop: end a swarm's nodes, too")
    parser.add_argument("--json", action="store_true", help="status as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.action == "start":
        return _start()
    if args.action == "stop":
        return _stop(force=args.force)
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
    stopped = embedded.shut_down()
    print("The kit's engine is stopped." if stopped else "The kit's engine was not running.")
    return 0


def _status(url: str | None, *, as_json: bool) -> int:
    """0 if an engine answers, else 3."""
    from grader.engine import embedded, find

    where = embedded.place()
    health = embedded.health(where)
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
            print("No Docker engine answers; the kit starts its own one when it needs one.")
        else:
            print(
                f"The kit uses {engine.url} (found by: {engine.origin}), Docker "
                f"{engine.version}, isolation of sandboxes: {engine.isolation}."
            )
    return 0 if engine is not None else 3


SENTENCES = {
    "running": "runs",
    "stopped": "does not run",
    "dead": "was killed; the next start replaces it",
    "hung": "runs but does not answer; the next start replaces it",
}
