"""The pytest plugin that turns check functions into results.

One instance serves one run over the checks of one exercise. It gives the fixtures that checks ask
for, decides the three outcomes, and hands every event to `emit` as plain data the moment it
happens, so that a run which dies has lost nothing that was already known.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from grader.checks import HIDDEN, CannotShow, CheckFailed, CheckSpec, NeedsFirst
from grader.engine.images import catalogue
from grader.errors import KitError
from grader.grading.confinement import LOOK, Limits
from grader.record import Cause, CheckResult, Unavailable, Why

if TYPE_CHECKING:
    from grader.modules.rollout.trace import Proof, Trace

Emit = Callable[[dict[str, Any]], None]

SHOWN = 2_000
"""Characters of an expected or actual value that a record keeps."""

LOG_SHOWN = 20_000
"""Characters of a log that a record keeps (its end)."""

_NEEDS = "It needs another check to pass first: {}."


class _NeedsNotPassed(Exception):
    """A check that this one needs has not passed."""


class _NoTarget(Exception):
    """This check needs nodes and there are none."""


class ChecksPlugin:
    """See the module's docstring.

    `exercise` is the ID that check IDs begin with; `target` is None where `unavailable` says why.
    """

    def __init__(
        self,
        *,
        exercise: str,
        emit: Emit,
        submission: Path,
        variant: dict[str, int | str],
        student: str,
        lab: Any,
        target: Any = None,
        unavailable: Unavailable | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.exercise = exercise
        self.emit = emit
        self._submission = submission
        self._variant = variant
        self._student = student
        self._lab = lab
        self._target = target
        self._unavailable = unavailable
        self._limits = limits
        self._results: dict[str, CheckResult] = {}
        self._started: dict[str, float] = {}

    # What checks may ask for ------------------------------------------------------------

    @pytest.fixture(scope="session")
    def target(self) -> Any:
        """The target: where the submission runs."""
        if self._target is None:
            raise _NoTarget
        return self._target

    @pytest.fixture(scope="session")
    def node(self, target: Any) -> Any:
        """The target's first node (grader.nodes.node.Node)."""
        return target.nodes[0]

    @pytest.fixture(scope="session")
    def submission(self) -> Path:
        """A copy of the workspace's folders of this exercise."""
        return self._submission

    @pytest.fixture(scope="session")
    def variant(self) -> dict[str, int | str]:
        """The student's values by name."""
        return self._variant

    @pytest.fixture(scope="session")
    def student(self) -> str:
        return self._student

    @pytest.fixture(scope="session")
    def lab(self) -> Any:
        return self._lab

    @pytest.fixture(scope="session")
    def allowed_images(self) -> tuple[str, ...]:
        """All names of the images that a submission of this exercise may use."""
        return catalogue.load().all_names(self._lab.exercise(self.exercise).images)

    @pytest.fixture(scope="session")
    def stage(self) -> Callable[[str], Any]:
        """`with stage("build"): …` adds the seconds to the record's times of the exercise."""

        @contextmanager
        def timed(name: str) -> Iterator[None]:
            started = time.monotonic()
            try:
                yield
            finally:
                seconds = time.monotonic() - started
                self.emit({"event": "stage", "name": name, "seconds": round(seconds, 3)})

        return timed

    @pytest.fixture(scope="session")
    def keep_rollout(self) -> Callable[..., None]:
        """`keep_rollout(trace, *proofs)`: a recorded rollout, and what was proven, for the record.

        The feedback page draws it, so keep it before a check fails by it.
        """

        def keep(trace: Trace, *proofs: Proof) -> None:
            kept = replace(trace, proofs=(*trace.proofs, *proofs))
            self.emit({"event": "rollout", "trace": kept.to_json()})

        return keep

    @pytest.fixture(scope="session")
    def step_checks(self, request: pytest.FixtureRequest) -> list[Any]:
        """The exercise's checks of a runbook's steps (grader.modules.runbook.scenario)."""
        functions = (getattr(item, "function", None) for item in request.session.items)
        found = (getattr(function, "step_check", None) for function in functions)
        return [each for each in found if each is not None]

    # How checks are collected and run ---------------------------------------------------

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=place_of)
        for item in items:
            if is_hidden(item):
                function = getattr(item, "function")  # noqa: B009
                function.check_spec = replace(spec_of(item), visibility="hidden")
        names = [check_name(item) for item in items]
        for item in items:
            spec = spec_of(item)
            for need in spec.needs:
                if need not in names:
                    raise pytest.UsageError(
                        f"{item.name} needs {need!r}, which is not a check of this exercise"
                    )
                if names.index(need) >= names.index(check_name(item)):
                    raise pytest.UsageError(f"{item.name} needs {need!r}, which comes after it")
        self.emit({"event": "collected", "checks": [asdict(self._blank(i)) for i in items]})

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._started[item.nodeid] = time.monotonic()
        self.emit({"event": "started", "id": self._id(item)})
        spec = spec_of(item)
        if self._not_passed(spec):
            raise _NeedsNotPassed
        if spec.needs_engine and self._target is None:
            raise _NoTarget

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.when == "call" or (call.when == "setup" and call.excinfo is not None):
            error = call.excinfo.value if call.excinfo else None
            result = self._result(item, error)
            self._results[check_name(item)] = result
            self.emit({"event": "result", "check": asdict(result)})
        return report

    def _not_passed(self, spec: CheckSpec) -> list[CheckResult]:
        """Results of the checks that one needs, as far as they are no pass."""
        needed = [self._results[need] for need in spec.needs if need in self._results]
        return [result for result in needed if result.outcome != "passed"]

    def _id(self, item: pytest.Item) -> str:
        return f"{self.exercise}.{check_name(item)}"

    def _blank(self, item: pytest.Item, **found: Any) -> CheckResult:
        """The result of a check of which nothing is known yet, with `found` filled in."""
        spec = spec_of(item)
        values: dict[str, Any] = {
            "id": self._id(item),
            "exercise": self.exercise,
            "title": sentence_of(item),
            "outcome": "not_graded",
            "points": 0.0,
            "max_points": spec.points,
            "needs": tuple(f"{self.exercise}.{need}" for need in spec.needs),
            "visibility": spec.visibility,
        }
        return CheckResult(**{**values, **found})

    def _result(self, item: pytest.Item, error: BaseException | None) -> CheckResult:
        spec = spec_of(item)
        seconds = round(time.monotonic() - self._started[item.nodeid], 3)
        if error is None:
            return self._blank(item, outcome="passed", points=spec.points, seconds=seconds)
        if isinstance(error, CheckFailed):
            cause = Cause(
                reason=error.reason,
                expected=_shown(error.expected),
                actual=_shown(error.actual),
                hint=error.hint or spec.hint,
                log=error.log[-LOG_SHOWN:] if error.log else None,
            )
            return self._blank(item, outcome="failed", cause=cause, seconds=seconds)
        if isinstance(error, AssertionError):
            reason = (str(error).splitlines() or ["The sentence is not true."])[0]
            cause = Cause(reason=reason, hint=spec.hint)
            return self._blank(item, outcome="failed", cause=cause, seconds=seconds)
        if isinstance(error, NeedsFirst):
            ids = tuple(f"{self.exercise}.{name}" for name in error.names)
            needs = (*self._blank(item).needs, *ids)
            cause = Cause(reason=_NEEDS.format(", ".join(ids)))
            return self._blank(item, cause=cause, why="needs", needs=needs, seconds=seconds)
        why, cause = self._not_graded(spec, error)
        return self._blank(item, cause=cause, why=why, seconds=seconds)

    def _not_graded(self, spec: CheckSpec, error: BaseException) -> tuple[Why, Cause]:
        if isinstance(error, _NeedsNotPassed):
            return _waits(self._not_passed(spec))
        if isinstance(error, _NoTarget) and self._unavailable:
            return self._unavailable.why, Cause(
                reason=self._unavailable.reason, hint=self._unavailable.remedy
            )
        if isinstance(error, CannotShow):
            return "target", Cause(reason=str(error))
        told = "".join(traceback.format_exception(error))
        reason, hint = f"The grader broke here ({type(error).__name__}).", None
        if isinstance(error, KitError):
            reason, hint = error.what, error.remedy
        reached = self._limits.explain_error(error) if self._limits else None
        if reached is not None:
            reason, hint = reached, LOOK
        return "grader", Cause(
            reason=f"{reason} This costs you no points.",
            hint=hint or "Run it again with --fresh; if that does not help, tell your tutor.",
            log=told[-LOG_SHOWN:],
        )


