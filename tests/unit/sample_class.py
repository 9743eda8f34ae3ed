"""A made class: people with and without trouble, by rules that are the same every time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from grader import record
from grader.classroom.results import Entry, Person, Results, Similarity, Unmatched
from grader.lab import labfile
from grader.lab.variant import variant
from grader.record import Cause, CheckResult, ExerciseResult, Record
from tests.unit import sample_record as sample

LAB = labfile.load("lab4")
NAMES = [
    "Ada Lovelace",
    "<script>document.title='owned'</script>",
    "\u202eesreveR ot desrever",
    "שרה כהן",
    "Bobby'); DROP TABLE students;--",
    "Zoë 🦀🧑\u200d🔬 Ångström",
    "Wolfeschlegelsteinhausenbergerdorff" * 12,
    "Grace Hopper",
    "=cmd|'/c calc'!A1",
    "{{ 7 * 7 }} {% raw %}",
]


def student(number: int) -> str:
    return f"s{7310000 + 137 * number}"


def person(number: int) -> Person:
    name = NAMES[number] if number < len(NAMES) else f"Firstname{number} Lastname{number}"
    return Person(student(number), name, f"mail{number}@students.example.org", {"moodle": "9"})


def _sometimes(check: CheckResult, fails: bool, why: str) -> CheckResult:
    if not fails:
        return replace(check, outcome="passed", points=check.max_points, cause=None, why=None)
    return replace(check, outcome="failed", points=0.0, cause=Cause(reason=why), why=None)


def webserver(number: int) -> ExerciseResult:
    port = variant(LAB, student(number))["web_port"]
    whole = sample.webserver()
    checks = [
        _sometimes(
            check,
            fails=(number * (place + 2)) % (place + 3) == 1,
            why=[f"Nothing answers on port {port}.", "The page is another one."][number % 2],
        )
        for place, check in enumerate(whole.checks)
    ]
    spent = {"sandbox": 2.0 + number % 4, "build": 11.0 + number, "checks": 20.0 + number}
    return replace(whole, checks=tuple(checks), seconds=spent)


def compose(number: int) -> ExerciseResult:
    whole = sample.compose()
    checks = []
    for place, check in enumerate(whole.checks):
        why = f"{NAMES[0]} ({student(0)}, mail0@students.example.org) has it: no. {number}."
        checks.append(_sometimes(check, fails=number % (place + 4) == 2, why=why))
    spent = {"sandbox": 2.4, "build": 3.0, "checks": 40.0 + 3 * number}
    return replace(whole, checks=tuple(checks), seconds=spent)


def made(number: int) -> Record | None:
    """Every ninth could not be graded wholly, one of thirty not at all; the rest differ."""
    if number % 30 == 5:
        return None
    if number % 9 == 3:
        exercises = sample.no_engine().exercises
    elif number % 30 == 7:
        exercises = (sample.webserver(), sample.compose())
    else:
        exercises = (webserver(number), compose(number))
    return sample.record(*exercises, student=student(number), submission=student(number))


def make(
    folder: Path, size: int = 30, change: Callable[[Record], Record] = lambda record: record
) -> Results:
    """A class of `size` in `folder`, its list saved; two more handed in nothing."""
    results = Results(
        folder,
        "lab4",
        entries=tuple(
            Entry(
                person(n),
                source=f"class.zip: {person(n).name}_{n}_assignsubmission_file_",
                remarks=(f"SECRET-REMARK of {person(n).name}",) if n % 10 == 4 else (),
                refused="It holds SECRET-FILE, a link that leads outside" if n == 5 else None,
            )
            for n in range(size)
        ),
        unmatched=(Unmatched("SECRET-SOURCE <b>.zip", "No ID is in its name. Rename it."),),
        missing=(person(size), person(size + 1)),
        similarities=(
            Similarity(
                "values", (student(2), student(6)), "db_password, blog_port; in blog/a.yaml"
            ),
            Similarity("values", (student(8), LAB.demo_student), "db_password; in Ada-Lovelace/x"),
            Similarity("file", tuple(student(n) for n in (0, 1, 9)), "blog/Ada-Lovelace.yaml"),
        ),
    )
    for number in range(size):
        found = made(number)
        if found is not None:
            record.save(change(found), results.record_file(student(number)))
    results.save()
    return results
