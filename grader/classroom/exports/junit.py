"""JUnit XML, for CI servers and their viewers: a suite per student, a case per check.

For tutors: it contains hidden checks.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence

from grader.classroom.exports import rows as exported
from grader.classroom.exports.export import Export
from grader.classroom.exports.rows import WORDS, Row
from grader.lab import late
from grader.record import CheckResult, ExerciseResult
from grader.reports import text

FILE = "junit.xml"


def export(rows: Sequence[Row], lab: str, *, codes: Mapping[str, str] | None = None) -> Export:
    """Failed checks become failures, faults of grader and engine become errors, the rest is
    skipped.

    `codes` by ID replace the IDs; in that case, text from submissions is left out.
    """
    root = ET.Element("testsuites", name=lab)
    named = {codes[row.student] if codes else row.student: row for row in rows}
    for name, row in sorted(named.items()):
        _suite(root, name, lab, row, row.why if codes is None else row.why_anonymous)
        if codes is not None:
            _scrub(root[-1], row, name)
    _sum(root, list(root))
    ET.indent(root)
    content = ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"
    return Export(
        {FILE: content},
        filled=sum(row.record is not None for row in rows),
        notes=tuple(exported.unfilled(rows)) if codes is None else (),
    )


def _suite(root: ET.Element, name: str, lab: str, row: Row, why: str) -> None:
    suite = ET.SubElement(root, "testsuite", name=name)
    record = row.record if row.state != "refused" else None
    if record is not None:
        finished = late.read(record.finished)
        if finished is not None:
            # The format has times without an offset only.
            suite.set("timestamp", finished.replace(tzinfo=None).isoformat(timespec="seconds"))
        for exercise in record.exercises:
            _exercise(suite, f"{lab}.{exercise.id}", exercise)
    if record is None or not len(suite):
        case = ET.SubElement(suite, "testcase", classname=lab, name="graded", time="0.000")
        ET.SubElement(case, "skipped", message=_line(why or WORDS[row.state]))
    _sum(suite, list(suite.iter("testcase")))


def _exercise(suite: ET.Element, classname: str, exercise: ExerciseResult) -> None:
    if exercise.fault is not None:
        case = ET.SubElement(
            suite, "testcase", classname=classname, name=_line(exercise.title), time="0.000"
        )
        error = ET.SubElement(case, "error", message="The grader broke.", type="grader")
        error.text = text.log_text(exercise.fault)
    for check in exercise.checks:
        case = ET.SubElement(
            suite,
            "testcase",
            classname=classname,
            name=_line(check.title),
            time=f"{max(0.0, check.seconds):.3f}",
        )
        _outcome(case, check)


def _outcome(case: ET.Element, check: CheckResult) -> None:
    if check.outcome == "passed":
        return
    reason = _line(check.cause.reason) if check.cause else "No reason is known."
    if check.outcome == "failed":
        found = ET.SubElement(case, "failure", message=reason, type="failed")
    elif check.why in ("engine", "grader"):
        found = ET.SubElement(case, "error", message=reason, type=check.why)
    else:
        ET.SubElement(case, "skipped", message=reason)
        return
    cause = check.cause
    if cause:
        told = [("Expected", cause.expected), ("Found", cause.actual), ("Hint", cause.hint)]
        lines = [f"{word}: {text.value_text(said)}" for word, said in told if said is not None]
        found.text = "\n".join([*lines, text.log_text(cause.log or "")]).strip()


def _sum(element: ET.Element, parts: list[ET.Element]) -> None:
    """The counts and the time that readers of the format need at the top."""
    cases = list(element.iter("testcase"))
    for name, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(name, str(sum(case.find(kind) is not None for case in cases)))
    element.set("tests", str(len(cases)))
    element.set("time", f"{sum(float(part.get('time', 0)) for part in parts):.3f}")


def _scrub(suite: ET.Element, row: Row, code: str) -> None:
    """Leave out logs and values, and replace the student's name and ID by the code."""
    for element in suite.iter():
        if element.tag in ("failure", "error"):
            element.text = None
        message = element.get("message")
        if message is not None:
            element.set("message", message.replace(row.student, code))


def _line(words: str) -> str:
    """One line that XML can contain: control characters, which it cannot contain, are made
    visible."""
    return text.sentence(words)
