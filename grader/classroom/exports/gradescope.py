"""Gradescope: a results.json per student, as an autograder on Gradescope writes it.

Gradescope takes a results.json without points for a zero. If there is no file, it says "the
autograder failed" and leaves the submission ungraded. So students who could not be graded get no
file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from grader.classroom.exports import rows as exported
from grader.classroom.exports.export import Export
from grader.classroom.exports.rows import Row, rounded
from grader.record import CheckResult
from grader.reports import text

NAME = "results.json"
STATUS = {"passed": "passed", "failed": "failed"}


def export(rows: Sequence[Row]) -> Export:
    """`ID/results.json` for each student who has a total; the others are listed."""
    files = {f"{row.student}/{NAME}": _bytes(results(row)) for row in rows if row.total is not None}
    return Export(
        files,
        filled=len(files),
        notes=tuple(exported.unfilled(rows)),
        gone=tuple(f"{row.student}/{NAME}" for row in rows if row.total is None),
    )


def results(row: Row) -> dict[str, Any]:
    """The content of results.json for a student with a total.

    `score` is the total, with marks and penalty; Gradescope then does not add up the tests. Only
    instructors can see hidden checks. The rest is shown when grades are published.
    """
    assert row.record is not None
    return {
        "score": row.total,
        "execution_time": rounded(
            sum(check.seconds for check in row.record.checks)
            + sum(exercise.seconds.get("sandbox", 0.0) for exercise in row.record.exercises)
        ),
        "output": text.visible("\n".join(exported.feedback(row))),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "after_published",
        "stdout_visibility": "hidden",
        "extra_data": {
            "student": row.student,
            "lab": text.visible(row.record.lab),
            "kit": text.visible(row.record.kit),
            "graded": text.visible(row.record.finished),
            "maximum": row.maximum,
            "penalty": row.penalty,
        },
        "tests": [*_checks(row), *_questions(row)],
    }


def _checks(row: Row) -> Iterator[dict[str, Any]]:
    assert row.record is not None
    for number, exercise in enumerate(row.record.exercises, start=1):
        for place, check in enumerate(exercise.checks, start=1):
            test: dict[str, Any] = {
                "name": text.sentence(check.title, width=200),
                "name_format": "text",
                "number": f"{number}.{place}",
                "output": text.visible(_explained(check)),
                "output_format": "text",
                "tags": [exercise.id],
                "visibility": "hidden" if check.visibility == "hidden" else "after_published",
                "extra_data": {"id": check.id, "outcome": check.outcome},
            }
            # What this target cannot show has no points, so no one reads "0 of 2" there.
            if check.why == "target":
                test["tags"].append("not graded")
            else:
                test |= {
                    "score": check.points,
                    "max_score": check.max_points,
                    "status": STATUS.get(check.outcome, "failed"),
                }
            yield test


def _questions(row: Row) -> Iterator[dict[str, Any]]:
    assert row.record is not None
    number = len(row.record.exercises) + 1
    for place, (question, mark) in enumerate(row.given, start=1):
        yield {
            "name": f"{question.title}: {question.text}",
            "name_format": "text",
            "number": f"{number}.{place}",
            "score": mark.points,
            "max_score": question.points,
            "status": "passed" if mark.points >= question.points else "failed",
            "output": text.visible(mark.comment),
            "output_format": "text",
            "tags": ["questions"],
            "visibility": "after_published",
            "extra_data": {"id": question.id},
        }


def _explained(check: CheckResult) -> str:
    if check.cause is None:
        return ""
    cause = check.cause
    parts = [cause.reason]
    parts += [f"Expected: {cause.expected}"] if cause.expected is not None else []
    parts += [f"Found: {cause.actual}"] if cause.actual is not None else []
    parts += [f"Hint: {cause.hint}"] if cause.hint else []
    parts += [cause.log] if cause.log else []
    return text.capped("\n".join(parts), lines=60, width=400)


def _bytes(data: dict[str, Any]) -> bytes:
    whole = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return whole.encode("utf-8", errors="backslashreplace")
