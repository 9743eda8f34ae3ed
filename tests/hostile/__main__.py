"""`python -m tests.hostile`: grade the whole corpus, or some of it, and say what got through."""

from __future__ import annotations

import argparse
import itertools
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from grader.engine import find, images
from tests import home
from tests.hostile import cases as corpus
from tests.hostile.cases import KINDS, Case
from tests.hostile.play import Findings, Play

EXAMPLE = """examples:
  nox -s hostile                               all of them
  nox -s hostile -- --kind compose --kind env  of these kinds
  nox -s hostile -- path-double-slash          one case (or those whose names begin so)
  nox -s hostile -- --list                     what there is

exit codes: 0 nothing got through, 1 something did (it is listed), 2 bad usage, 130 stopped
"""


def main(argv: Sequence[str] | None = None) -> int:
    args = _arguments(argv)
    console = Console(highlight=False, soft_wrap=True)
    try:
        chosen = corpus.choose(corpus.load(args.kind or KINDS), args.case)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if args.list:
        for case in chosen:
            console.print(f"{case.kind:11}{case.name:38}{case.tries}", markup=False)
        return 0
    # Also where a shell has started it in the background, and for `kill`.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    started = time.monotonic()
    try:
        found = _play(chosen, args.jobs, console)
    except KeyboardInterrupt:
        console.print("Stopped; everything under way was removed.")
        return 130
    _tell(chosen, found, console)
    console.print(f"{len(chosen)} cases in {time.monotonic() - started:.0f} s.")
    return 0 if found.good else 1


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.hostile",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("case", nargs="*", metavar="CASE", help="names, or how they begin")
    parser.add_argument("--kind", action="append", choices=KINDS, help="only these (repeatable)")
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="side by side (default: what fits, as `grade` says)"
    )
    parser.add_argument("--list", action="store_true", help="say what there is, and run nothing")
    return parser.parse_args(argv)


def _play(chosen: Sequence[Case], jobs: int | None, console: Console) -> Findings:
    def tell(line: str) -> None:
        console.print(f"  noticed: {line[:300]}", markup=False)

    engine = find.ensure(None)
    image_set = images.ensure(engine)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with (
        tempfile.TemporaryDirectory(
            prefix="drydock-hostile-", ignore_cleanup_errors=True
        ) as folder,
        Play.begin(Path(folder) / "run", engine, image_set.volume, jobs, tell) as play,
        Progress(*columns, console=console, disable=not console.is_terminal) as bars,
    ):
        bar = bars.add_task("hostile submissions", total=len(chosen))
        for batch in batches(chosen):
            done = int(bars.tasks[0].completed)
            bars.update(bar, description=f"{batch[0].kind}: {batch[0].name} …")

            def progress(count: int, done: int = done, most: Sequence[Case] = batch) -> None:
                bars.update(bar, completed=done + min(count, len(most)))

            play.play(batch, progress)
            bars.update(bar, completed=done + len(batch))
            for case in batch:
                wrong = play.found.wrong.get(case.name)
                console.print(
                    f"{'ok' if not wrong else 'AMISS':12}{case.kind}/{case.name}",
                    markup=False,
                )
                # At once, too: a run of an hour may be stopped before its summary.
                for line in wrong or ():
                    console.print(f"            - {line}", markup=False)
        play.end()
    return play.found


SIZE = 10
"""Submissions of one class."""


def batches(chosen: Sequence[Case]) -> Iterator[list[Case]]:
    """Classes: cases that can be graded by one command."""
    ordered = sorted(chosen, key=lambda case: case.group)
    for (door, *_), group in itertools.groupby(ordered, key=lambda case: case.group):
        left = list(group)
        size = SIZE if door == "grade" else 1
        while left:
            yield left[:size]
            left = left[size:]


def _tell(chosen: Sequence[Case], found: Findings, console: Console) -> None:
    table = Table("Kind", "Cases", "As they must", "Amiss", title="Hostile submissions")
    count = Counter(case.kind for case in chosen)
    bad = Counter(case.kind for case in chosen if found.wrong.get(case.name))
    for kind in (kind for kind in KINDS if count[kind]):
        table.add_row(kind, str(count[kind]), str(count[kind] - bad[kind]), str(bad[kind] or ""))
    console.print(table)
    for case in chosen:
        if wrong := found.wrong.get(case.name):
            console.print(f"\n{case.kind}/{case.name}: {case.tries}", markup=False)
            console.print(f"  must be: {case.must}", markup=False)
            for line in wrong:
                console.print(f"  - {line}", markup=False)
    for line in found.shared:
        console.print(f"- {line}", markup=False)


if __name__ == "__main__":
    home.enter()
    sys.exit(main())
