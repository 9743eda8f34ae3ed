"""The feedback page: one self-contained HTML file that explains a record to its student."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.files.private import write_text
from grader.paths import TEMPLATES
from grader.record import CheckResult, ExerciseResult, Record
from grader.reports import facts, rollout_words, summary, text, timeline

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

    from grader.modules.rollout.trace import Trace


def render(record: Record) -> str:
    """The page for `record`; the same record always gives the same text."""
    record = summary.for_student(record)
    return (
        environment()
        .get_template("feedback.html.j2")
        .render(
            record=record,
            shares=summary.shares(*record.exercises),
            todos=summary.first_things(record),
            anchors=_anchors(record),
            stages=facts.stages(e.seconds for e in record.exercises),
        )
    )


def render_rollouts(record: Record) -> str:
    """A page of the record's recorded rollouts and nothing else."""
    rollouts = [
        (exercise.title, timeline.of_exercise(exercise, f"exercise-{place}"))
        for place, exercise in enumerate(record.exercises, start=1)
        if exercise.rollouts
    ]
    return (
        environment()
        .get_template("rollouts.html.j2")
        .render(
            tab=f"{record.lab_title}: rollouts, {record.student}",
            title=f"{record.lab_title}: rollouts",
            whose=("Student", record.student),
            when=("Graded", record.finished),
            rollouts=rollouts,
        )
    )


def render_trace(title: str, trace: Trace) -> str:
    """A page of one trace that belongs to no record; of one that cannot be drawn, without it."""
    drawn = timeline.drawn(trace.to_json(), "rollout", unknown=rollout_words.CANNOT_TELL)
    return (
        environment()
        .get_template("rollouts.html.j2")
        .render(
            tab=title,
            title=title,
            whose=("Service", trace.service),
            when=("Recorded", trace.started),
            rollouts=[("Timeline", [drawn] if drawn else [])],
        )
    )


def write(record: Record, path: Path) -> None:
    """Write the page whole or not at all."""
    write_text(path, render(record))


def _anchors(record: Record) -> dict[str, str]:
    """The ids in the page of exercises and checks; made of numbers, so that none says anything."""
    anchors: dict[str, str] = {}
    for number, exercise in enumerate(record.exercises, start=1):
        anchors[exercise.id] = f"exercise-{number}"
        for place, check in enumerate(exercise.checks, start=1):
            anchors[check.id] = f"check-{number}-{place}"
    return anchors


@cache
def environment() -> Environment:
    """Templates of all pages: everything that is printed is escaped and made visible."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES / "reports", encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Every value printed anywhere passes here, so that none can be forgotten.
        finalize=_printed,
    )
    environment.filters |= {
        "prose": _prose,
        "log": text.log_text,
        "value": text.value_text,
        "points": summary.points,
        "points_word": summary.points_word,
        "moment": facts.moment,
        "seconds": facts.seconds,
        "together": facts.together,
        "target": facts.target,
        "percent": _percent,
        "last_part": _last_part,
    }
    environment.globals |= {
        "shares_of": summary.shares,
        "unanswered": summary.unanswered,
        "origin": summary.origin,
        "counts_text": summary.counts_text,
        "words": summary.WORDS,
        "share_of_check": summary.share_of_check,
        "waits_for": _waits_for,
        "drawn_of": timeline.of_exercise,
    }
    return environment


def _printed(value: Any) -> Any:
    from markupsafe import Markup

    if value is None:
        return ""
    if isinstance(value, Markup):
        return value
    return text.visible(str(value))


def _prose(words: str) -> Markup:
    """A sentence as HTML, with what stands between backticks as code."""
    from markupsafe import Markup, escape

    parts = re.split(r"`([^`]+)`", text.sentence(words))
    pieces = [_code(part) if n % 2 else escape(part) for n, part in enumerate(parts)]
    return Markup("").join(pieces)


def _code(words: str) -> Markup:
    """Code in which an option such as `--force-recreate` is not broken at its hyphens."""
    from markupsafe import Markup, escape

    pieces = re.split(r"(?<!\S)(-\S{1,24})(?!\S)", words)
    whole = Markup("<span>{}</span>")
    return Markup("<code>{}</code>").format(
        Markup("").join(whole.format(p) if n % 2 else escape(p) for n, p in enumerate(pieces))
    )


def _percent(part: float, whole: float) -> str:
    """A width for the bars: `part` of `whole` in hundredths, with one decimal."""
    return f"{100 * part / (whole or 1):.1f}"


def _last_part(path: str) -> str:
    """The name of the submission's folder or file; where a tutor keeps it is not shown."""
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1] or path


def _waits_for(exercise: ExerciseResult, check: CheckResult) -> CheckResult | None:
    """The failed check for which a not graded one waits, if that is why."""
    start = summary.origin(exercise, check)
    return start if start.id != check.id and start.outcome == "failed" else None
