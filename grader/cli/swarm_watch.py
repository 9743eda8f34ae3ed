"""`swarm watch`: record a service until Ctrl-C, and draw what happened to it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from grader.errors import KitError
from grader.files import private

if TYPE_CHECKING:
    from grader.machines.provider import Provider
    from grader.modules.rollout import Trace


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("service", metavar="SERVICE")
    parser.add_argument(
        "--port",
        type=_port,
        metavar="N",
        help="send requests there, not to the port that the service publishes; 0: send none",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the page to write (./rollout-SERVICE-HHMMSS.html); the trace goes next to it",
    )
    parser.add_argument("--title", default="", metavar="TEXT", help="the title of the page")
    parser.add_argument(
        "--until-updated",
        action="store_true",
        help="stop when an update or rollback that began during the recording has ended",
    )
    parser.add_argument(
        "--seconds", type=_seconds, metavar="N", help="stop after this many seconds at the latest"
    )


def run(args: argparse.Namespace, machines: Provider) -> int:
    from grader.console import say
    from grader.engine.sandbox import unbroken
    from grader.machines import watch, watch_words

    nodes = machines.nodes()
    found = watch.find(nodes, args.service, args.port)
    page = _page(args.out, found.service)
    for name, why in machines.missing().items():
        say(f"{name} is not running and is not watched: {why}.")
    for remark in found.remarks:
        say(remark)
    wishes = watch.Wishes(args.title, args.until_updated, args.seconds)
    ends = ["Ctrl-C"]
    if args.until_updated:
        ends.append("the end of an update")
    if args.seconds is not None:
        ends.append(f"{args.seconds:g} s")
    say(f"Watching {found.service} until {' or '.join(ends)}; the page is written then.")
    with watch_words.shown() as show:
        trace, updated = watch.record(found, wishes, show)
    try:
        # Who is in a hurry presses Ctrl-C twice.
        with unbroken("Writing the page, one moment …"):
            _write(trace, page)
    except KeyboardInterrupt:
        pass
    if args.until_updated and not updated:
        print("No update or rollback ended during the recording.", file=sys.stderr)
        return 1
    return 0


def _page(wanted: Path | None, service: str) -> Path:
    """Where the page goes. KitError now, not when there is something to lose."""
    name = f"rollout-{service}-{time.strftime('%H%M%S')}.html"
    page = wanted or Path(name)
    if page.is_dir():
        page = page / name
    if page.suffix == ".json":
        raise KitError(
            "The page cannot have this name: the trace next to it has it.",
            where=str(page),
            remedy=f"Use --out {page.with_suffix('.html')}",
        )
    try:
        private.folder(page.parent)
    except OSError as error:
        raise _cannot(page, error) from error
    if not os.access(page.parent, os.W_OK):
        raise _cannot(page, PermissionError(13, os.strerror(13)))
    return page


def _write(trace: Trace, page: Path) -> None:
    from grader.files.private import write_text
    from grader.reports import feedback, rollout_words

    print("\n".join(rollout_words.brief(trace, rollout_words.CANNOT_TELL)), end="\n\n")
    data = page.with_suffix(".json")
    try:
        write_text(data, json.dumps(trace.to_json(), ensure_ascii=False) + "\n")
        write_text(page, feedback.render_trace(rollout_words.headline(trace), trace))
    except OSError as error:
        raise _cannot(page, error) from error
    print(f"{data}\n{page}")


def _cannot(page: Path, error: OSError) -> KitError:
    return KitError(
        f"The page cannot be written: {error.strerror or error}.",
        where=str(page),
        remedy="Choose another place with --out.",
    )


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"there is no port {port}")
    return port


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < 86_400:
        raise argparse.ArgumentTypeError("between 0 and a day")
    return seconds
