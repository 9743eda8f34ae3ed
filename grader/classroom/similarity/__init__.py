"""Similarity: what submissions of a class have in common although their variants differ.

It is a hint for a person, never a verdict: two students who learned together, or copied from the
same page, look the same. `values` and `files` say how certain a hint must be.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from grader.classroom.results import Results, Similarity
from grader.classroom.similarity.files import Files
from grader.classroom.similarity.texts import read
from grader.classroom.similarity.values import Values
from grader.lab.model import Lab

Progress = Callable[[int, int], None]
"""Called with the number of submissions that were read, and the number of all."""


def find(lab: Lab, results: Results, progress: Progress | None = None) -> tuple[Similarity, ...]:
    """Find all similarities of a class, in a stable order. Takes seconds for hundreds of
    submissions.

    For the kind `values`, the first student's files contain the second one's values. `detail` has
    the names of these values, the rarest first, and the files. The second student may have no
    submission, or be the lab's demo student. For the kind `file`, all students have the files that
    `detail` names. Submissions are only read. Everything that is not an ordinary text file is left
    out.
    """
    writers = sorted({entry.person.id for entry in results.entries if entry.refused is None})
    people = {entry.person.id for entry in results.entries}
    people |= {person.id for person in results.missing} | {lab.demo_student}
    values = Values(lab, sorted(people))
    files = Files(lab, values)
    tests = len(writers) * len(people)
    told: list[Similarity] = []
    for done, writer in enumerate(writers, start=1):
        texts = read(results.submission(writer))
        files.add(writer, texts)
        grams = {text.name: values.grams(text.text) for text in texts}
        everything: set[str] = set().union(*grams.values())
        for found in values.found(writer, everything, tests):
            where = _where(values.grams_of(found.person, found.names), grams)
            detail = f"{_listed(found.names)}; in {_listed(where)}"
            told.append(Similarity("values", (writer, found.person), detail))
        if progress is not None:
            progress(done, len(writers))
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for shared in files.shared():
        groups[shared.students].append(shared.name)
    told += [
        Similarity("file", students, _listed(sorted(names)))
        for students, names in sorted(groups.items())
    ]
    return tuple(told)


def _where(theirs: set[str], grams: dict[str, set[str]]) -> list[str]:
    """The files that contain several values of another student; a single one may be an ordinary
    word."""
    several = [name for name, inside in grams.items() if len(theirs & inside) > 1]
    return several or [name for name, inside in grams.items() if theirs & inside]


def _listed(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
