"""What grading a class costs: side by side against one after the other, many against few."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from grader.classroom.results import Entry, Person, Results
from grader.console import say
from grader.engine.engine_paths import current
from grader.engine.mirror import status
from grader.grading import examples
from grader.lab import labfile
from grader.lab.model import Lab
from grader.paths import KIT
from tests.engine.small_class import Class

Row = tuple[str, str, str]

FEW, MANY = 20, 100
MIB = 1024**2


def student_id(number: int) -> str:
    return f"s{7_000_000 + number}"


def hand_in(lab: Lab, student: str, number: int, dest: Path) -> None:
    """A whole lab: of each exercise its solution or, for three students of four, in one exercise
    another of its mistakes."""
    examples.render_solution(lab, student, dest)
    wrong = lab.exercises[number % len(lab.exercises)]
    mistakes = [e for e in examples.find(lab, [wrong.id]) if "/mistakes/" in e.name]
    if number % 4 and mistakes:
        examples.render(lab, mistakes[number * 7 % len(mistakes)], student, dest)


def whole_labs(engine: Any, students: int, apart: int | None = None) -> list[Row]:
    """Wall time of `grade`, and of the same submissions, or the first `apart`, with `--jobs 1`."""
    lab = labfile.load("lab4")
    counts = {"side by side": students, "one by one": min(apart or students, students)}
    say(f"A class of {students} whole labs, side by side and one after the other")
    with tempfile.TemporaryDirectory(prefix="drydock-bench-") as folder:
        wall: dict[str, float] = {}
        points: dict[str, list[float]] = {}
        for how, count in counts.items():
            out = Path(folder, how)
            ids = [student_id(number) for number in range(count)]
            made = Results(out, lab.id, tuple(Entry(Person(one), f"bench: {one}") for one in ids))
            for number, student in enumerate(ids):
                hand_in(lab, student, number, made.submission(student))
            made.save()
            outside = status.look(engine).from_outside
            started = time.monotonic()
            grade(out, *(["--jobs", "1"] if how == "one by one" else []))
            wall[how] = time.monotonic() - started
            fetched = status.look(engine).from_outside - outside
            say(f"{how}: {wall[how]:.0f} s, {fetched} requests outside")
            points[how] = [
                json.loads(made.record_file(one).read_text("utf-8"))["score"] for one in ids
            ]
    if points["side by side"][: counts["one by one"]] != points["one by one"]:
        raise SystemExit(f"Side by side points differ: {points}")
    each = {how: wall[how] / count for how, count in counts.items()}
    ratio = each["side by side"] / each["one by one"]
    return [
        (
            f"{counts['one by one']} whole labs, one after the other",
            f"{wall['one by one']:.0f} s, {each['one by one']:.0f} s each",
            "",
        ),
        (
            f"{students} whole labs, as many side by side as fit",
            f"{wall['side by side']:.0f} s, {each['side by side']:.0f} s each = {ratio:.2f} ×",
            "0.5 × or less",
        ),
        (
            "… so this machine grades in an hour",
            f"{3600 / each['side by side']:.0f} whole labs",
            "",
        ),
    ]


def few_and_many() -> list[Row]:
    """Submissions of a lab with small exercises: is the hundredth as cheap as the first?"""
    each: dict[int, float] = {}
    memory: dict[int, float] = {}
    disk: dict[int, int] = {}
    for count in (FEW, MANY):
        say(f"{count} small submissions")
        with tempfile.TemporaryDirectory(prefix="drydock-bench-") as folder:
            students = {student_id(number): "well" for number in range(count)}
            one = Class(Path(folder), students)
            before = used()
            started = time.monotonic()
            peak = grade(one.out, "--lab", str(one.lab.folder))
            each[count] = (time.monotonic() - started) / count
            memory[count] = peak / MIB
            disk[count] = used() - before
    return [
        (f"seconds per small submission, {FEW} / {MANY} of them", pair(each, ".2f"), "flat"),
        ("… most memory of the batch itself (MiB)", pair(memory, ".0f"), "flat"),
        (
            "… what it leaves on the disk but its results (MiB)",
            pair({count: size / MIB for count, size in disk.items()}, ".0f"),
            "flat",
        ),
    ]


def pair(figures: dict[int, float], form: str) -> str:
    return f"{figures[FEW]:{form}} / {figures[MANY]:{form}}"


def grade(out: Path, *more: str) -> int:
    """Run it to its end; the most memory that its process had, in bytes."""
    command = [sys.executable, "-m", "grader", "grade", "--out", str(out), *more]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, cwd=KIT, stdout=said, stderr=said)
        _, ended, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(ended)
        if process.returncode != 0:
            said.seek(0)
            raise SystemExit(said.read().decode("utf-8", errors="replace"))
    return int(usage.ru_maxrss) * 1024


def used() -> int:
    """Bytes on the disk below the kit's data directory."""
    done = subprocess.run(
        ["du", "-s", "-B1", str(current().home), str(current().run)],
        capture_output=True,
        text=True,
        check=False,
    )
    return sum(int(line.split()[0]) for line in done.stdout.splitlines())
