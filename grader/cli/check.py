"""`check`: grade a workspace."""

from __future__ import annotations

import argparse
import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader import machines, paths
from grader.cli import student
from grader.cli.check_outcome import grade, not_graded_yet, show
from grader.console import say
from grader.errors import KitError
from grader.files import private
from grader.grading import submission
from grader.handout import workspace as handout
from grader.lab import labfile
from grader.lab.model import Lab

if TYPE_CHECKING:
    pass

SANDBOX = "sandbox"
LOCAL = "local"
EXAMPLE = """examples:
  python -m grader check lab4
  python -m grader check lab4 --student s1234567 --exercise compose
  python -m grader check lab4 --fresh --verbose
  python -m grader check lab4 --watch                    again on each save, until Ctrl-C
  python -m grader check lab4 --target local             what runs on your own Docker now
  python -m grader check lab4 --target vagrant           your own swarm, as it is now
  python -m grader check lab4 --target vagrant --fresh   your files, played on it again

exit codes: 0 all points reached, 1 points missing, 2 bad usage or input,
3 something could not be graded (no one loses points)
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "check",
        help="grade a workspace",
        description="Write the workspace if there is none yet, run every exercise that has "
        "changed since it was last graded, and show points, reasons and hints.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("lab", help="the lab's name, such as lab4")
    parser.add_argument("--student", metavar="ID", help="whose workspace it is")
    parser.add_argument(
        "--exercise",
        action="append",
        default=[],
        metavar="NAME",
        help="only this exercise (repeatable)",
    )
    parser.add_argument("--fresh", action="store_true", help="also grade what has not changed")
    parser.add_argument(
        "--workspace", type=Path, metavar="DIR", help="where the student's files are"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where record and feedback page go")
    parser.add_argument("--engine", metavar="URL", help="the Docker engine to use")
    parser.add_argument(
        "--target",
        choices=(SANDBOX, LOCAL, *machines.KINDS),
        default=SANDBOX,
        help="where to grade: a sandbox (default); local: your own Docker, where the kit only "
        "looks at what you have started; or your own machines, which it only looks at, too. With "
        "--fresh it runs the exercises on your machines and removes the swarm that is there",
    )
    parser.add_argument(
        "--watch", action="store_true", help="grade again on each save and show what changed"
    )
    parser.add_argument(
        "--hosts", type=Path, metavar="FILE", help="the list of machines for --target hosts"
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=2,
        metavar="N",
        help="number of exercises graded at the same time",
    )
    parser.add_argument("--verbose", action="store_true", help="list every check")
    if (
        paths.KIT / "grader" / "grading" / "examples.py"
    ).is_file():  # A student's release has no solutions.
        parser.add_argument(
            "--demo", action="store_true", help="grade the demo student's finished solution instead"
        )
    parser.set_defaults(run=run, demo=False)


def run(args: argparse.Namespace) -> int:
    lab = labfile.load(args.lab)
    known = [exercise.id for exercise in lab.exercises]
    for name in args.exercise:
        if name not in known:
            raise KitError(
                f"{lab.id} has no exercise {name!r}.", remedy=f"There are: {', '.join(known)}."
            )
    _refuse_target(lab, args)
    if args.demo:
        who, workspace, out = _demo(lab, args)
    else:
        who, workspace, out = _own(lab, args)
    if args.target != SANDBOX and args.out is None:
        # A look at machines is not what the submission is worth.
        out = out / args.target
    _keep_to_oneself(lab, out)
    request = submission.Request(
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
    if args.watch:
        from grader.cli import check_watch

        return check_watch.run(request, out, verbose=args.verbose)
    planned = submission.plan(request)
    if planned.to_run:
        found = grade(request, planned, submission.provide(request, planned.to_run))
    else:
        assert planned.previous is not None
        found = planned.previous
        say(f"Nothing has changed since {found.finished}; --fresh grades again.")
    code = show(found, out, fresh=bool(planned.to_run), verbose=args.verbose)
    if args.target == SANDBOX and (rest := not_graded_yet(lab, found)):
        say(rest)
    return code


def _keep_to_oneself(lab: Lab, out: Path) -> None:
    """Make the folder for the results, or take others' rights from the one that is there."""
    for folder in (paths.results(), paths.results() / lab.id):
        private.narrow(folder)
    with contextlib.suppress(OSError):  # Who writes into it says why that is not possible.
        private.results_folder(out, ["record.json"])


def _refuse_target(lab: Lab, args: argparse.Namespace) -> None:
    """KitError where a target cannot show what is asked for."""
    if args.target == SANDBOX:
        return
    able = [exercise.id for exercise in lab.exercises if exercise.runs_on(args.target)]
    for name in args.exercise or [None] * (not able):
        if name not in able:
            which = f"The exercise {name}" if name else f"No exercise of {lab.id}"
            cannot = "has nothing to look at on" if name else "can be graded on"
            raise KitError(
                f"{which} {cannot} --target {args.target}.",
                remedy=f"Leave --target out: a sandbox shows all of it. --target {args.target}"
                f" shows {', '.join(able) or 'nothing'}.",
            )
    if args.fresh and args.target == LOCAL:
        raise KitError(
            "--fresh has no effect with --target local.",
            remedy="Leave --fresh out: --target local looks again each time. Without --target "
            "local your files are run in a sandbox.",
        )
    if args.watch and args.target != LOCAL:
        raise KitError(
            "--watch notices saved files and changes on your own Docker, not changes on machines.",
            remedy="Run your step there, then run this command again without --watch.",
        )


def _own(lab: Lab, args: argparse.Namespace) -> tuple[str, Path, Path]:
    """The student, their workspace (handed out first if need be) and the results folder."""
    who = student.choose(lab, args.student, at_home=args.workspace is None)
    if who.note:
        say(who.note)
    workspace = args.workspace or paths.workspaces() / lab.id / who.id
    handed = handout.write(lab, who.id, workspace)
    for line in handed.summary():
        say(line)
    return who.id, workspace, args.out or paths.results() / lab.id / who.id


def _demo(lab: Lab, args: argparse.Namespace) -> tuple[str, Path, Path]:
    """The demo student's solution, rendered again into a folder of its own."""
    from grader.grading import examples

    workspace = args.workspace or paths.workspaces() / lab.id / "demo"
    if args.workspace is None and workspace.exists():
        shutil.rmtree(workspace)
    examples.render_solution(lab, lab.demo_student, workspace)
    say(f"This is the finished lab of the demo student {lab.demo_student}: {workspace}")
    return lab.demo_student, workspace, args.out or paths.results() / lab.id / "demo"
