"""What a record means for its student: what to do first, and what the rest waits for.

Pure functions over `grader.record.Record`, shared by the terminal and the feedback page.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import zip_longest

from grader.record import Cause, CheckResult, ExerciseResult, Outcome, Record
from grader.text.words import count

HIDDEN = "A hidden check."
WORDS: dict[Outcome, str] = {
    "passed": "passed",
    "failed": "failed",
    "not_graded": "not graded",
}


def for_student(record: Record) -> Record:
    """The record without what hidden checks are about: outcome and points only."""
    names = {
        check.id: f"{exercise.id}.hidden-{number}"
        for exercise in record.exercises
        for number, check in enumerate(exercise.checks, start=1)
        if check.visibility == "hidden"
    }

    def masked(check: CheckResult) -> CheckResult:
        needs = tuple(names.get(need, need) for need in check.needs)
        if check.visibility == "visible":
            return replace(check, needs=needs)
        return replace(
            check, id=names[check.id], title=HIDDEN, cause=None, needs=needs, seconds=0.0
        )

    exercises = tuple(
        replace(exercise, checks=tuple(masked(check) for check in exercise.checks))
        for exercise in record.exercises
    )
    return replace(record, exercises=exercises)


def points(value: float) -> str:
    """`2`, `1.5`, `0.33`: points as people write them."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def points_word(value: float) -> str:
    """`1 point`, `1.5 points`."""
    return f"{points(value)} {'point' if value == 1 else 'points'}"


def counts(exercise: ExerciseResult) -> dict[Outcome, int]:
    """How many checks ended in which way; outcomes that did not occur are left out."""
    outcomes = [check.outcome for check in exercise.checks]
    return {outcome: outcomes.count(outcome) for outcome in WORDS if outcome in outcomes}


def counts_text(exercise: ExerciseResult) -> str:
    """`8 passed, 2 failed, 3 not graded`."""
    if not exercise.checks:
        return "not graded"
    return ", ".join(f"{n} {WORDS[outcome]}" for outcome, n in counts(exercise).items())


def origin(exercise: ExerciseResult, check: CheckResult) -> CheckResult:
    """The check with which the trouble of a not graded `check` began; itself if there is none."""
    by_id = {other.id: other for other in exercise.checks}
    seen = {check.id}
    while check.why == "needs":
        before = (by_id[need] for need in check.needs if need in by_id)
        cause = next((other for other in before if other.outcome != "passed"), None)
        if cause is None or cause.id in seen:
            break
        check = cause
        seen.add(check.id)
    return check


def share_of_check(exercise: ExerciseResult, check: CheckResult) -> str:
    """`1 of 2`; `2 open` where it is not the student's fault, `not counted` out of the sum."""
    if check.outcome == "not_graded":
        if check.why == "target":
            return "not counted"
        if origin(exercise, check).outcome == "not_graded":
            return f"{points(check.max_points)} open"
    return f"{points(check.points)} of {points(check.max_points)}"


@dataclass(frozen=True)
class Todo:
    """A failed check, and what would be graded if it passed."""

    exercise: ExerciseResult
    check: CheckResult
    unlocks: int
    unlocks_points: float

    @property
    def unlocks_text(self) -> str:
        """A sentence, or nothing if no other check waits for this one."""
        if not self.unlocks:
            return ""
        verb = "waits" if self.unlocks == 1 else "wait"
        more = count(self.unlocks, "more check")
        return f"{more} ({points_word(self.unlocks_points)}) {verb} for this one."


def first_things(record: Record, at_most: int = 3) -> list[Todo]:
    """The failed checks to look at first, in the order of the exercises.

    Of an exercise, those for which the most points wait come first. Each exercise has its
    first one in the list, even if these are more than `at_most`; hidden checks come last.
    """
    queues = [_todos(exercise) for exercise in record.exercises]
    starts = sum(1 for queue in queues if queue)
    ranked = [todo for row in zip_longest(*queues) for todo in row if todo is not None]
    chosen = ranked[: max(at_most, starts)]
    order = {exercise.id: number for number, exercise in enumerate(record.exercises)}
    return sorted(chosen, key=lambda todo: order[todo.exercise.id])


def _todos(exercise: ExerciseResult) -> list[Todo]:
    waiting = [(check, origin(exercise, check)) for check in exercise.checks]
    todos = []
    for check in exercise.checks:
        if check.outcome == "failed":
            behind = [c for c, start in waiting if start.id == check.id and c.id != check.id]
            todos.append(Todo(exercise, check, len(behind), sum(c.max_points for c in behind)))
    return sorted(todos, key=lambda t: (t.check.visibility == "hidden", -t.unlocks_points))


