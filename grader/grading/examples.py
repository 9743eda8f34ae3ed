"""The lab's own examples: solutions, alternatives and mistakes, each with its expected result.

    labs/LAB/examples/EXERCISE/solution/            the exercise's folders, as templates
    labs/LAB/examples/EXERCISE/alternatives/NAME/   what replaces or adds to the solution's files
    labs/LAB/examples/EXERCISE/mistakes/NAME/       likewise

Alternatives and mistakes carry an `expected.yaml`:

    about: One sentence on what is different.
    edit:                           # in files of the solution (or the handout), optional
      counter/compose.yaml:
        - ["restart: always", "restart: on-failure"]
    remove: [blog/compose.yaml]     # files of the solution that are not there, optional
    fails: [starts, counts_hits]    # exactly the checks that fail, without the exercise's name
    not_graded: [scales]            # exactly those not graded, optional

Each text to be replaced stands exactly once in the file as it is before that edit. Files are named
as in the workspace; in a template it is the template's text that is edited.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.errors import KitError
from grader.grading import progress, submission
from grader.handout import rendering
from grader.handout import workspace as handout
from grader.lab.model import Exercise, Lab
from grader.record import CheckResult, ExerciseResult
from grader.text.words import count

KINDS = ("solution", "alternatives", "mistakes")
EXPECTED = "expected.yaml"


@dataclass(frozen=True)
class Example:
    """One example; `name` is `exercise/solution` or `exercise/mistakes/NAME`."""

    name: str
    exercise: Exercise
    folder: Path
    about: str
    edit: Mapping[str, Sequence[tuple[str, str]]]
    remove: tuple[str, ...]
    fails: frozenset[str]
    not_graded: frozenset[str] | None


@dataclass(frozen=True)
class Compared:
    """An example's result; `differences` are sentences, empty where all is as expected."""

    example: Example
    result: ExerciseResult
    differences: tuple[str, ...]


def find(lab: Lab, names: Sequence[str] = ()) -> list[Example]:
    """The examples of these names (or below them: `compose`, `compose/mistakes`); all if none."""
    found = [example for exercise in lab.exercises for example in _of(lab, exercise)]
    if not names:
        return found
    wanted = []
    for name in names:
        clean = name.strip("/")
        below = [e for e in found if e.name == clean or e.name.startswith(clean + "/")]
        if not below:
            raise KitError(
                f"There is no example {name!r}.",
                remedy="Examples: " + ", ".join(e.name for e in found) + ".",
            )
        wanted += [e for e in below if e not in wanted]
    return wanted


def _of(lab: Lab, exercise: Exercise) -> list[Example]:
    root = lab.folder / "examples" / exercise.id
    folders = [root / "solution"] if (root / "solution").is_dir() else []
    for kind in KINDS[1:]:
        folders += sorted(p for p in (root / kind).glob("*") if p.is_dir())
    return [_read(exercise, root, folder) for folder in folders]


def _read(exercise: Exercise, root: Path, folder: Path) -> Example:
    import yaml

    file = folder / EXPECTED
    said: dict[str, Any] = {}
    if file.is_file():
        said = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    elif folder.name != "solution":
        raise KitError("An example must say what is expected of it.", where=str(file))
    unknown = said.keys() - {"about", "edit", "remove", "fails", "not_graded"}
    if unknown:
        raise KitError(f"Unknown key: {', '.join(sorted(unknown))}.", where=str(file))
    not_graded = said.get("not_graded")
    return Example(
        name=f"{exercise.id}/{folder.relative_to(root).as_posix()}",
        exercise=exercise,
        folder=folder,
        about=said.get("about", "The solution."),
        edit=_edits(said.get("edit") or {}, file),
        remove=tuple(said.get("remove", ())),
        fails=frozenset(said.get("fails", ())),
        not_graded=None if not_graded is None else frozenset(not_graded),
    )


def _edits(said: Any, file: Path) -> dict[str, list[tuple[str, str]]]:
    try:
        return {
            str(name): [(str(old), str(new)) for old, new in pairs] for name, pairs in said.items()
        }
    except (AttributeError, TypeError, ValueError):
        raise KitError(
            "`edit` is no mapping of files to lists of [old text, new text].", where=str(file)
        ) from None


