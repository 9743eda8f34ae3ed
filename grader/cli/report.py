"""`report`: make the pages of a record, or of a whole class, again."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from grader import paths
from grader.errors import KitError
from grader.files import private
from grader.record import MAX_BYTES, SCHEMA, Record, from_json

EXAMPLE = """examples:
  python -m grader report results/lab4/s1234567/record.json
  python -m grader report record.json --out feedback-of-s1234567.html
  python -m grader report record.json --rollout   (timelines of the recorded updates, also as text)
  python -m grader report results                 (a class's folder: the class page and all others)
  python -m grader report results --anonymous     (a class page to show: no names, no IDs)
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "report",
        help="make the pages of a record or of a class again",
        description="Write the feedback page (one HTML file) of a record, or the class page and "
        "all feedback pages of a class's results folder; it grades nothing. It prints the path of "
        "the page.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "record",
        type=Path,
        metavar="RECORD.json|RESULTS",
        help="a record of grading, or the results folder of a class",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="where the page goes (feedback.html, or rollouts.html, next to the record)",
    )
    parser.add_argument(
        "--rollout",
        action="store_true",
        help="draw only the recorded updates of services, and print them as text",
    )
    parser.add_argument(
        "--anonymous",
        action="store_true",
        help="class page: leave out names, IDs and links to feedback",
    )
    parser.add_argument(
        "--lab", metavar="DIR", help="class page: the lab's folder, if it is not in this kit"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from grader.files.private import write_text
    from grader.reports import feedback

    if (args.record / "class.json").is_file():
        return _of_class(args)
    if args.anonymous:
        raise KitError(
            "Only a class page can be anonymous, and this is not the results folder of a class.",
            where=str(args.record),
            remedy="Name the folder that has class.json in it.",
        )
    name = "rollouts.html" if args.rollout else "feedback.html"
    out: Path = args.out or args.record.parent / name
    if out.is_dir():
        out = out / name
    record = read(args.record)
    if args.rollout:
        _print_rollouts(record, args.record)
    page = feedback.render_rollouts(record) if args.rollout else feedback.render(record)
    try:
        write_text(out, page)
    except OSError as error:
        raise KitError(
            f"The page cannot be written: {error.strerror or error}.",
            where=str(out),
            remedy="Choose another place with --out.",
        ) from error
    print(out)
    return 0


def _of_class(args: argparse.Namespace) -> int:
    """The class page, and the feedback page of everybody who has a record."""
    from grader.classroom import results
    from grader.classroom.reports import classpage
    from grader.console import say, task
    from grader.lab import labfile
    from grader.reports import feedback

    for option in ("out", "rollout"):
        if getattr(args, option):
            raise KitError(
                f"--{option} is for a single record.",
                where=str(args.record),
                remedy="The pages of a class lie in its results folder.",
            )
    found = results.load(args.record)
    of_lab = labfile.load(args.lab or found.lab)
    written = 0
    with task("Writing the pages") as tell:
        for entry, record in found.graded():
            if record is None:
                continue
            file = found.feedback_file(entry.person.id)
            try:
                feedback.write(record, file)
            except OSError as error:
                raise KitError(
                    f"The page cannot be written: {error.strerror or error}.",
                    where=str(file),
                    remedy="Fix the permissions of the results folder.",
                ) from error
            written += 1
            tell(f"{written} of {len(found.entries)}")
        page = classpage.write(found, of_lab, anonymous=args.anonymous)
    others = "" if written == len(found.entries) else "; the others have no record"
    say(f"{written} of {len(found.entries)} feedback pages{others}.")
    print(page)
    return 0


def _print_rollouts(record: Record, path: Path) -> None:
    """Each recorded rollout as text; KitError where there is none."""
    from grader.reports import rollout_words

    found = [data for exercise in record.exercises for data in exercise.rollouts]
    if not found:
        raise KitError(
            "This record has no recorded rollout.",
            where=str(path),
            remedy="Grade the exercise that updates a service: python -m grader check LAB",
        )
    for data in found:
        trace = rollout_words.read(data)
        told = rollout_words.lines(trace) if trace else ["A rollout that cannot be drawn."]
        print("\n".join(told), end="\n\n")


def read(path: Path) -> Record:
    """The record in `path`, checked against the schema; KitError says what is wrong with it."""
    import jsonschema

    schema = paths.KIT / "docs" / "record.schema.json"
    again = "Grading makes a new one: python -m grader check LAB"
    try:
        data = json.loads(private.read(path, MAX_BYTES).decode("utf-8"))
        if isinstance(data, dict) and data.get("schema") not in (SCHEMA, None):
            raise KitError(
                f"This is a record of schema {data['schema']}; this kit reads schema {SCHEMA}.",
                where=str(path),
                remedy=again,
            )
        jsonschema.validate(data, json.loads(schema.read_text(encoding="utf-8")))
        return from_json(data)
    except OSError as error:
        raise KitError(
            f"The record cannot be read: {error.strerror or error}.", where=str(path), remedy=again
        ) from error
    except jsonschema.ValidationError as error:
        where = error.json_path.removeprefix("$").removeprefix(".") or "top"
        what = f"This is not a record ({where}: {error.message[:200]})."
        raise KitError(what, where=str(path), remedy=again) from error
    except (ValueError, RecursionError) as error:
        raise KitError(
            "This is not a record: it is not JSON.", where=str(path), remedy=again
        ) from error
