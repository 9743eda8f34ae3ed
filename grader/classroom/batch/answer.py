"""Checks an answer from another machine that has graded, before it counts.

A cluster's worker and a virtual machine answer with text. Its size is limited before it is read. It
must be a record that matches the schema, of this student, of these exercises, from these files,
with points that the lab gives. The student's text in it is untrusted here, too.
"""

from __future__ import annotations

import functools
import json
import math
from dataclasses import replace
from typing import Any

from grader import __version__, paths, record
from grader.classroom.batch.job import Job, Lost
from grader.errors import KitError
from grader.lab.model import Exercise
from grader.record import ExerciseResult, Record
from grader.text.cut import cut

MOST_BYTES = 16 * 1024**2
"""Bytes of an answer. The largest records, with recorded rollouts, have less than a tenth of
this."""

MOST_VALUES = 1_000_000
"""Objects, lists and their items. They are counted before any object is made."""

ROUNDING = 1e-6

UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError)


def read(text: object, job: Job, whose: str = "A worker") -> Record:
    """Return the record in an answer to `job`, and the known results of its other exercises.

    Raises Lost if the other side was stopped, KitError if it refused or sent anything else.
    """
    try:
        answer = _plain(text)
        if "stopped" in answer:
            raise Lost(f"{whose} was stopped while it graded this.")
        if "refused" in answer:
            raise KitError(f"{whose} refused it: {line(answer['refused'])}")
        found = _record(answer["record"], job)
    except UNREADABLE as error:
        raise KitError(f"{whose} gave an answer that is not a record: {line(error)}.") from None
    return _whole(found, job)


def isolated(found: Record, job: Job, isolation: str) -> Record:
    """The record with the isolation that this machine knows; the other side cannot know it."""
    ran = {exercise.id for exercise in job.planned.to_run}
    return replace(
        found,
        exercises=tuple(
            replace(e, target={**e.target, "isolation": isolation})
            if e.id in ran and e.target
            else e
            for e in found.exercises
        ),
    )


def line(said: object) -> str:
    """Untrusted text as one printable line."""
    text = cut(str(said)[:2_000])
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _plain(text: object) -> dict[str, Any]:
    if not isinstance(text, str):
        raise ValueError("it is not text")
    if len(text) > MOST_BYTES:
        raise ValueError("it is too long")
    if sum(text.count(sign) for sign in "[{,") > MOST_VALUES:
        raise ValueError("it has too many parts")
    answer = json.loads(text, parse_constant=_no_number)
    if not isinstance(answer, dict):
        raise ValueError("it is not a JSON object")
    return answer


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number of a record")


def _record(data: Any, job: Job) -> Record:
    wrong = next(iter(_schema().iter_errors(data)), None)
    if wrong is not None:
        raise ValueError(f"at {wrong.json_path[:80]}: {wrong.message[:200]}")
    found = record.from_json(data)
    ran = {result.id: result for result in found.exercises}
    wanted = {exercise.id: job.planned.keys[exercise.id] for exercise in job.planned.to_run}
    if (found.lab, found.student) != (job.request.lab.id, job.student):
        raise ValueError("it is about another student")
    if {name: result.key for name, result in ran.items()} != wanted:
        raise ValueError("it is not what was asked for")
    if len(ran) != len(found.exercises):
        raise ValueError("it has an exercise twice")
    for exercise in job.planned.to_run:
        _points(ran[exercise.id], exercise)
        if ran[exercise.id].files != job.planned.files[exercise.id].digest:
            raise ValueError("it is about other files")
    return found


@functools.cache
def _schema() -> Any:
    import jsonschema

    file = paths.KIT / "docs" / "record.schema.json"
    return jsonschema.Draft202012Validator(json.loads(file.read_text(encoding="utf-8")))


def _points(result: ExerciseResult, exercise: Exercise) -> None:
    """Raise ValueError unless this exercise can give these points."""
    numbers = [result.points, *result.seconds.values()]
    numbers += [n for c in result.checks for n in (c.points, c.max_points, c.seconds)]
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError("it has values that are not numbers")
    if result.points != exercise.points:
        raise ValueError(f"it gives {exercise.id} other points than the lab")
    names = [check.id for check in result.checks]
    if len(set(names)) != len(names):
        raise ValueError(f"it has a check of {exercise.id} twice")
    for check in result.checks:
        if check.exercise != exercise.id or not check.id.startswith(f"{exercise.id}."):
            raise ValueError(f"it has a check of another exercise in {exercise.id}")
        if check.points > check.max_points + ROUNDING:
            raise ValueError(f"{check.id[:80]} has more points than there are")
        if check.points and check.outcome != "passed":
            raise ValueError(f"{check.id[:80]} has points and did not pass")
    if sum(check.max_points for check in result.checks) > exercise.points + ROUNDING:
        raise ValueError(f"its checks of {exercise.id} have more points than the exercise")


def _whole(found: Record, job: Job) -> Record:
    """The record as this machine stores it: with the lab's titles, exercises in the lab's order."""
    ran = {result.id: result for result in found.exercises}
    previous = job.planned.previous
    exercises = []
    for exercise in job.request.lab.exercises:
        known = previous.exercise(exercise.id) if previous else None
        result = ran.get(exercise.id)
        if result is not None:
            exercises.append(replace(result, title=exercise.title))
        elif known is not None:
            exercises.append(known)
    return replace(
        found,
        exercises=tuple(exercises),
        submission=job.request.workspace.name,
        lab_title=job.request.lab.title,
        kit=__version__,
    )
