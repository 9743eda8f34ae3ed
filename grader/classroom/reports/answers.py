"""The answers page: all answers question by question, for marking."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grader.classroom.marking import marks as marking
from grader.classroom.marking.answers import Worksheet
from grader.classroom.marking.marks import Mark, Marks
from grader.classroom.results import Results
from grader.lab.model import Lab
from grader.lab.rubric import Question
from grader.reports import feedback

SAME_FROM = 60
"""From this many characters on, equal answers are not a coincidence."""


@dataclass(frozen=True)
class Shown:
    """One answer on the page, under the `name` of its student; `twins` have the same words."""

    name: str
    person: str
    text: str
    remark: str
    mark: Mark | None
    twins: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """A question with its answers, the students who wrote nothing, and those with nothing to
    read."""

    question: Question
    answers: tuple[Shown, ...]
    silent: tuple[str, ...]
    unread: tuple[tuple[str, str], ...]


def render(
    results: Results,
    lab: Lab,
    questions: Sequence[Question],
    worksheets: Mapping[str, Worksheet],
    given: Marks,
    *,
    anonymous: bool = False,
) -> str:
    """The page. With `anonymous` it shows codes instead of IDs and names, in the order of the
    codes."""
    parts = [
        _part(results, question, worksheets, given, anonymous=anonymous) for question in questions
    ]
    return (
        feedback.environment()
        .get_template("answers.html.j2")
        .render(
            lab=lab,
            parts=parts,
            handed_in=len(results.entries),
            maximum=marking.maximum(questions),
            marked=sum(
                given.points(entry.person.id, questions) is not None for entry in results.entries
            ),
            anonymous=anonymous,
            marks_file=results.marks_file.name,
        )
    )


def _part(
    results: Results,
    question: Question,
    worksheets: Mapping[str, Worksheet],
    given: Marks,
    *,
    anonymous: bool,
) -> Part:
    names = marking.shown(results, anonymous=anonymous)
    answers, silent, unread = [], [], []
    words: dict[str, list[str]] = {}
    for entry in sorted(results.entries, key=lambda entry: names[entry.person.id]):
        student = entry.person.id
        name = names[student]
        worksheet = worksheets.get(student, Worksheet(trouble="It could not be unpacked."))
        answer = worksheet.answers.get(question.id)
        if answer is None:
            trouble = worksheet.trouble or "The worksheet no longer has this cell."
            # Why it was refused may hold the archive's name, and so the student's.
            unread.append((name, (not anonymous and entry.refused) or trouble))
        elif answer.untouched:
            silent.append(name)
        else:
            mark = given.of(student).get(question.id)
            person = "" if anonymous else entry.person.name
            answers.append(Shown(name, person, answer.text, answer.remark, mark))
            words.setdefault(_words(answer.text), []).append(name)
    with_twins = tuple(
        Shown(**{**vars(one), "twins": _twins(one, words[_words(one.text)])}) for one in answers
    )
    return Part(question, with_twins, tuple(silent), tuple(unread))


def _twins(one: Shown, names: list[str]) -> tuple[str, ...]:
    if len(one.text) < SAME_FROM:
        return ()
    return tuple(name for name in names if name != one.name)


def _words(answer: str) -> str:
    """Only the letters and digits of an answer, so that line breaks make no difference."""
    return re.sub(r"\W+", " ", answer.casefold()).strip()