def render_solution(lab: Lab, student: str, dest: Path) -> None:
    """A finished workspace: the handout with the solutions of all exercises in it."""
    handout.write(lab, student, dest)
    for exercise in lab.exercises:
        _overlay(lab, exercise, student, dest)


def render(lab: Lab, example: Example, student: str, dest: Path) -> None:
    """The folders of an example's exercise: the solution's, less what it removes, with its own."""
    values = handout.values(lab, student)
    for folder in example.exercise.folders:
        rendering.render_tree(lab.templates / folder, dest / folder, values)
    _overlay(lab, example.exercise, student, dest)
    for name, pairs in example.edit.items():
        rendering.write_file(dest, name, _edited(lab, example, name, pairs, values))
    for name in example.remove:
        path = dest / name
        if not path.is_file():
            raise KitError(f"It removes {name}, which is not there.", where=example.name)
        path.unlink()
    if not example.name.endswith("/solution"):
        rendering.render_tree(example.folder, dest, values)
        (dest / EXPECTED).unlink()


def _edited(
    lab: Lab,
    example: Example,
    name: str,
    pairs: Sequence[tuple[str, str]],
    values: Mapping[str, Any],
) -> bytes:
    """A file of the solution, or else of the handout, with the example's edits in it."""
    solution = lab.folder / "examples" / example.exercise.id / "solution"
    sources = [
        path
        for folder in (solution, lab.templates)
        for path in (folder / f"{name}{rendering.TEMPLATE}", folder / name)
        if path.is_file()
    ]
    if not sources:
        raise KitError(f"It edits {name}, which is not there.", where=example.name)
    text = rendering.read_template(sources[0])
    for old, new in pairs:
        if text.count(old) != 1:
            raise KitError(
                f"It edits a text that stands {count(text.count(old), 'time')} in {name}: {old!r}",
                where=example.name,
                remedy="Quote more of the text around it, or its current text.",
            )
        text = text.replace(old, new)
    if sources[0].name.endswith(rendering.TEMPLATE):
        text = rendering.render_text(text, sources[0], values)
    return text.encode("utf-8")


def _overlay(lab: Lab, exercise: Exercise, student: str, dest: Path) -> None:
    """Put the solution of an exercise over what is there."""
    solution = lab.folder / "examples" / exercise.id / "solution"
    if solution.is_dir():
        rendering.render_tree(solution, dest, handout.values(lab, student))
        (dest / EXPECTED).unlink(missing_ok=True)


def run(
    lab: Lab,
    example: Example,
    provider: Any,
    folder: Path,
    stop: threading.Event | None = None,
    student: str | None = None,
    follow: progress.Progress | None = None,
) -> Compared:
    """Grade an example in `folder` (the demo student's by default) and compare the result.

    `follow` is told how far it is.
    """
    workspace = folder / "workspace"
    student = student or lab.demo_student
    render(lab, example, student, workspace)
    request = submission.Request(
        lab=lab,
        student=student,
        workspace=workspace,
        record_file=folder / "record.json",
        exercises=[example.exercise.id],
        jobs=1,
    )
    graded = submission.grade(
        request,
        submission.plan(request),
        provider,
        follow or progress.Progress(),
        submission.Stop(stop or threading.Event()),
    )
    result = graded.exercise(example.exercise.id)
    assert result is not None
    return Compared(example, result, tuple(_differences(example, result)))


def _differences(example: Example, result: ExerciseResult) -> list[str]:
    if result.fault:
        return [f"the grader broke: {result.fault}"]
    by_name = {check.id.partition(".")[2]: check for check in result.checks}
    unknown = (example.fails | (example.not_graded or frozenset())) - by_name.keys()
    told = [f"expects a check {name}, which there is not" for name in sorted(unknown)]
    for name, check in by_name.items():
        if (check.outcome == "failed") != (name in example.fails):
            told.append(f"{name} is {check.outcome}{_because(check)}")
        elif check.outcome == "not_graded" and check.why in ("engine", "grader"):
            told.append(f"{name} broke{_because(check)}")
        elif example.not_graded is not None and (check.outcome == "not_graded") != (
            name in example.not_graded
        ):
            told.append(f"{name} is {check.outcome}{_because(check)}")
    return told


def _because(check: CheckResult) -> str:
    if check.cause is None:
        return ""
    return f": {check.cause.reason} {check.cause.actual or ''}".rstrip()
