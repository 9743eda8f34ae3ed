"""`marks`: what a tutor needs to mark the questions that a person marks."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from grader.console import say
from grader.errors import KitError

PAGE = "answers.html"
EXAMPLE = """examples:
  python -m grader marks results/lab4-class
  python -m grader marks results/lab4-class --anonymous
  python -m grader marks results/lab4-class --nbgrader course/gradebook.db

The page lists every answer with the rubric. Write points and comments into marks.csv in the results
folder, in any spreadsheet. The kit never overwrites it: later submissions go into a second file;
append its rows. Then: python -m grader export FORMAT RESULTS
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "marks",
        help="write the page of answers to mark, and the file for the marks",
        description="Write a page with all answers to the questions that a person marks, question "
        "by question with the rubric, and a marks.csv to fill in.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("results", type=Path, metavar="RESULTS", help="a class's results folder")
    parser.add_argument(
        "--anonymous",
        action="store_true",
        help="codes instead of names and IDs, in the page and the file",
    )
    parser.add_argument(
        "--nbgrader",
        type=Path,
        metavar="FILE",
        help="take marks from nbgrader: its gradebook.db, or the CSV of `nbgrader export`",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help=f"where the page goes ({PAGE})")
    parser.add_argument("--lab", metavar="DIR", help="the lab's folder, if it is not in this kit")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from grader.classroom import results
    from grader.classroom.exports.template import template
    from grader.classroom.marking import answers, marks, nbgrader_gradebook
    from grader.classroom.reports import answers as page
    from grader.cli.export import write
    from grader.lab import labfile, rubric

    found = results.load(args.results)
    lab = labfile.load(args.lab or found.lab)
    questions = rubric.load(lab)
    if not questions:
        raise KitError(
            f"{lab.id} has no questions that a person marks.",
            remedy=f"Such questions are in {rubric.FILE} in the lab's folder.",
        )
    # Before anything is written: a marks.csv that is wrong stops here.
    given = marks.read(found, questions)
    taken = nbgrader_gradebook.read(args.nbgrader, found, questions) if args.nbgrader else None
    known = {question.id for question in questions}
    worksheets = {
        entry.person.id: answers.read(found.submission(entry.person.id), known)
        for entry in found.entries
        if entry.refused is None
    }
    text = page.render(found, lab, questions, worksheets, given, anonymous=args.anonymous)
    out = args.out or found.folder / PAGE
    write(out / PAGE if out.is_dir() else out, text.encode("utf-8"), own=args.out is None)
    print(out / PAGE if out.is_dir() else out)
    listed = given.listed if taken is None else frozenset()
    rows = template(
        found, questions, worksheets, known=taken, listed=listed, anonymous=args.anonymous
    )
    _write_template(found.marks_file, rows, from_nbgrader=taken is not None)
    if taken is not None:
        say(f"From nbgrader: marks of {len(taken.given)} students.")
        if any(marks.ALL in given for given in taken.given.values()):
            say(
                "Its CSV has only sums and does not say whose marks are complete, so zeros were "
                "not taken. gradebook.db has everything."
            )
    for student, worksheet in sorted(worksheets.items()):
        if worksheet.trouble:
            say(f"  {student}: {worksheet.trouble}")
    return 0


def _holds(file: Path, content: bytes) -> bool:
    from grader.files import private

    try:
        return private.read(file, len(content)) == content
    except OSError:
        return False


def _write_template(file: Path, rows: str | None, *, from_nbgrader: bool) -> None:
    """Write it where no file is yet: marks.csv, else one beside it."""
    from grader.cli.export import write

    if rows is None:
        say(f"Every student has a row in {file} already: nothing was written.")
        return
    content = rows.encode("utf-8", errors="backslashreplace")
    if not file.exists():
        write(file, content)
        print(file)
        return
    stem = "marks-nbgrader" if from_nbgrader else "marks-new"
    names = (f"{stem}{f'-{n}' if n > 1 else ''}.csv" for n in range(1, 1000))
    for other in (file.with_name(name) for name in names):
        if not other.exists():
            write(other, content)
        elif not _holds(other, content):
            continue
        print(other)
        say(
            f"{file.name} is not changed, and it is the file that counts: copy the rows of "
            f"{other.name} into it, or rename it."
        )
        return
