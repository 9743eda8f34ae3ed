"""`grade`: grade all submissions of a class."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from grader import paths
from grader.classroom import results as class_results
from grader.classroom.batch import lock
from grader.classroom.results import Results
from grader.console import say
from grader.errors import KitError
from grader.lab import labfile
from grader.lab.model import Lab
from grader.text.words import count

if TYPE_CHECKING:
    from grader.classroom.batch.batch import Outcome, Planned
    from grader.classroom.batch.show import Show

T = TypeVar("T")

EXAMPLE = """examples:
  python -m grader grade moodle.zip --roster roster.csv
  python -m grader grade moodle.zip --roster roster.csv        again: continues where it stopped
  python -m grader grade submissions/ --out results/monday --exercise compose
  python -m grader grade moodle.zip --inside vm                in a virtual machine
  python -m grader grade submissions/ --regrade                compare with another version
  python -m grader grade submissions/ --regrade --replace      ... and let it count

SUBMISSIONS is Moodle's or Canvas's download, a folder of folders, of archives or of Git clones.
Ctrl-C stops at once and cleans up; the same command continues.

exit codes: 0 all graded, 2 bad usage or input, 3 something could not be graded or matched
(no one loses points), 130 stopped
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "grade",
        help="grade a class: everything that was handed in, side by side",
        description="Unpack what was handed in, match it with the roster, grade every submission"
        " that has not been graded yet, and write records, pages and grades.csv.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "submissions",
        nargs="?",
        type=Path,
        metavar="SUBMISSIONS",
        help="the submissions; can be left out once they are unpacked",
    )
    parser.add_argument("--roster", type=Path, metavar="CSV", help="the class list (CSV)")
    usual = labfile.usual()
    parser.add_argument("--lab", default=usual, help=f"the lab (default: {usual})")
    parser.add_argument("--out", type=Path, metavar="DIR", help="the class's results folder")
    parser.add_argument(
        "--exercise",
        action="append",
        default=[],
        metavar="NAME",
        help="only this exercise (repeatable)",
    )
    parser.add_argument(
        "--jobs",
        type=_number,
        metavar="N",
        help="number of exercises graded at the same time (default: what fits, measured)",
    )
    parser.add_argument(
        "--regrade",
        action="store_true",
        help="grade again, without replacing results, what another version of kit or lab graded, "
        "and show the differences",
    )
    parser.add_argument(
        "--replace", action="store_true", help="with --regrade: let the new results count"
    )
    parser.add_argument(
        "--cluster", metavar="ADDRESS", help="grade on the workers of this Dask scheduler"
    )
    parser.add_argument("--engine", metavar="URL", help="the Docker engine to use")
    parser.add_argument(
        "--inside",
        choices=["vm"],
        help="grade in a virtual machine that the kit builds and starts (Debian or Ubuntu, root)",
    )
    parser.add_argument(
        "--trust",
        action="store_true",
        help="also grade on an engine without user remapping; only if you trust every submission",
    )
    parser.add_argument(
        "--anonymous", action="store_true", help="no names and numbers on the class page"
    )
    parser.set_defaults(run=run)


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("use 1 or more")
    return number


def run(args: argparse.Namespace) -> int:
    lab = labfile.load(args.lab)
    for name in args.exercise:
        lab.exercise(name)
    if args.replace and not args.regrade:
        raise KitError(
            "--replace goes with --regrade.",
            remedy="Run --regrade first and look at the differences.",
        )
    for option in ("cluster", "engine", "trust"):
        if args.inside and getattr(args, option):
            raise KitError(
                f"--inside {args.inside} and --{option} exclude each other.",
                remedy="The virtual machine has its own engine and runs on this machine.",
            )
    out = (args.out or paths.results() / f"{lab.id}-class").absolute()
    if args.submissions is None:
        class_results.load(out)  # says what is missing
    elif not args.submissions.exists():
        raise KitError("This path does not exist.", where=str(args.submissions))
    from grader.classroom.batch.show import Show

    with lock.hold(out) as scratch:
        try:
            with Show() as show:
                return _Grading(args, lab, out, scratch, show).run()
        except KeyboardInterrupt:
            say("Grading stopped and unfinished work was removed; finished results are kept.")
            say("Run the same command to continue.")
            raise
        except OSError as error:
            raise lock.unwritable(out, error) from None


