"""The vocabulary of lab authors: what the files of an exercise under labs/*/checks are written in.

    from grader.checks import check, fail
    from grader.waiting import wait_until

    @check(points=2, needs=["starts"], hint="Give redis a named volume for /data.")
    def check_counts_hits(web):
        \"\"\"Each visit to the counter counts one more.\"\"\"
        first = web.count()
        wait_until(lambda: web.count() > first, within=5) or fail(
            "The counter does not count.", expected=f"more than {first}", actual=web.count())

The docstring is the sentence that the student reads. A check ends in one of three ways:

* it returns: *passed*;
* it calls `fail` (or an assertion of its own fails): *failed*, points are lost;
* *not graded*: a check it needs has not passed, it called `cannot_show` since the target
  lacks what would show it, or anything else was raised, which is a fault of the grader.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from grader.record import Visibility

HIDDEN = "_hidden.py"
"""How a file of checks ends that students do not get."""

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class CheckSpec:
    """What the decorator says of a check. `needs` are names in the same file, without `check_`."""

    points: float
    needs: tuple[str, ...]
    hint: str | None
    visibility: Visibility
    needs_engine: bool


class CheckFailed(AssertionError):
    """The submission does not do what the check's sentence says."""

    def __init__(
        self,
        reason: str,
        *,
        expected: object = None,
        actual: object = None,
        hint: str | None = None,
        log: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.expected = expected
        self.actual = actual
        self.hint = hint
        self.log = log


class NeedsFirst(Exception):
    """Other checks of the file (`names`) have to pass before this one can be graded."""

    def __init__(self, *names: str) -> None:
        super().__init__(", ".join(names))
        self.names = names


class CannotShow(Exception):
    """This target has no means to show what the check asks; no one loses points."""


def check(
    *,
    points: float,
    needs: Sequence[str] = (),
    hint: str | None = None,
    visibility: Visibility = "visible",
    needs_engine: bool = True,
) -> Callable[[F], F]:
    """Make a function a check worth `points`; see the module's docstring for an example.

    `needs` names checks of the same file that must have passed before; `needs_engine=False`
    marks a check that only reads the submission's files and is graded without an engine too.
    """
    if points < 0:
        raise ValueError("points of a check cannot be negative")
    spec = CheckSpec(points, tuple(needs), hint, visibility, needs_engine)

    def decorate(function: F) -> F:
        if not (function.__doc__ or "").strip():
            raise ValueError(f"{function.__name__} has no docstring: the student reads it")
        function.check_spec = spec  # type: ignore[attr-defined]
        return function

    return decorate


def fail(
    reason: str,
    *,
    expected: object = None,
    actual: object = None,
    hint: str | None = None,
    log: str | None = None,
) -> NoReturn:
    """End the check as failed: why, what was expected, what was found, how to go on.

    `hint` replaces the decorator's; `log` is the output that explains it, shown folded.
    """
    raise CheckFailed(reason, expected=expected, actual=actual, hint=hint, log=log)


def cannot_show(reason: str) -> NoReturn:
    """End the check as not graded because the target cannot show it."""
    raise CannotShow(reason)


def needs_first(*names: str) -> NoReturn:
    """End the check as not graded since checks of these names have not passed.

    For a precondition that is known only while the check runs; `check(needs=…)` is for others.
    As there, the points are lost with the first cause.
    """
    raise NeedsFirst(*names)
