"""`check`: what a student says most: grade my workspace."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from grader import grading, handout, machines, paths, student
from grader import lab as labs
from grader.console import say
from grader.errors import KitError
from grader.lab import Lab
from grader.record import Record, write_atomically

SANDBOX = "sandbox"
EXAMPLE = """examples:
  python -m grader check lab4
  python -m grader check lab4 --student s1234567 --exercise compose
  python -m grader check lab4 --fresh --verbose
  python -m grader check lab4 --target vagrant           your own swarm, as it is now
  python -m grader check lab4 --target vagrant --fresh   your files, played on it anew

exit codes: 0 all points reached, 1 points missing, 2 bad usage or input,
3 something could not be graded (which costs nobody points)
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "check",
        help="grade a workspace",
        description="Hand the lab out if there is no workspace yet, run every exercise that has"
        " changed since it was graded last, and show points, reasons and hints.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("lab", help="the lab's name, such as lab4")
    parser.add_argument("--student", metavar="ID", help="whose workspace it is")
    parser.add_argument(
        "--exercise", action="append", default=[], metavar="NAME", help="only this one (repeatable)"
    )
    parser.add_argument("--fresh", action="store_true", help="grade what has not changed, too")
    parser.add_argument(
        "--workspace", type=Path, metavar="DIR", help="where the student's files are"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where record and feedback page go")
    parser.add_argument("--engine", metavar="URL", help="the Docker engine to use")
    parser.add_argument(
        "--target",
        choices=(SANDBOX, *machines.KINDS),
        default=SANDBOX,
        help="where: a sandbox (default), or your own machines, which are only looked at; with"
        " --fresh they are taken for the exercises, and the swarm that is there is given up",
    )
    parser.add_argument("--hosts", type=Path, metavar="FILE", help="the list for --target hosts")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="exercises side by side")
    parser.add_argument("--verbose", action="store_true", help="list every check")
    parser.add_argument(
        "--demo", action="store_true", help="grade the demo student's finished solution instead"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    lab = labs.load(args.lab)
    known = [exercise.id for exercise in lab.exercises]
    for name in args.exercise:
        if name not in known:
            raise KitError(
                f"{lab.id} has no exercise {name!r}.", remedy=f"There are: {', '.join(known)}."
            )
        if args.target != SANDBOX and not lab.exercise(name).machines:
            raise KitError(
                f"The exercise {name} is graded in a sandbox only.",
                remedy="Leave --target out.",
            )
    if args.demo:
        who, workspace, out = _demo(lab, args)
    else:
        who, workspace, out = _own(lab, args)
    if args.target != SANDBOX and args.out is None:
        # A look at machines is not what the submission is worth.
        out = out / args.target
    request = grading.Request(
        lab=lab,
        student=who,
        workspace=workspace,
        record_file=out / "record.json",
        exercises=args.exercise,
        fresh=args.fresh,
        engine_url=args.engine,
        jobs=args.jobs,
        machines=args.target if args.target != SANDBOX else None,
        hosts_file=args.hosts,
    )
    planned = grading.plan(request)
    if planned.to_run:
        found = _grade(request, planned)
    else:
        assert planned.previous is not None
        found = planned.previous
        say(f"Nothing has changed since {found.finished}; --fresh grades anew.")
    return _show(found, out, fresh=bool(planned.to_run), verbose=args.verbose)


def _own(lab: Lab, args: argparse.Namespace) -> tuple[str, Path, Path]:
    """The student, their workspace (handed out first if need be) and the results folder."""
    who = student.choose(lab, args.student)
    if who.note:
        say(who.note)
    workspace = args.workspace or paths.workspaces() / lab.id / who.id
    handed = handout.write(lab, who.id, workspace)
    for line in handed.summary():
        say(line)
    return who.id, workspace, args.out or paths.results() / lab.id / who.id


def _demo(lab: Lab, args: argparse.Namespace) -> tuple[str, Path, Path]:
    """The demo student's solution, rendered anew into a folder of its own."""
    from grader import examples

    workspace = args.workspace or paths.workspaces() / lab.id / "demo"
    if args.workspace is None and workspace.exists():
        shutil.rmtree(workspace)
    examples.render_solution(lab, lab.demo_student, workspace)
    say(f"This is the finished lab of the demo student {lab.demo_student}: {workspace}")
    return lab.demo_student, workspace, args.out or paths.results() / lab.id / "demo"


def _grade(request: grading.Request, planned: grading.Plan) -> Record:
    from grader.reports.progress import following

    kept = [exercise for exercise in planned.keys if exercise not in {e.id for e in planned.to_run}]
    if kept:
        say(f"Unchanged and kept: {', '.join(kept)}.")
    stop = grading.Stop()
    provider = grading.provide(request)
    with following(planned.to_run) as progress:
        return grading.grade(request, planned, provider, progress, stop)


def _show(found: Record, out: Path, *, fresh: bool, verbose: bool) -> int:
    from grader.reports import terminal

    page = out / "feedback.html"
    if fresh or not page.exists():
        from grader.reports import feedback

        write_atomically(page, feedback.render(found))
    terminal.render(found, console=None, page=page, verbose=verbose)
    if not found.gradable:
        return 3
    return 0 if found.score >= found.max_score else 1
