"""What a command, script or build of a submission came to, in words for a student."""

from __future__ import annotations

from grader.checks import fail
from grader.modules.explain import explain
from grader.nodes.node import Completed


def must_have_worked(done: Completed, what: str, limit: float, otherwise: str) -> None:
    """Fail if the script or build did not end well, with the cause and the output's end."""
    if done.ok:
        return
    known = explain(done.out)
    if done.timed_out:
        fail(
            f"{what} had not ended after {limit:.0f} s and was stopped.",
            expected=f"an end within {limit:.0f} s",
            actual=f"its last words: {done.tail(1) or 'none'}",
            hint="Look for an endless loop, a command that waits for an answer, or a server started"
            " in the foreground (nginx -g 'daemon off;' never returns).",
            log=done.tail(60),
        )
    fail(
        known.reason if known else f"{what} ended with exit code {done.rc}.",
        expected="exit code 0",
        actual=f"exit code {done.rc}",
        hint=known.hint if known else otherwise,
        log=done.tail(60),
    )


def must_have_built(done: Completed, limit: float) -> None:
    """The same for `docker build`."""
    must_have_worked(
        done,
        "docker build",
        limit,
        "Read the output's end: the step that failed is repeated there. In RUN, a bare Debian has"
        " no packages before apt-get update.",
    )
