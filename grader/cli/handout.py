"""`handout`: write a student's workspace, or bring it up to date."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from grader.cli import student
from grader.console import say
from grader.handout import workspace
from grader.lab import labfile

EXAMPLE = """examples:
  python -m grader handout lab4
  python -m grader handout lab4 --student s1234567 --out ~/practical4
  python -m grader handout lab4 --restore counter/app.py

The kit does not touch what you changed or deleted. --restore writes the original of a
file and keeps yours beside it as FILE.bak. If you delete a whole folder, it
comes back with its starter files.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "handout",
        help="write a student's workspace",
        description="Write a student's workspace: worksheet, starter files, individual values. In "
        "an existing workspace, update the files that the student has not changed.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("lab", help="the lab's name, such as lab4")
    parser.add_argument("--student", metavar="ID", help="whose workspace it is")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write it")
    parser.add_argument(
        "--restore",
        action="append",
        default=[],
        metavar="FILE",
        help="restore the original of this file (repeatable)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    lab = labfile.load(args.lab)
    who = student.choose(lab, args.student, at_home=args.out is None)
    if who.note:
        say(who.note)
    out = args.out.expanduser() if args.out else workspace.default_folder(lab, who.id)
    for line in workspace.write(lab, who.id, out, restore=args.restore).summary(full=True):
        say(line)
    return 0
