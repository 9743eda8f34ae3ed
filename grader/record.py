"""The record: the result of grading one submission, as plain data in one JSON file.

Reports and exports read records and nothing else. docs/record.md describes the format.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from grader.files import private

SCHEMA = 1
MAX_BYTES = 100_000_000
"""Of a record; what is larger is none."""

Outcome = Literal["passed", "failed", "not_graded"]
Visibility = Literal["visible", "hidden"]
Why = Literal["needs", "target", "engine", "grader"]
"""Why a check was not graded: a check it needs has not passed; the target cannot show it;
there is no engine; the grader itself broke."""


@dataclass(frozen=True)
class Unavailable:
    """Why there is no target: no engine on this machine, or the sandbox could not be made."""

    why: Why
    reason: str
    remedy: str | None = None


@dataclass(frozen=True)
class Cause:
    """Why a check did not pass, for the student. `log` is output that explains it."""

    reason: str
    expected: str | None = None
    actual: str | None = None
    hint: str | None = None
    log: str | None = None


@dataclass(frozen=True)
class CheckResult:
    """One graded sentence. `id` is `exercise.name`, `needs` are such ids."""

    id: str
    exercise: str
    title: str
    outcome: Outcome
    points: float
    max_points: float
    cause: Cause | None = None
    why: Why | None = None
    needs: tuple[str, ...] = ()
    visibility: Visibility = "visible"
    seconds: float = 0.0


@dataclass(frozen=True)
class ExerciseResult:
    """One exercise's checks.

    `key` names what they were graded from (files, checks, kit, images); `points` is what the
    lab gives for the exercise; `fault` says what broke where not even the checks are known.
    `files` is the digest of the student's files alone: it tells whose change a new key is.
    `rollouts` are the recorded updates of services (grader.modules.rollout.trace as JSON).
    """

    id: str
    title: str
    key: str
    graded_at: str
    checks: tuple[CheckResult, ...]
    points: float = 0.0
    fault: str | None = None
    files: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    target: dict[str, Any] = field(default_factory=dict)
    rollouts: tuple[dict[str, Any], ...] = ()

    @property
    def score(self) -> float:
        return sum(check.points for check in self.checks)

    @property
    def max_score(self) -> float:
        """Points that could be had; checks that this target cannot show are left out."""
        if not self.checks:
            return self.points
        return sum(check.max_points for check in self.checks if check.why != "target")

    @property
    def gradable(self) -> bool:
        """False if the grader or its engine is why a check has no result."""
        return self.fault is None and all(
            check.why not in ("engine", "grader") for check in self.checks
        )


@dataclass(frozen=True)
class Record:
    """All results of one submission; times are ISO 8601 with offset, seconds are seconds."""

    lab: str
    lab_title: str
    student: str
    submission: str
    exercises: tuple[ExerciseResult, ...]
    kit: str
    started: str
    finished: str
    schema: int = SCHEMA

    @property
    def score(self) -> float:
        return sum(exercise.score for exercise in self.exercises)

    @property
    def max_score(self) -> float:
        return sum(exercise.max_score for exercise in self.exercises)

    @property
    def gradable(self) -> bool:
        return all(exercise.gradable for exercise in self.exercises)

    @property
    def checks(self) -> list[CheckResult]:
        return [check for exercise in self.exercises for check in exercise.checks]

    def exercise(self, exercise_id: str) -> ExerciseResult | None:
        return next((e for e in self.exercises if e.id == exercise_id), None)

    def to_json(self) -> dict[str, Any]:
        """Plain data, sums included, in a stable order."""
        exercises = [
            {**asdict(e), "score": e.score, "max_score": e.max_score, "gradable": e.gradable}
            for e in self.exercises
        ]
        return {
            "schema": self.schema,
            "lab": self.lab,
            "lab_title": self.lab_title,
            "student": self.student,
            "submission": self.submission,
            "gradable": self.gradable,
            "score": self.score,
            "max_score": self.max_score,
            "kit": self.kit,
            "started": self.started,
            "finished": self.finished,
            "exercises": exercises,
        }


def check_from_json(data: dict[str, Any]) -> CheckResult:
    cause = data.get("cause")
    return CheckResult(
        **{
            **data,
            "cause": Cause(**cause) if cause else None,
            "needs": tuple(data.get("needs", ())),
        }
    )


def from_json(data: dict[str, Any]) -> Record:
    """The inverse of `Record.to_json`; ValueError if it is not a record of this schema."""
    if not isinstance(data, dict):
        raise ValueError("a record is a JSON object")
    if data.get("schema") != SCHEMA:
        raise ValueError(f"record schema {data.get('schema')!r}, this kit reads {SCHEMA}")
    derived = {"score", "max_score", "gradable"}
    exercises = tuple(
        ExerciseResult(
            **{
                **{k: v for k, v in e.items() if k not in derived},
                "checks": tuple(check_from_json(c) for c in e["checks"]),
                "rollouts": tuple(e.get("rollouts", ())),
            }
        )
        for e in data["exercises"]
    )
    top = {k: v for k, v in data.items() if k not in derived}
    return Record(**{**top, "exercises": exercises})


def save(record: Record, path: Path) -> None:
    """Write the record whole or not at all (temporary file, then rename)."""
    private.write_text(path, json.dumps(record.to_json(), indent=2, ensure_ascii=False) + "\n")


def load(path: Path) -> Record | None:
    """The record in `path`; None if there is none that this kit can read."""
    try:
        return from_json(json.loads(private.read(path, MAX_BYTES).decode("utf-8")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
