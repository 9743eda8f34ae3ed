"""`release`: the zip that students get."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from grader import paths
from grader.errors import KitError
from grader.lab import labfile
from grader.release import student_zip

EXAMPLE = """examples:
  python -m grader release lab4
  python -m grader release lab4 --out ~/course/lab4.zip

In it: the lab's starter files and checks, and the parts of the kit that students need. Not in it:
solutions, mistakes, the rubric, hidden checks (files that end in _hidden.py), tests and tutors'
commands.
The same files make the same zip, byte for byte.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "release",
        help="make the zip that students get",
        description="Pack a lab for students, without what only tutors need.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("lab", help="the lab's name, such as lab4")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the zip goes (dist/)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    lab = labfile.load(args.lab)
    out = (args.out or paths.KIT / "dist" / student_zip.name(lab)).expanduser()
    if out.is_dir():
        out = out / student_zip.name(lab)
    elif out.suffix != ".zip":
        raise KitError("A release is a zip.", where=str(out), remedy="Let its name end in .zip.")
    made = student_zip.make(lab, out)
    print(f"{lab.title}: {made.files} files, {made.size / 1_000_000:.1f} MB.")
    print(f"Its students' commands: {', '.join(student_zip.COMMANDS)}.")
    if made.hidden:
        what = (
            "1 file of hidden checks"
            if made.hidden == 1
            else f"{made.hidden} files of hidden checks"
        )
        print(f"Not in it: {what}; so its points are missing in what your students see.")
    print()
    print(f"Give your students this file: {made.file.resolve()}")
    return 0