class _Grading:
    """One run of the command, stage by stage."""

    def __init__(
        self, args: argparse.Namespace, lab: Lab, out: Path, scratch: Path, show: Show
    ) -> None:
        self.args = args
        self.lab = lab
        self.out = out
        self.scratch = scratch
        self.show = show

    def run(self) -> int:
        from grader.classroom.batch import batch, regrade

        results = self._unpack()
        self._list(results)
        regrading = self.args.regrade
        if regrading:
            regrade.seed(results)
        planned = batch.plan(
            results,
            self.lab,
            exercises=self.args.exercise,
            scratch=self.scratch,
            records=regrade.folder(results) if regrading else None,
            keep_older=not regrading,
        )
        self._tell(planned)
        outcome = self._grade(results, planned)
        if regrading:
            return self._regraded(results, outcome)
        whole = self._report(results, outcome)
        return 3 if outcome.left or results.unmatched or not whole else 0

    def _unpack(self) -> Results:
        if self.args.submissions is None:
            found = class_results.load(self.out)
        else:
            from grader.classroom.intake.gather import gather

            with self.show.stage("unpack") as stage:
                found = gather(
                    self.args.submissions,
                    self.lab,
                    self.out,
                    self.args.roster,
                    progress=stage.update,
                )
        if found.lab != self.lab.id:
            raise KitError(
                f"These are results of {found.lab}, not of {self.lab.id}.",
                where=str(self.out),
                remedy="Name another folder with --out, or the lab with --lab.",
            )
        return found

    def _list(self, results: Results) -> None:
        """Everything that will not be graded is named: nothing is dropped in silence."""
        parts = [count(len(results.entries), "submission")]
        if results.missing:
            parts.append(f"{len(results.missing)} on the roster handed nothing in")
        if results.unmatched:
            parts.append(f"{len(results.unmatched)} could not be matched")
        self.show.line("; ".join(parts) + ".")
        for one in results.unmatched:
            self.show.line(f"  not matched: {one.source}: {one.reason}")
        for entry in results.entries:
            if entry.refused is not None:
                self.show.line(f"  {entry.person.id}: not unpacked: {entry.refused}")

    def _tell(self, planned: Planned) -> None:
        if planned.kept:
            self.show.line(f"{len(planned.kept)} graded already, with the same files.")
        if planned.older:
            self.show.line(
                f"Results of {count(len(planned.older), 'submission')} come from an earlier "
                f"version of kit or lab and are kept: {_some(planned.older)}. --regrade shows "
                f"what would change."
            )

    def _grade(self, results: Results, planned: Planned) -> Outcome:
        from grader.classroom.batch.batch import Batch, Outcome
        from grader.classroom.batch.local_executor import LocalExecutor

        if not planned.jobs:
            return Outcome(kept=[*planned.kept], older=[*planned.older], left={**planned.left})
        with self._executor(planned) as executor:
            pages = not self.args.regrade
            outcome = Batch(results, executor, self.show, pages=pages).run(planned)
            if isinstance(executor, LocalExecutor) and executor.need:
                self.show.line(executor.need)
            return outcome

    def _executor(self, planned: Planned) -> Any:
        exercises = [exercise for job in planned.jobs for exercise in job.planned.to_run]
        if self.args.cluster:
            from grader.classroom.batch.cluster import Cluster

            return Cluster(self.args.cluster, self.lab, self.show.line)
        if self.args.inside:
            from grader.classroom.batch.inside import Inside

            inside = Inside(self.lab, exercises, self.args.jobs, self.show.line)
            with self.show.aside():
                inside.prepare()
            return inside
        from grader.classroom.batch.local_executor import LocalExecutor
        from grader.targets import providers

        with self.show.aside():
            provider = providers.provide_for_class(self.args.engine, self.args.trust)
        if provider.unavailable is not None:
            error = KitError(provider.unavailable.reason, remedy=provider.unavailable.remedy)
            error.exit_code = 3
            raise error
        here = LocalExecutor(provider, exercises, self.out, self.args.jobs)
        self.show.line(here.decision.because)
        return here

    def _report(self, results: Results, outcome: Outcome) -> bool:
        """Write what is made from the records; whether all of it could be made.

        Each part stands by itself: what cannot be made is named, and the records stay.
        """
        from rich.console import Console

        from grader.classroom import similarity
        from grader.classroom.batch import local_executor as here
        from grader.classroom.batch.batch import write_pages
        from grader.classroom.exports import plain
        from grader.classroom.reports import classpage, classtable

        faults: list[str] = []
        wrong: list[KitError] = []

        def made(what: str, make: Callable[[], T]) -> T | None:
            try:
                return make()
            except KitError as error:
                wrong.append(error)
                return None
            except OSError:
                raise
            except Exception as error:
                faults.append(f"{what}: {here.why(error)}")
                return None

        with self.show.stage("report") as stage:
            found = made(
                "What submissions share",
                lambda: similarity.find(self.lab, results, stage.update),
            )
            if found is not None:
                results = results.with_similarities(found)
            results.save()
            pages = made("Feedback", lambda: write_pages(results, results.entries, stage.update))
            faults += [f"The feedback page of {s}: {why}" for s, why in (pages or {}).items()]
            page = made(
                "The class page",
                lambda: classpage.write(results, self.lab, anonymous=self.args.anonymous),
            )
            grades = made("grades.csv", lambda: plain.write(results, self.lab))
        made(
            "The table",
            lambda: classtable.render(results, Console(highlight=False, soft_wrap=True)),
        )
        self._end(outcome, page, grades)
        for fault in faults:
            print(f"Could not be made: {fault}", file=sys.stderr)
        if faults:
            print(
                "The records are complete. To make pages and files again:"
                f" python -m grader report {self.out}",
                file=sys.stderr,
            )
        if wrong:
            raise wrong[0]
        return not faults

    def _end(self, outcome: Outcome, page: Path | None, grades: Path | None) -> None:
        from grader.classroom.batch.forecast import spoken
        from grader.lab import rubric

        print(
            f"\n{len(outcome.graded)} graded in {spoken(outcome.seconds)}, {len(outcome.kept)}"
            f" kept, {len(outcome.left)} not gradable."
        )
        for student, why in sorted(outcome.left.items()):
            print(f"  {student}: {why}")
        if outcome.left:
            print("  No points are affected. Run the same command to try these again.")
        print(f"\nClass page:  {page or 'was not written, see below.'}")
        print(f"Feedback:    {self.out / 'feedback'}")
        print(f"Points:      {grades or 'grades.csv was not written, see below.'}")
        if (self.lab.folder / rubric.FILE).is_file():
            print(f"\nNext: nox -s marks -- {self.out}           the answers that you mark")
            print(f"      nox -s export -- FORMAT {self.out}   points for your LMS")
        else:
            print(f"\nNext: nox -s export -- FORMAT {self.out}   points for your LMS")

    def _regraded(self, results: Results, outcome: Outcome) -> int:
        from rich.console import Console

        from grader.classroom.batch import regrade

        changes = regrade.compare(results)
        file = results.folder / "regrade.csv"
        regrade.write_csv(changes, file)
        regrade.render(changes, Console(highlight=False, soft_wrap=True))
        if self.args.replace:
            done, unready = regrade.replace(results)
            print(f"\n{len(done)} records replaced; the old ones are in {self.out / 'replaced'}.")
            if unready:
                print(f"Not replaced, because not gradable now: {_some(unready)}.")
            self._report(results, outcome)
        else:
            print(f"\nNothing is replaced yet. The differences: {file}")
            print("The same command with --replace lets the new results count.")
        return 3 if outcome.left else 0


def _some(students: Sequence[str], most: int = 10) -> str:
    more = f" and {len(students) - most} more" if len(students) > most else ""
    return ", ".join(students[:most]) + more
