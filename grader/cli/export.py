"""`export`: a class's points for an LMS, a spreadsheet or a CI server."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.console import say
from grader.errors import KitError
from grader.files import private
from grader.reports.text import visible

if TYPE_CHECKING:
    from grader.classroom.exports.export import Export
    from grader.classroom.exports.rows import Row
    from grader.lab.model import Lab
    from grader.lab.rubric import Question

FORMATS = {
    "plain": "the points of all students (grades.csv)",
    "moodle": "fill in the grading worksheet that Moodle gave you (--worksheet)",
    "canvas": "one assignment of the gradebook that Canvas gave you (--worksheet, --assignment)",
    "gradescope": "a results.json per student",
    "nbgrader": "the grades file that nbgrader itself would write",
    "junit": "JUnit XML, a suite per student",
}
NAMELESS = ("plain", "junit")
EXAMPLE = """formats:
{formats}

examples:
  python -m grader export plain results/lab4-class
  python -m grader export moodle results/lab4-class --worksheet ~/Downloads/Grades-lab4.csv
  python -m grader export canvas results/lab4-class --worksheet grades.csv --assignment 4711

Points are those of the checks plus the marks in marks.csv, minus what the lab takes off for being
late. Students who could not be graded, or wait for marks, get no number and are listed.
""".replace("{formats}", "\n".join(f"  {name:<11}{about}" for name, about in FORMATS.items()))


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "export",
        help="export a class's points to an LMS or a spreadsheet",
        description="Write a class's points in the format of another system. This grades nothing "
        "and never overwrites your own files.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("format", choices=FORMATS, metavar="FORMAT", help=", ".join(FORMATS))
    parser.add_argument("results", type=Path, metavar="RESULTS", help="a class's results folder")
    parser.add_argument(
        "--worksheet", type=Path, metavar="FILE", help="the file that you downloaded from the LMS"
    )
    parser.add_argument("--assignment", metavar="NAME", help="Canvas: the assignment's title or ID")
    parser.add_argument("--scale", action="store_true", help="convert points to the LMS's maximum")
    parser.add_argument(
        "--without-marks", action="store_true", help="leave the questions out of points and maximum"
    )
    parser.add_argument("--anonymous", action="store_true", help="codes instead of names and IDs")
    parser.add_argument("--out", type=Path, metavar="PATH", help="the file or folder to write")
    parser.add_argument("--lab", metavar="DIR", help="the lab's folder, if it is not in this kit")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from grader.classroom import pseudonym, results
    from grader.classroom.exports import rows as exported
    from grader.classroom.marking import marks
    from grader.lab import labfile, rubric

    _check(args)
    found = results.load(args.results)
    lab = labfile.load(args.lab or found.lab)
    questions = () if args.without_marks else rubric.load(lab)
    rows = exported.rows(found, lab, questions, marks.read(found, questions) if questions else None)
    codes = pseudonym.codes(found) if args.anonymous else None
    made = _made(args, rows, lab, questions, codes)
    for path in _write(made, found.folder, args):
        print(path)
    _tell(made, rows, args.results)
    if found.unmatched and not args.anonymous:
        say(f"Unmatched submissions; not exported: {len(found.unmatched)}.")
        for one in found.unmatched:
            say(f"  {visible(one.source)}: {visible(one.reason)}")
    return 0


def _check(args: argparse.Namespace) -> None:
    wanted = {"moodle": "grading worksheet", "canvas": "exported gradebook"}.get(args.format)
    if wanted and args.worksheet is None:
        raise KitError(
            f"{args.format.capitalize()} needs its own {wanted}, to fill it in.",
            remedy="Download it there, then name it with --worksheet FILE.",
        )
    if args.anonymous and args.format not in NAMELESS:
        raise KitError(
            f"{args.format.capitalize()} needs names and IDs.",
            remedy=f"--anonymous goes with {' and '.join(NAMELESS)}.",
        )
    for option, name, formats in (
        (args.worksheet, "--worksheet", ("moodle", "canvas")),
        (args.scale, "--scale", ("moodle", "canvas")),
        (args.assignment, "--assignment", ("canvas",)),
    ):
        if option and args.format not in formats:
            raise KitError(f"{name} goes with {' and '.join(formats)} only.")


def _made(
    args: argparse.Namespace,
    rows: list[Row],
    lab: Lab,
    questions: tuple[Question, ...],
    codes: dict[str, str] | None,
) -> Export:
    from grader.classroom import csvfile
    from grader.classroom.exports import canvas, gradescope, junit, moodle, nbgrader, plain

    if args.format == "moodle":
        return moodle.export(rows, csvfile.read(args.worksheet), scale=args.scale)
    if args.format == "canvas":
        gradebook = csvfile.read(args.worksheet)
        return canvas.export(rows, gradebook, args.assignment, scale=args.scale)
    if args.format == "gradescope":
        return gradescope.export(rows)
    if args.format == "nbgrader":
        return nbgrader.export(rows, lab)
    if args.format == "junit":
        return junit.export(rows, lab.id, codes=codes)
    return plain.export(rows, lab, questions, codes=codes)


def _write(made: Export, folder: Path, args: argparse.Namespace) -> list[Path]:
    """Write all files; the paths to show."""
    own = args.out is None
    if args.format == "gradescope":
        out = args.out or folder / "exports" / "gradescope"
        for name in made.gone:
            if own:
                (out / name).unlink(missing_ok=True)
        for name, content in made.files.items():
            write(out / name, content, own=own)
        return [out]
    ((name, content),) = made.files.items()
    if args.anonymous:
        name = name.replace(".", "-anonymous.", 1)
    place = folder if args.format == "plain" and not args.anonymous else folder / "exports"
    out = args.out or place / name
    if out.is_dir():
        out = out / name
    if args.worksheet is not None and out.exists() and out.samefile(args.worksheet):
        raise KitError(
            "This is the file to fill in; it is not overwritten.",
            where=str(out),
            remedy="Name another file with --out.",
        )
    write(out, content, own=own)
    return [out]


def write(path: Path, content: bytes, *, own: bool = False) -> None:
    """Write a file whole or not at all, its owner's alone. Only one of the kit's `own` is
    written over."""
    if path.exists() and not own:
        raise KitError(
            "A file of this name exists already; it is not overwritten.",
            where=str(path),
            remedy="Choose another name with --out, or move that file away.",
        )
    try:
        private.write(path, content)
    except OSError as error:
        raise KitError(
            f"The file cannot be written: {error.strerror or error}.",
            where=str(path),
            remedy="Correct that, or choose another place with --out.",
        ) from None


def _tell(made: Export, rows: list[Row], folder: Path) -> None:
    say(f"Filled in: {made.filled} of {len(rows)} students.")
    for note in made.notes:
        # Names and headers come from elsewhere; a terminal would obey what is in them.
        say(f"  {visible(note)}")
    waiting = sum(row.state == "waiting" for row in rows)
    if waiting and made.notes:
        say(
            f"{waiting} wait for marks. Next: python -m grader marks {folder}"
            " (or leave the questions out: --without-marks)."
        )
