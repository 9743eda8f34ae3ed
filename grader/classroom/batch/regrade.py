"""Regrading with another version of kit or lab: graded separately, compared, then replaced.

FOLDER/regrade/records/ID.json     the new records
FOLDER/regrade.csv                 the differences, by student and check
FOLDER/replaced/TIME/ID.json       the old records, after the new ones have replaced them
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from grader import record
from grader.classroom.results import Results
from grader.files import private
from grader.record import CheckResult, Record

COLUMNS = (
    "student",
    "check",
    "old_points",
    "new_points",
    "old_outcome",
    "new_outcome",
    "old_reason",
    "new_reason",
)


@dataclass(frozen=True)
class Change:
    """One check of one student; `old` or `new` is None where that version does not have it."""

    student: str
    check: str
    old: CheckResult | None
    new: CheckResult | None

    @property
    def points(self) -> float:
        """The difference in the student's points."""
        return (self.new.points if self.new else 0.0) - (self.old.points if self.old else 0.0)


def folder(results: Results) -> Path:
    return results.folder / "regrade" / "records"


def seed(results: Results) -> None:
    """Copy records that are not there yet, so that unchanged exercises need not run again."""
    for entry in results.entries:
        old = results.record(entry.person.id)
        new = folder(results) / f"{entry.person.id}.json"
        if old is not None and record.load(new) is None:
            record.save(old, new)


def difference(old: Record, new: Record) -> list[Change]:
    """The checks with a different outcome or different points, in the new record's order."""
    before = {check.id: check for check in old.checks}
    after = {check.id: check for check in new.checks}
    ids = [*after, *(name for name in before if name not in after)]
    changes = [Change(new.student, name, before.get(name), after.get(name)) for name in ids]
    return [change for change in changes if _value(change.old) != _value(change.new)]


def _value(check: CheckResult | None) -> tuple[str, float, float] | None:
    return None if check is None else (check.outcome, check.points, check.max_points)


def compare(results: Results) -> list[Change]:
    """All changes of the class, by student."""
    found: list[Change] = []
    for entry, old in results.graded():
        new = record.load(folder(results) / f"{entry.person.id}.json")
        if old is not None and new is not None and new.gradable:
            found += difference(old, new)
    return found


def write_csv(changes: Iterable[Change], file: Path) -> None:
    """One row per change, UTF-8, for a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for change in changes:
        old, new = change.old, change.new
        writer.writerow(
            [
                change.student,
                change.check,
                f"{old.points:g}" if old else "",
                f"{new.points:g}" if new else "",
                old.outcome if old else "",
                new.outcome if new else "",
                _cell(old.cause.reason if old and old.cause else ""),
                _cell(new.cause.reason if new and new.cause else ""),
            ]
        )
    private.write_text(file, text.getvalue())


def _cell(text: str) -> str:
    """A reason can quote a submission: a spreadsheet must not treat it as a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def render(changes: list[Change], console: Console) -> None:
    """The changes as a table, with the sum for each student."""
    if not changes:
        console.print("No result changes.")
        return
    table = Table("student", "check", "points", "outcome", box=None, pad_edge=False)
    for change in changes:
        old, new = change.old, change.new
        table.add_row(
            change.student,
            change.check,
            f"{f'{old.points:g}' if old else '-'} → {f'{new.points:g}' if new else '-'}",
            f"{_outcome(old)} → {_outcome(new)}",
        )
    console.print(table, markup=False)
    sums: dict[str, float] = {}
    for change in changes:
        sums[change.student] = sums.get(change.student, 0.0) + change.points
    for student, points in sums.items():
        console.print(f"{student}: {points:+g} points in total", markup=False)


def _outcome(check: CheckResult | None) -> str:
    return "not there" if check is None else check.outcome.replace("_", " ")


def replace(results: Results) -> tuple[list[str], list[str]]:
    """Replace the old records by the new ones: (students replaced, students kept as they are).

    The old records are first copied to a new folder, and each record is replaced as a whole. If
    this is interrupted, the next call continues. A new record that is not gradable replaces
    nothing.
    """
    ready: list[tuple[str, Path]] = []
    unready: list[str] = []
    for entry, old in results.graded():
        student = entry.person.id
        file = folder(results) / f"{student}.json"
        new = record.load(file)
        if new is None or new == old:
            continue
        if new.gradable:
            ready.append((student, file))
        else:
            unready.append(student)
    if ready:
        kept = _new_folder(results.folder / "replaced")
        for student, _file in ready:
            if results.record_file(student).is_file():
                shutil.copy2(results.record_file(student), kept / f"{student}.json")
        for student, file in ready:
            private.folder(results.record_file(student).parent)
            file.replace(results.record_file(student))
    if not unready:
        shutil.rmtree(results.folder / "regrade", ignore_errors=True)
    return [student for student, _file in ready], unready


def _new_folder(parent: Path) -> Path:
    """A new folder named after the time; with another name if the clock was set back."""
    name = datetime.now().astimezone().strftime("%Y-%m-%dT%H%M%S")
    number = 1
    while True:
        made = parent / (name if number == 1 else f"{name}-{number}")
        try:
            private.folder(made.parent)
            made.mkdir(private.FOLDER)
        except FileExistsError:
            number += 1
        else:
            return made
