"""The command line: one module per command, loaded only when it is needed."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from grader import __version__
from grader.errors import KitError

_ALL = {
    "check": "grade a workspace (and make it the first time); show points, reasons and hints",
    "submit": "pack a workspace into the archive to hand in",
    "grade": "grade a class: everything that was handed in, side by side",
    "worker": "grade submissions for a batch that runs on another machine",
    "handout": "write a student's workspace: individual worksheet and starter files",
    "marks": "write the page of answers to mark, and the file for the marks",
    "export": "export a class's points to an LMS or a spreadsheet",
    "report": "make the pages of a record or of a class again",
    "images": "build, list, save, load or verify the image set",
    "swarm": "a swarm of your own: manager1, worker1, worker2",
    "box": "build the Vagrant box for rooms without network",
    "engine": "start or stop the kit's own Docker engine, or show its state",
    "doctor": "show what is installed, what is missing, and how to fix it",
    "examples": "run the lab's own solutions and mistakes, and compare each result with the "
    "expected one",
    "release": "make the zip that students get: no solutions, no tutors' commands",
    "new-lab": "make the skeleton of a lab, which is graded at once",
}
"""Each command's module in this package and what `--help` says of it."""

COMMANDS = {
    name: about
    for name, about in _ALL.items()
    if Path(__file__).with_name(f"{name.replace('-', '_')}.py").is_file()
}
"""Those that are here: a student's release has some of them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (0, 1, 2, 3 as in docs, 130 after Ctrl-C)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    signal.signal(signal.SIGTERM, _as_interrupt)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character must not end the command.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        args = _parser(arguments).parse_args(arguments)
        return int(args.run(args))
    except KitError as error:
        tell(error)
        return error.exit_code
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130


def _parser(arguments: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="drydock" if Path(sys.argv[0]).stem == "drydock" else "python -m grader",
        description="Drydock: individual Docker practicals, graded by running them.",
        epilog="Every command has help with examples: python -m grader check --help",
    )
    parser.add_argument("--version", action="version", version=f"drydock {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    wanted = next((word for word in arguments if not word.startswith("-")), None)
    for name, about in COMMANDS.items():
        if name == wanted:
            importlib.import_module(f"grader.cli.{name.replace('-', '_')}").add_parser(subparsers)
            if {"-h", "--help"} & set(arguments):
                _about_its_lab(subparsers.choices[name])
        else:
            subparsers.add_parser(name, help=about, add_help=False)
    return parser


def _about_its_lab(parser: argparse.ArgumentParser) -> None:
    """Let the examples be about a lab that this kit has: a student's release has one."""
    from grader.lab import labfile

    other = labfile.usual()
    parser.epilog = parser.epilog and parser.epilog.replace(labfile.USUAL, other)
    for action in parser._actions:
        if action.help:
            action.help = action.help.replace(labfile.USUAL, other)


def tell(error: KitError) -> None:
    """What is wrong, where, and what to do, on standard error."""
    place = f"{error.where}: " if error.where else ""
    print(f"{place}{error.what}", file=sys.stderr)
    if error.remedy:
        print(f"  {error.remedy}", file=sys.stderr)


def _as_interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
