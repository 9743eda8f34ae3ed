"""`python -m tests.bench`: measure all parts, or some, and write bench.json."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from grader.console import say
from grader.errors import KitError
from grader.paths import KIT
from grader.text.words import count
from tests.bench import classes, growth, machines, measured, stages, submissions, swarms, usage
from tests.bench.setting import Setting

PARTS: dict[str, tuple[Callable[[Setting], None], str]] = {
    "first-run": (submissions.first_run, "from nothing to feedback, in a new data directory"),
    "sandbox": (submissions.sandbox, "sandboxes against a bare dockerd"),
    "compose": (submissions.compose, "the exercise compose, graded and by hand"),
    "swarm": (swarms.swarm, "the exercises swarm and rollout"),
    "recorder": (swarms.recorder, "the recorder of rollouts"),
    "typed": (swarms.typed, "`swarm up`, `join`, `status` and `down`"),
    "unchanged": (submissions.unchanged, "an unchanged workspace, checked again"),
    "small": (classes.small, "20 and 100 small submissions"),
    "class": (classes.class_, "whole labs, side by side and one after the other"),
    "profile": (stages.profile, "where the time of each exercise goes, stage by stage"),
    "growth": (growth.growth, "20, 100 and 400 small submissions, and two workers"),
    "machines": (machines.machines, "three virtual machines (Linux, root)"),
}
ASKED_FOR = ("first-run", "profile", "growth", "machines")
"""Parts that are measured only if they are named."""
SHORTHANDS = ("profile", "growth", "machines")
FILE = KIT / "bench.json"
BUSY = 0.25
"""With more processors than this at work for others, figures say little."""

EXAMPLE = """examples:
  nox -s bench                                    all parts but {}
  nox -s bench -- --only sandbox --only compose   these parts
  nox -s bench -- --profile                       where the time goes
  nox -s bench -- --only class --students 20 --apart 4 --against ../drydock-1.0

Rows are printed and written to bench.json as they are measured; Ctrl-C keeps them.
""".format(", ".join(ASKED_FOR))


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments(argv)
    busy = usage.others()
    if busy > BUSY:
        say(f"The machine is not quiet: {busy:.1f} processors work for other programs.")
        say("Times are too long, and waiting is not recognised. Measure again without them.")
    report = measured.Report(FILE, {**measured.facts(), "busy_processors": round(busy, 2)})
    setting = Setting(
        report,
        repeat=args.repeat,
        students=args.students,
        apart=args.apart,
        against=args.against,
    )
    failed: list[str] = []
    try:
        if args.against:
            classes.older(args.against)  # refuses it before anything is measured
        for name in args.parts:
            setting.part = name
            say(f"{name}: {PARTS[name][1]}")
            try:
                PARTS[name][0](setting)
            except SystemExit as error:
                failed.append(name)
                say(f"{name} was not measured: {error}")
    except KeyboardInterrupt:
        say(f"Stopped. {kept(report)}")
        return 130
    except KitError as error:
        say(str(error))
        return error.exit_code
    say(kept(report))
    return 1 if failed else 0


def kept(report: measured.Report) -> str:
    if not report.rows:
        return "Nothing was measured."
    return f"{count(len(report.rows), 'row')} in {report.file}"


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options; `parts` are the names of the parts to measure, in the order of PARTS."""
    parser = argparse.ArgumentParser(
        prog="nox -s bench --",
        description="Measure the kit on this machine. Parts:\n\n"
        + "\n".join(f"  {name:12}{what}" for name, (_, what) in PARTS.items()),
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        choices=PARTS,
        metavar="NAME",
        help="measure this part (repeatable)",
    )
    for name in SHORTHANDS:
        parser.add_argument(
            f"--{name}",
            action="append_const",
            dest="only",
            const=name,
            help=f"short for --only {name}",
        )
    parser.add_argument(
        "--repeat", type=_number, default=5, metavar="N", help="runs of each figure (default: 5)"
    )
    parser.add_argument(
        "--students",
        type=_number,
        default=4,
        metavar="N",
        help="class: whole labs (minutes each; default: 4)",
    )
    parser.add_argument(
        "--apart",
        type=_number,
        metavar="N",
        help="class: how many of them are also graded one after the other (default: all)",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="DIR",
        help="class: an older checkout of the kit, with its own environment; it grades the same"
        " submissions, with its own engine and data directory",
    )
    args = parser.parse_args(argv)
    chosen = args.only or [name for name in PARTS if name not in ASKED_FOR]
    args.parts = [name for name in PARTS if name in chosen]
    if args.against and "class" not in args.parts:
        parser.error("--against goes with the part class")
    return args


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("use 1 or more")
    return number


if __name__ == "__main__":
    sys.exit(main())
