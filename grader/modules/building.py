"""A folder with a Dockerfile: read, copied to the node, and built there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from grader.checks import fail
from grader.modules.files import text_of
from grader.modules.image import Build, build_image
from grader.modules.packages import blame_the_network
from grader.vetting.dockerfile import Vetted, vet


def vetted(
    folder: Path, allowed: Collection[str], arguments: Mapping[str, str] | None = None
) -> Vetted:
    """The folder's Dockerfile; ends the check if it must not be built.

    `allowed` are all names of the images that it may use, `arguments` the build's arguments.
    """
    found = vet(text_of(folder, "Dockerfile"), allowed, arguments)
    if found.problems:
        first = found.problems[0]
        fail(
            first.reason,
            expected="a Dockerfile that builds on an image of this lab",
            actual="; ".join(p.reason for p in found.problems),
            hint=first.hint,
        )
    return found


def seconds_of(lab: Any, target: Any) -> float:
    """The time limit for one build."""
    return float(lab.limits["build_seconds"] * target.timeout_factor)


def build(
    node: Any,
    context: str,
    tag: str,
    lab: Any,
    seconds: float,
    arguments: Mapping[str, str] | None = None,
) -> Build:
    """Build the folder `context` of the node; a mirror that is down is never the student's
    fault."""
    keep = lab.limits["output_kb"] * 1000
    made = build_image(node, context, tag, seconds=seconds, arguments=arguments, keep=keep)
    blame_the_network(node, made.done)
    return made
