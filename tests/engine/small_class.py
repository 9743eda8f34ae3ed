"""A small class of a small lab, unpacked and ready to grade: for the tests of `grade`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from grader import record
from grader.classroom.results import Entry, Person, Results
from grader.lab import labfile
from grader.record import ExerciseResult
from tests.engine import kit

LAB = """
id: small
title: A small lab
course: tests
students: {pattern: "s[0-9]{7}", example: s1234567, demo: s0000000}
exercises:
  - {id: one, title: One node, points: 2, folders: [one], images: [a], nodes: 1}
  - {id: three, title: Three nodes, points: 2, folders: [three], images: [a], nodes: 3}
limits: {build_seconds: 60, start_seconds: 60, exercise_seconds: SECONDS, output_kb: 64}
variant:
  port: {from: 8000, to: 8999}
"""

CHECKS = '''
import os
import time

from grader.checks import check, fail


@check(points=1, needs_engine=False)
def check_there(submission):
    """There is a file."""
    if not (submission / "{name}/file.txt").is_file():
        fail("file.txt is missing.", hint="Write it.")


@check(points=1)
def check_runs(target, submission):
    """Its nodes run."""
    for node in target.nodes:
        done = node.run(["hostname"], timeout=60)
        if done.out.strip() != node.name:
            fail("A node is another one.", expected=node.name, actual=done.out)
    told = (submission / "{name}/file.txt").read_text(encoding="utf-8").strip()
    if told in ("hang", "take the worker down"):
        time.sleep(3600)
    if told == "crash":
        os._exit(9)
    time.sleep(float(os.environ.get("DRYDOCK_TEST_SECONDS", "0")))
'''


THREE = {"s0000001": "well", "s0000002": "well", "s0000003": "well"}
PARTS = {(student, exercise) for student in THREE for exercise in ("one", "three")}


class Class:
    """`students` maps IDs to what their files say: `well`, `hang`, `crash` or
    `take the worker down`."""

    def __init__(
        self,
        folder: Path,
        students: dict[str, str],
        out: Path | None = None,
        seconds: int = 120,
    ) -> None:
        root = folder / "labs" / "small"
        (folder / "templates" / "small").mkdir(parents=True)
        root.mkdir(parents=True)
        (root / "lab.yaml").write_text(LAB.replace("SECONDS", str(seconds)), encoding="utf-8")
        for name in ("one", "three"):
            text = CHECKS.replace("{name}", name)
            checks = root / "checks" / name
            checks.mkdir(parents=True)
            (checks / f"check_{name}.py").write_text(text, encoding="utf-8")
        self.lab = labfile.load(root)
        self.out = out or folder / "results of a class, größer"
        self.results = Results(
            self.out,
            "small",
            tuple(Entry(Person(student), f"class.zip: {student}") for student in students),
        )
        for student, told in students.items():
            self.say(student, told)
        self.results.save()

    @property
    def students(self) -> list[str]:
        return [entry.person.id for entry in self.results.entries]

    def say(self, student: str, told: str) -> None:
        """Let this student's files say something else."""
        for name in ("one", "three"):
            file = self.results.submission(student) / name / "file.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{told if name == 'one' else 'well'}\n", encoding="utf-8")

    @property
    def where(self) -> list[str | Path]:
        # Tests may be told to run on an engine that does not remap users.
        trust = ["--trust"] if os.environ.get("DRYDOCK_TEST_ENGINE") else []
        return ["grade", "--lab", self.lab.folder, "--out", self.out, *trust]

    def grade(self, *more: str | Path) -> Any:
        return kit.run(*self.where, *more)

    def graded(self) -> dict[tuple[str, str], ExerciseResult]:
        """Results of exercises that are recorded and gradable, by student and exercise."""
        found: dict[tuple[str, str], ExerciseResult] = {}
        for file in (self.out / "records").glob("s*.json"):
            one = record.load(file)
            assert one is not None, f"{file} is broken"
            found |= {(one.student, e.id): e for e in one.exercises if e.gradable}
        return found

    @property
    def written(self) -> set[str]:
        """All files that a results folder has when its class is graded; the class page has more."""
        return {
            "class.json",
            "grades.csv",
            "class/index.html",
            *(f"records/{student}.json" for student in self.students),
            *(f"feedback/{student}.html" for student in self.students),
        }

    @property
    def files(self) -> set[str]:
        """Names of all in the results folder but the submissions, the lock and the class page's."""
        names = {
            str(Path(folder, name).relative_to(self.out))
            for folder, _, names in os.walk(self.out)
            for name in names
            if "submissions" not in Path(folder).parts
        }
        page = "class/index.html"
        return {name for name in names if not name.startswith("class/") or name == page} - {".lock"}


def kept(
    before: dict[tuple[str, str], ExerciseResult], after: dict[tuple[str, str], ExerciseResult]
) -> bool:
    """What was recorded once is what is recorded now: it was not graded again."""
    return all(after[part] == result for part, result in before.items())
