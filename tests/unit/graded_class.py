"""A made class, graded on paper: results, records, worksheets and marks for tests of exports.

`s0000001` Ada is complete, `s0000002` Björn was late, `s0000003` could not be graded,
`s0000004` was refused, `s0000005` handed in nothing, `s0000006` has no record yet,
`s0000007` waits for marks.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from grader import record
from grader.classroom.results import Entry, Person, Results
from grader.handout import workspace
from grader.lab import labfile, rubric
from grader.lab.late import Late, read
from tests.unit import sample_record

LAB4 = labfile.load("lab4")
DEADLINE = read("2026-11-27T23:59:00+01:00")
assert DEADLINE is not None
LATE = Late(DEADLINE, grace=15, percent=10, most=50)
LAB = dataclasses.replace(LAB4, late=LATE)
"""lab4 with a late policy."""
QUESTIONS = rubric.load(LAB4)
IDS = [question.id for question in QUESTIONS]

ADA = Person(
    "s0000001",
    "Ada Lovelace",
    "ada@example.org",
    {"moodle": "17", "canvas": "501", "login": "adal"},
)
BJOERN = Person("s0000002", "Björn Ødegård", "bjoern@example.org", {"moodle": "18", "sis": "B-2"})
CARLA = Person("s0000003", "Carla Gómez", "carla@example.org", {"moodle": "19", "canvas": "503"})
DAN = Person("s0000004", '=HYPERLINK("http://x")', "dan@example.org", {"moodle": "20"})
EVE = Person("s0000005", "Eve", "eve@example.org")
FAY = Person("s0000006", "Fay", "fay@example.org", {"canvas": "506"})
GUS = Person("s0000007", "Gus", "gus@example.org", {"canvas": "507"})

IN_TIME = "2026-11-27T20:00:00+01:00"
ONE_DAY_LATE = "2026-11-28T12:00:00+01:00"

MARKS = """student,question,max,points,comment
s0000001,tutorial4-q1,5,4,Nearly all.
s0000001,tutorial4-q2,5,5,
s0000001,tutorial4-q3,5,2.5,Reasons are missing.
s0000001,tutorial4-q4,5,5,
s0000002,tutorial4-q1,5,5,
s0000002,tutorial4-q2,5,5,
s0000002,tutorial4-q3,5,5,
s0000002,tutorial4-q4,5,0,No answer.
s0000007,tutorial4-q1,5,3,
"""


def make(folder: Path, *, marks: str | None = MARKS) -> Results:
    """Write the class's results below `folder`."""
    results = Results(
        folder,
        "lab4",
        entries=(
            Entry(GUS, "class.zip: Gus_7", IN_TIME),
            Entry(ADA, "class.zip: Ada_1", IN_TIME),
            Entry(BJOERN, "class.zip: Björn_2", ONE_DAY_LATE),
            Entry(CARLA, "class.zip: Carla_3", None),
            Entry(DAN, "class.zip: Dan_4", IN_TIME, refused="The archive has upward paths."),
            Entry(FAY, "class.zip: Fay_6", IN_TIME),
        ),
        missing=(EVE,),
    )
    results.save()
    for student, made in (
        ("s0000001", sample_record.typical()),
        ("s0000002", full_marks()),
        ("s0000003", sample_record.no_engine()),
        ("s0000007", full_marks()),
    ):
        made = dataclasses.replace(
            made, student=student, submission=student, exercises=(*made.exercises, *rest())
        )
        record.save(made, results.record_file(student))
    if marks is not None:
        results.marks_file.write_text(marks, encoding="utf-8")
    worksheet(results, "s0000001", {IDS[0]: "Small <b>services</b>.", IDS[1]: "A tool."})
    worksheet(results, "s0000002", {IDS[0]: "Kleine Dienste, größer im Ganzen."})
    return results


def full_marks() -> record.Record:
    return sample_record.record(
        sample_record.exercise(
            "webserver", "A web server", [sample_record.passed("webserver.page", "It answers.", 15)]
        ),
        sample_record.exercise(
            "compose", "Compose", [sample_record.passed("compose.starts", "It starts.", 25)]
        ),
    )


def rest() -> list[record.ExerciseResult]:
    """The exercises of lab4 that the sample records do not have: 45 points of 45, for one of them
    none (as where a target cannot show it)."""
    return [
        sample_record.exercise(
            "scientific", "Science", [sample_record.passed("scientific.builds", "It builds.", 0)]
        ),
        sample_record.exercise(
            "swarm", "A swarm", [sample_record.passed("swarm.joined", "Three nodes.", 25)]
        ),
        sample_record.exercise(
            "rollout", "A stack", [sample_record.passed("rollout.safe", "Nothing fails.", 20)]
        ),
    ]


def worksheet(results: Results, student: str, answers: dict[str, str]) -> Path:
    """The student's own handed out worksheet, with answers typed into it."""
    notebook: Any = json.loads(workspace.contents(LAB4, student)["worksheet.ipynb"])
    for cell in notebook["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id")
        if name in answers:
            cell["source"] = answers[name].splitlines(keepends=True)
    file = results.submission(student) / "worksheet.ipynb"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(notebook), encoding="utf-8")
    return file
