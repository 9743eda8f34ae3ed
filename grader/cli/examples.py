"""`examples`: test the lab: every solution gets full marks, every mistake fails as expected."""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from grader.console import say
from grader.errors import KitError
from grader.grading import examples
from grader.lab import labfile
from grader.lab import model as labs
from grader.targets import providers

EXAMPLE = """examples:
  python -m grader examples lab4
  python -m grader examples lab4 compose/solution webserver/mistakes
  python -m grader examples lab4 --render compose/mistakes/no-volume DIR
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "examples",
        help="run the lab's own examples",
        description="Grade the lab's solutions, alternatives and mistakes, and compare each "
        "result with the expected one.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("lab", help="the lab's name, such as lab4")
    parser.add_argument(
        "names", nargs="*", metavar="EXAMPLE", help="only these examples, or all below these paths"
    )
    parser.add_argument("--list", action="store_true", help="list the examples")
    parser.add_argument(
        "--render",
        nargs=2,
        metavar=("EXAMPLE", "DIR"),
        help="write one example as a workspace; run nothing",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=2,
        metavar="N",
        help="number of examples graded at the same time",
    )
    parser.add_argument("--engine", metavar="URL", help="the Docker engine to use")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    lab = labfile.load(args.lab)
    if args.render:
        name, dest = args.render
        (example,) = examples.find(lab, [name])[:1]
        if Path(dest).exists() and any(Path(dest).iterdir()):
            raise KitError("This folder is not empty.", where=dest, remedy="Name a new folder.")
        examples.render(lab, example, lab.demo_student, Path(dest))
        print(dest)
        return 0
    wanted = examples.find(lab, args.names)
    if args.list:
        for example in wanted:
            print(f"{example.name}: {example.about}")
        return 0
    provider = providers.provide_targets(args.engine)
    if provider.unavailable:
        raise KitError(provider.unavailable.reason, remedy=provider.unavailable.remedy)
    started = time.monotonic()
    stop = threading.Event()
    bad = 0
    with ThreadPoolExecutor(max_workers=max(1, args.jobs)) as pool:
        futures = [pool.submit(_one, lab, example, provider, stop) for example in wanted]
        try:
            for count, future in enumerate(futures, start=1):
                compared, seconds = future.result()
                bad += bool(compared.differences)
                _tell(compared, seconds, f"{count}/{len(wanted)}")
        except BaseException:
            stop.set()
            for future in futures:
                future.cancel()
            raise
    say(
        f"{len(wanted) - bad} of {len(wanted)} examples as expected"
        f" in {time.monotonic() - started:.0f} s"
    )
    return 1 if bad else 0


def _one(
    lab: labs.Lab, example: examples.Example, provider: Any, stop: threading.Event
) -> tuple[examples.Compared, float]:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="drydock-example-", ignore_cleanup_errors=True) as tmp:
        compared = examples.run(lab, example, provider, Path(tmp), stop)
    return compared, time.monotonic() - started


def _tell(compared: examples.Compared, seconds: float, count: str) -> None:
    result = compared.result
    sign = "DIFFERS" if compared.differences else "ok"
    print(
        f"{count} {sign:8}{compared.example.name}: {result.score:g} of {result.max_score:g},"
        f" {seconds:.0f} s",
        flush=True,
    )
    for line in compared.differences:
        print(f"    {line}", flush=True)
