"""`submit`: the archive that a student hands in."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader import paths, record
from grader.cli import student
from grader.console import say
from grader.errors import KitError
from grader.lab import labfile
from grader.lab.model import Lab
from grader.submission import pack
from grader.text.words import count

if TYPE_CHECKING:
    from grader.record import Record

EXAMPLE = """examples:
  python -m grader submit lab4
  python -m grader submit lab4 --student s1234567 --out ~/Desktop

The same files make the same archive, byte for byte. What the grader would not accept is refused
here, with the same message; what it would not run causes a warning.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "submit",
        help="pack a workspace into the archive to hand in",
        description="Pack a workspace into one archive, without files that tools made, and show "
        "what is in it, how large it is, and what was graded last.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    usual = labfile.usual()
    parser.add_argument("lab", nargs="?", default=usual, help=f"the lab's name ({usual})")
    parser.add_argument("--student", metavar="ID", help="whose workspace it is")
    parser.add_argument(
        "--workspace", type=Path, metavar="DIR", help="where the student's files are"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the archive goes")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    lab = labfile.load(args.lab)
    who = student.choose(lab, args.student, at_home=args.workspace is None)
    if who.how == "demo":
        raise KitError(
            "No student ID was given.",
            remedy=f"Run: nox -s submit -- --student {lab.example_student}",
        )
    if who.note:
        say(who.note)
    workspace = (args.workspace or paths.workspaces() / lab.id / who.id).expanduser()
    results = paths.results() / lab.id / who.id
    made = pack.pack(lab, who.id, workspace, (args.out or results).expanduser())
    for line in [*_packed(lab, made), *_graded(lab, who.id, workspace, results / "record.json")]:
        print(line)
    print()
    print(f"Hand in this file: {made.file.resolve()}")
    print(
        "Nothing has changed since you last packed it: the file is the same."
        if made.known
        else "Upload it as it is, where your course collects this lab. If you change a file"
        " afterwards, pack and upload again."
    )
    return 0


def _packed(lab: Lab, made: pack.HandIn) -> list[str]:
    parts = [
        f"{exercise} {count(files, 'file')}" for exercise, files in made.exercises.items() if files
    ]
    more = made.files - sum(made.exercises.values())
    if more > 0:
        parts.append(f"{count(more, 'file')} besides")
    lines = [
        f"{lab.title}: {count(made.files, 'file')}, {_size(made.size)}.",
        f"In it: {', '.join(parts)}.",
    ]
    none = [exercise for exercise, files in made.exercises.items() if not files]
    if none:
        lines.append(f"Not in it, because there is no file: {', '.join(none)}.")
    if made.junk:
        first, rest = made.junk[:4], len(made.junk) - 4
        lines.append(
            f"Left out, because tools made it: {', '.join(first)}"
            + (f" and {rest} more." if rest > 0 else ".")
        )
    lines += made.left_out
    lines += [f"Warning: {warning}" for warning in made.warnings]
    if made.warnings:
        lines.append(
            "You can hand it in like this, but the grader will not run what the warnings name."
        )
    return lines


def _graded(lab: Lab, who: str, workspace: Path, file: Path) -> list[str]:
    """What was graded last, and what of it is not what is handed in now."""
    from grader.grading import submission

    found: Record | None = record.load(file)
    if found is None or (found.lab, found.student) != (lab.id, who):
        return [f"Nothing in it has been graded on this machine. To grade it: nox -s {lab.id}"]
    request = submission.Request(lab=lab, student=who, workspace=workspace, record_file=file)
    stale = [e.id for e in submission.plan(request).to_run]
    when = found.finished.replace("T", " at ", 1)[:19]
    lines = [f"Graded last on {when}: {found.score:g} of {found.max_score:g} points."]
    never = [e for e in stale if found.exercise(e) is None]
    changed = [e for e in stale if found.exercise(e) is not None]
    if changed:
        lines.append(
            f"Changed since then, or graded by another version of the kit: {', '.join(changed)}."
        )
    if never:
        lines.append(f"Not graded yet: {', '.join(never)}.")
    if stale:
        lines.append(f"nox -s {lab.id} grades what you hand in now.")
    return lines


def _size(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB" if size >= 1_000_000 else f"{max(1, round(size / 1000))} kB"