def _waits(results: list[CheckResult]) -> tuple[Why, Cause]:
    """Why a check that needs these is not graded.

    If none of them was the student's to pass (the target cannot show it, the grader broke),
    then neither is this one: it has their reason, and costs no one points.
    """
    theirs = [r for r in results if r.why in (None, "needs")]
    first = results[0]
    if theirs or first.why is None or first.cause is None:
        names = ", ".join(result.id for result in results)
        return "needs", Cause(reason=_NEEDS.format(names))
    return first.why, Cause(reason=first.cause.reason, hint=first.cause.hint)


def is_hidden(item: pytest.Item) -> bool:
    """Whether students get neither the check's file nor a word about it."""
    return item.path.name.endswith(HIDDEN)


def place_of(item: pytest.Item) -> tuple[bool, int]:
    """Where a check's file stands: as ORDER of the exercise's package says, hidden ones last."""
    package = sys.modules.get(getattr(item, "module").__package__ or "")  # noqa: B009
    order: Sequence[str] = getattr(package, "ORDER", ())
    name = item.path.stem
    return is_hidden(item), order.index(name) if name in order else len(order)


def check_name(item: pytest.Item) -> str:
    """The check's name: its function's without `check_`."""
    return item.name.removeprefix("check_")


def spec_of(item: pytest.Item) -> CheckSpec:
    function = getattr(item, "function", None)
    spec = getattr(function, "check_spec", None)
    if not isinstance(spec, CheckSpec):
        raise pytest.UsageError(f"{item.name} has no @check decorator")
    return spec


def sentence_of(item: pytest.Item) -> str:
    """The first paragraph of the docstring, on one line: what the student reads."""
    doc = getattr(item, "function").__doc__ or ""  # noqa: B009
    return " ".join(doc.strip().split("\n\n")[0].split())


def _shown(value: object) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
