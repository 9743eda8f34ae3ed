"""`new-lab`: the skeleton of a lab."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from grader import paths
from grader.lab import scaffold

EXAMPLE = """examples:
  python -m grader new-lab lab5
  python -m grader new-lab lab5 --title "Practical 5: Kubernetes"
  python -m grader new-lab lab6 --runbook

It makes labs/lab5 and templates/lab5 with one exercise that can be graded at once:
  python -m grader check lab5 --demo      the demo student's solution: full points
  python -m grader examples lab5          solution and mistakes, each with its exact result
docs/writing-a-lab.md explains the next steps.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "new-lab",
        help="make the skeleton of a lab",
        description="Make a new lab with one small exercise, which you then change.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", help="the lab's name: small letters, digits and _")
    parser.add_argument("--title", metavar="TEXT", help="the title of its pages")
    parser.add_argument(
        "--runbook",
        action="store_true",
        help="make an exercise of docker commands, checked step by step (default: an image)",
    )
    parser.add_argument(
        "--in",
        dest="root",
        type=Path,
        default=paths.KIT,
        metavar="DIR",
        help="where labs/ and templates/ are (default: this kit)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    kind = scaffold.RUNBOOK if args.runbook else scaffold.PAGE
    root = args.root.expanduser().absolute()
    lab, handout = scaffold.make(args.name, args.title, root, kind)
    print(f"{lab}: lab.yaml, checks, examples.")
    print(f"{handout}: what students get.")
    print()
    own = args.name if args.root == paths.KIT else lab
    print(f"See it graded: python -m grader check {own} --demo")
    print("Then: docs/writing-a-lab.md")
    return 0
