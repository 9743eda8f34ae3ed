"""A class of hostile submissions on the disk, as a tutor gets it: folders, archives, a roster."""

from __future__ import annotations

import csv
import re
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from grader import paths
from grader.grading import examples
from grader.handout import workspace as handout
from grader.lab import labfile
from grader.lab import model as labs
from tests.hostile import makers
from tests.hostile.cases import USUAL, Case

HURRY = {"build_seconds": 60, "start_seconds": 25, "exercise_seconds": 200}
"""Limits of the lab while hostile submissions are graded: many of them use up what they get."""

CORRECT = "correct"
"""The name of the correct submission that is graded beside the others."""

_PLACE = re.compile(r"\[\[([\w.]+)\]\]")


@dataclass(frozen=True)
class Member:
    """One submission of a class: its student's ID, and the case (None: the correct one)."""

    student: str
    case: Case | None

    @property
    def name(self) -> str:
        return self.case.name if self.case else CORRECT

    @property
    def mark(self) -> str:
        """Text that is found again in whatever the submission gets into."""
        return f"hostile{self.student}mark"


def hurried(lab_id: str, folder: Path) -> labs.Lab:
    """A copy of the lab with less patience."""
    shutil.copytree(paths.LABS / lab_id, folder / "labs" / lab_id)
    shutil.copytree(paths.TEMPLATES / lab_id, folder / "templates" / lab_id)
    file = folder / "labs" / lab_id / "lab.yaml"
    said = file.read_text(encoding="utf-8")
    for name, seconds in HURRY.items():
        said, count = re.subn(rf"(?m)^(  {name}:) \d+$", rf"\1 {seconds}", said)
        assert count == 1, name
    file.write_text(said, encoding="utf-8")
    return labfile.load(folder / "labs" / lab_id)


def members(cases: Sequence[Case], *, correct: bool) -> list[Member]:
    """The class: students are numbered as their submissions are."""
    found: list[Member] = [Member(f"s9{n:06}", case) for n, case in enumerate(cases, 1)]
    return [*found, Member("s9999999", None)] if correct else found


def lay(
    lab: labs.Lab, exercise: str, group: Sequence[Member], folder: Path, words: Mapping[str, str]
) -> None:
    """Write the submissions of a class into the new folder `folder`, and roster.csv beside it."""
    folder.mkdir()
    with folder.with_name("roster.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["Student ID", "Full name", "Email"])
        for member in group:
            known = known_words(lab, member, words)
            said = member.case.student if member.case and member.case.student else "Ada Example"
            rows.writerow([member.student, filled(said, known), f"{member.student}@example.org"])
    for member in group:
        known = known_words(lab, member, words)
        workspace = folder / member.student
        folders = member.case.folders if member.case else USUAL.get(exercise)
        render(lab, exercise, member.student, folders, workspace)
        if member.case is not None:
            change(member.case, workspace, known)
            if member.case.make:
                makers.make(filled(member.case.make, known), workspace, known)


def render(
    lab: labs.Lab, exercise: str, student: str, folders: Sequence[str] | None, dest: Path
) -> None:
    """The solution of an exercise, these folders of it."""
    examples.render(lab, _solution(lab.folder, exercise), student, dest)
    for name in set(lab.exercise(exercise).folders) - set(
        folders or lab.exercise(exercise).folders
    ):
        shutil.rmtree(dest / name)


@cache
def _solution(lab: Path, exercise: str) -> examples.Example:
    """The example; finding it means to read all of the lab's."""
    (found,) = examples.find(labfile.load(lab), [f"{exercise}/solution"])
    return found


def change(case: Case, workspace: Path, known: Mapping[str, str]) -> None:
    """Put a case's texts in place."""
    for name in case.remove:
        found = workspace / name
        shutil.rmtree(found) if found.is_dir() else found.unlink()
    files = dict(case.files)
    if case.service or case.top:
        files["counter/compose.yaml"] = counter(case.service, case.top)
    for name, text in files.items():
        path = workspace / filled(name, known)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(filled(text, known).encode("utf-8", "surrogateescape"))
    for name, (old, new) in case.edit.items():
        path = workspace / name
        said = path.read_text(encoding="utf-8")
        old, new = filled(old, known), filled(new, known)
        assert old in said, f"{case.name}: {old!r} is not in {name}"
        path.write_bytes(said.replace(old, new, 1).encode("utf-8", "surrogateescape"))


def counter(service: str, top: str) -> str:
    """A compose file with the counter's two services: these keys of web, and `top` below them."""
    image = "" if re.search(r"(?m)^(image|build):|^<<", service) else "image: redis:7\n"
    keys = textwrap.indent(image + service, "    ").rstrip()
    return f"services:\n  web:\n{keys}\n  redis:\n    image: redis:7\n{top}"


def known_words(lab: labs.Lab, member: Member, words: Mapping[str, str]) -> dict[str, str]:
    """What stands in [[…]]: canaries, the student's ID and mark, and values as [[v.NAME]]."""
    values = handout.values(lab, member.student)
    own = {f"v.{name}": str(value) for name, value in values.items()}
    return {
        **words,
        **own,
        "id": member.student,
        "mark": member.mark,
        "long": "x" * 50_000,
        "lab": str(lab.folder),
    }


def filled(text: str, known: Mapping[str, str]) -> str:
    """The text with its [[names]] filled in; KeyError for one that there is not."""
    return _PLACE.sub(lambda found: known[found[1]], text)
