"""The result of a command, script or build of a submission, explained to a student."""

from __future__ import annotations

from grader.checks import fail
from grader.modules.explain import Explainer
from grader.nodes.node import Completed

LOG_LINES = 60
"""The end of an output that is shown with a failure."""

ENDLESS = "Look for an endless loop, a command that waits for input, or a server in the foreground."


def must_have_worked(
    done: Completed,
    what: str,
    limit: float,
    otherwise: str,
    explainer: Explainer,
    too_slow: str = ENDLESS,
) -> None:
    """Fail if `what` did not succeed within `limit` seconds, with the cause and the output's end.

    `otherwise` is the hint if the output contains nothing known, `too_slow` if it had not ended.
    """
    if done.ok:
        return
    if done.timed_out:
        fail(
            f"{what} did not end within {limit:.0f} s and was stopped.",
            expected=f"an end within {limit:.0f} s",
            actual=f"its last output: {done.tail(1) or 'none'}",
            hint=too_slow,
            log=done.tail(LOG_LINES),
        )
    known = explainer.explain(done.out)
    fail(
        known.reason if known else f"{what} ended with exit code {done.rc}.",
        expected="exit code 0",
        actual=f"exit code {done.rc}",
        hint=known.hint if known else otherwise,
        log=done.tail(LOG_LINES),
    )


def must_have_built(
    done: Completed, limit: float, explainer: Explainer, too_slow: str = ENDLESS
) -> None:
    """The same for `docker build`."""
    must_have_worked(
        done,
        "docker build",
        limit,
        "Read the end of the output: it repeats the step that failed. In RUN, a bare Debian finds "
        "no packages before apt-get update.",
        explainer,
        too_slow,
    )