@dataclass(frozen=True)
class Unanswered:
    """Checks of one exercise that were not graded for one and the same cause.

    `start` is the check with which it began; `count` is 0 where not even the checks are known.
    `unseen`: not one cause, but each check's own why it cannot be seen on a live target, of the
    kind `target`.
    """

    start: CheckResult
    count: int
    points: float
    unseen: bool = False
    target: str = ""

    @property
    def what(self) -> str:
        """`3 checks (4 points) not graded`."""
        subject = count(self.count, "check") if self.count else "The whole exercise"
        return f"{subject} ({points_word(self.points)}) not graded"

    @property
    def costs(self) -> bool:
        """Whether the student has to do something to get these points."""
        return self.start.outcome == "failed"

    @property
    def cause_text(self) -> str:
        """Why, as one or two sentences."""
        start = self.start
        if self.unseen:
            why = "--verbose and the page show each reason"
            if self.target == "local":
                return (
                    f"They would change what is running, or they cannot be seen there ({why})."
                    " Without --target local your files are run in a sandbox. The points are left"
                    " out of the sum."
                )
            return (
                f"They cannot be seen in what is there now; {why}. With --fresh your files are "
                f"run. The points are left out of the sum."
            )
        if start.outcome == "failed":
            return f"Needed first: “{start.title}”"
        reason = closed(start.cause.reason) if start.cause else ""
        if start.why == "engine":
            return reason or "There is no Docker engine."
        if start.why == "target":
            reason = reason or "This cannot be tested where it was graded."
            return f"{reason} The points are left out of the sum."
        if start.why == "grader":
            return reason or "The grader itself failed."
        return "A check that must pass first has no result."


def unanswered(exercise: ExerciseResult) -> list[Unanswered]:
    """The exercise's not graded checks, gathered by their first cause, in order."""
    if not exercise.checks:
        return [Unanswered(_fault(exercise), 0, exercise.points)]
    groups: dict[tuple[object, ...], list[CheckResult]] = {}
    starts: dict[tuple[object, ...], CheckResult] = {}
    for check in exercise.checks:
        if check.outcome == "not_graded":
            start = origin(exercise, check)
            same = start.id if start.outcome == "failed" else start.cause and start.cause.reason
            if start.why == "target" and exercise.target.get("live"):
                same = None
            groups.setdefault((start.why, same), []).append(check)
            starts.setdefault((start.why, same), start)
    return [
        Unanswered(
            starts[key],
            len(checks),
            sum(check.max_points for check in checks),
            unseen=key == ("target", None) and len(checks) > 1,
            target=str(exercise.target.get("kind", "")),
        )
        for key, checks in groups.items()
    ]


def _fault(exercise: ExerciseResult) -> CheckResult:
    """What stands for the checks of an exercise whose checks could not even be listed."""
    first, _, rest = (exercise.fault or "The checks did not start.").partition("\n")
    cause = Cause(reason=f"The grader broke: {first}", log=rest or None)
    return CheckResult(
        id=exercise.id,
        exercise=exercise.id,
        title=exercise.title,
        outcome="not_graded",
        points=0.0,
        max_points=exercise.points,
        cause=cause,
        why="grader",
    )


@dataclass(frozen=True)
class Shares:
    """Where an exercise's (or record's) possible points are: `got + lost + waiting + open`."""

    got: float
    lost: float
    waiting: float
    """Behind a failed check."""
    open: float
    """Not graded through no fault of the student."""

    @property
    def possible(self) -> float:
        return self.got + self.lost + self.waiting + self.open

    @property
    def text(self) -> str:
        if self.got and self.got == self.possible:
            return f"All {points_word(self.got)} reached"
        parts = [f"{points_word(self.got)} reached"]
        if self.lost:
            parts.append(f"{points(self.lost)} missed")
        if self.waiting:
            parts.append(f"{points(self.waiting)} waiting for another check")
        if self.open:
            parts.append(f"{points(self.open)} not graded")
        return ", ".join(parts)


def shares(*exercises: ExerciseResult) -> Shares:
    """The points of `exercises` by what became of them; see `Shares`."""
    got = lost = waiting = open_ = 0.0
    for exercise in exercises:
        if not exercise.checks:
            open_ += exercise.points
        for check in exercise.checks:
            if check.why == "target":
                continue
            missing = check.max_points - check.points
            got += check.points
            if check.outcome != "not_graded":
                lost += missing
            elif origin(exercise, check).outcome == "failed":
                waiting += missing
            else:
                open_ += missing
    return Shares(got, lost, waiting, open_)


def headline(record: Record) -> str:
    """The result as one sentence."""
    all_of = f"{points(record.score)} of {points_word(record.max_score)}"
    if not record.gradable:
        open_ = points_word(shares(*record.exercises).open)
        return f"{all_of} so far; {open_} could not be graded."
    if record.max_score and record.score >= record.max_score:
        return f"All {points_word(record.max_score)} reached."
    return f"{all_of} reached."


def closed(text: str) -> str:
    """`text` as a sentence: with a full stop if it ends without any mark."""
    text = text.strip()
    return text if not text or text[-1] in ".!?:…”\"'`)" else f"{text}."
