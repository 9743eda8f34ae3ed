"""What a build's or a container's words mean in the exercise scientific."""

from __future__ import annotations

import re

from grader.checks import fail
from grader.modules.explain import explain
from grader.nodes.node import Completed
from grader.text.cut import cut

_PATTERNS: tuple[tuple[str, str, str], ...] = (
    (
        r"externally-managed-environment",
        "Debian's own Python lets pip install into virtual environments only.",
        "Build on python:3.11, or make an environment first: python3 -m venv /opt/venv, and"
        " ENV PATH=/opt/venv/bin:$PATH",
    ),
    (
        r"No matching distribution found for (\S+)",
        "pip knows no {1}.",
        "Check name and version. pip index versions NAME lists those there are, and the output"
        " above the error says which fit this Python.",
    ),
    (
        r"ResolutionImpossible|conflicting dependencies",
        "The versions that you name do not go together.",
        "pip's output says who needs what. pip install without versions finds some that do; pip"
        " freeze shows which.",
    ),
    (
        r"E: Version '(\S+?)' for '(\S+?)' was not found",
        "apt-get has no version {1} of {2}.",
        "apt-cache policy {2} shows the version there is (run apt-get update before it).",
    ),
    (
        r"E: Unable to locate package (\S+)",
        "apt-get knows no package {1}.",
        "Run apt-get update in the same RUN before it, and check the spelling: python3-numpy,"
        " python3-scipy, python3-pandas, python3-matplotlib, jupyter-notebook.",
    ),
    (
        r"\"/?([^\s\"]+)\": not found|failed to compute cache key:.*\"/?([^\"\n]+)\": not found",
        "COPY finds no {1}{2} in the folder scientific/.",
        "Paths of COPY count from the folder that is built, scientific/, and cannot lead out of"
        " it. Does a .dockerignore leave it out?",
    ),
    (
        r"No module named '?([\w.]+)'?",
        "Python finds no module {1}.",
        "Install it for the Python that runs: the python3 that comes first in PATH.",
    ),
    (
        r"can't open file '\S*?/?analysis\.py'",
        "There is no analysis.py in the folder where commands of the image start.",
        "COPY it to the folder that WORKDIR names.",
    ),
    (
        r"PermissionError: \[Errno 13\] Permission denied: '([^']+)'",
        "The image's user may not read or write {1}.",
        "Which user runs it, and whose is it? COPY --chown=USER …, or chmod in a RUN as root.",
    ),
    (
        r"Running as root is not recommended",
        "Jupyter refuses to run as root.",
        "That is the point: let the image run as a user of its own (USER …).",
    ),
    (
        r"Jupyter command `(\S+)` not found",
        "The Jupyter that is installed has no {1}.",
        "Install what CMD starts: jupyterlab for jupyter lab, notebook for jupyter notebook.",
    ),
)

_COMPILED = tuple((re.compile(p, re.MULTILINE), r, h) for p, r, h in _PATTERNS)


def meaning(output: str) -> tuple[str, str] | None:
    """Why it went wrong and what to do, in words for a student; None for what is not known."""
    output = cut(output)
    for pattern, reason, hint in _COMPILED:
        found = pattern.search(output)
        if found:
            for number, word in enumerate(found.groups(), 1):
                reason = reason.replace(f"{{{number}}}", word or "")
                hint = hint.replace(f"{{{number}}}", word or "")
            return reason, hint
    known = explain(output)
    return (known.reason, known.hint) if known else None


def must_have_worked(done: Completed, what: str, limit: float, otherwise: str) -> None:
    """Fail if a command did not end well within `limit` seconds, with the likely cause."""
    if done.ok:
        return
    if done.timed_out:
        fail(
            f"{what} had not ended after {limit:.0f} s and was stopped.",
            expected=f"an end within {limit:.0f} s",
            actual=f"its last words: {done.tail(1) or 'none'}",
            hint="Install less, or ready-made packages (pip's wheels, Debian's) instead of building"
            " from source; look for a command that waits or never ends.",
            log=done.tail(60),
        )
    reason, hint = meaning(done.out) or (f"{what} ended with exit code {done.rc}.", otherwise)
    fail(
        reason,
        expected="exit code 0",
        actual=f"exit code {done.rc}",
        hint=hint,
        log=done.tail(60),
    )
