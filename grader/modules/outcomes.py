"""What a command, script or build of a submission came to, in words for a student."""

from __future__ import annotations

from grader.checks import fail
from grader.modules.explain import Explainer
from grader.nodes.node import Completed

LOG_LINES = 60
"""The end of an output that goes with a failure."""

ENDLESS = (
    "Look for an endless loop, a command that waits for an answer, or a server started in the"
    " foreground."
)


def must_have_worked(
    done: Completed,
    what: str,
    limit: float,
    otherwise: str,
    explainer: Explainer,
    too_slow: str = ENDLESS,
) -> None:
    """Fail if `what` did not end well within `limit` seconds, with the cause and the output's end.

    `otherwise` is the hint where the output has nothing that is known, `too_slow` where it had not
    ended.
    """
    if done.ok:
        return
    if done.timed_out:
        fail(
            f"{what} had not ended after {limit:.0f} s and was stopped.",
            expected=f"an end within {limit:.0f} s",
            actual=f"its last words: {done.tail(1) or 'none'}",
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
        "Read the output's end: the step that failed is repeated there. In RUN, a bare Debian has"
        " no packages before apt-get update.",
        explainer,
        too_slow,
    )
