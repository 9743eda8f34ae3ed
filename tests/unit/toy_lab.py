"""A small lab for tests: two exercises whose checks only read files, and one that needs a node."""

from __future__ import annotations

from pathlib import Path

from grader.lab import labfile
from grader.lab import model as labs

LAB = """
id: toy
title: A toy
course: tests
students: {pattern: "s[0-9]{7}", example: s1234567, demo: s0000000}
exercises:
  - {id: words, title: Words, points: 3, folders: [words], images: [a]}
  - {id: numbers, title: Numbers, points: 2, folders: [numbers], images: [a]}
limits: {build_seconds: 60, start_seconds: 60, exercise_seconds: 60, output_kb: 64}
variant:
  port: {from: 8000, to: 8999}
"""

WORDS = '''
from grader.checks import check, fail


@check(points=1, needs_engine=False)
def check_there(submission):
    """There is a file words.txt."""
    if not (submission / "words/words.txt").is_file():
        fail("words.txt is missing.", hint="Write it.")


@check(points=1, needs=["there"], needs_engine=False)
def check_hello(submission, variant):
    """It says hello and the port."""
    text = (submission / "words/words.txt").read_text(encoding="utf-8")
    if text.strip() != f"hello {variant['port']}":
        fail("It says something else.", expected=f"hello {variant['port']}", actual=text)


@check(points=1)
def check_runs(node):
    """It runs."""
'''

NUMBERS = '''
import os
import time

from grader.checks import check


@check(points=1, needs_engine=False)
def check_first(submission):
    """The first number is read."""


@check(points=1, needs_engine=False)
def check_second(submission):
    """The second number is read."""
    told = (submission / "numbers/do.txt")
    if told.is_file() and told.read_text() == "die":
        os._exit(9)
    while told.is_file() and told.read_text() == "hang":
        time.sleep(0.05)
'''


def make(folder: Path) -> labs.Lab:
    """Write the lab below `folder` and load it."""
    root = folder / "labs" / "toy"
    for exercise, text in (("words", WORDS), ("numbers", NUMBERS)):
        checks = root / "checks" / exercise
        checks.mkdir(parents=True)
        (checks / f"check_{exercise}.py").write_text(text, encoding="utf-8")
    (folder / "templates" / "toy").mkdir(parents=True)
    (root / "lab.yaml").write_text(LAB, encoding="utf-8")
    return labfile.load(root)
