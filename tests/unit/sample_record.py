"""Records as grading writes them, for the tests of records and reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grader.record import Cause, CheckResult, ExerciseResult, Record

TARGET = {"kind": "sandbox", "isolation": "userns", "engine": "26.1.5", "nodes": 1}
GRADED_AT = "2026-11-24T09:41:12+01:00"

BUILD_LOG = """\
#1 [internal] load build definition from Dockerfile
#1 transferring dockerfile: 312B done
#2 [internal] load metadata for docker.io/library/debian:bookworm
#5 [2/4] RUN apt-get update && apt-get install -y nginx php-fpn
#5 1.204 Reading package lists...
#5 1.911 Building dependency tree...
#5 2.030 \x1b[31mE: Unable to locate package php-fpn\x1b[0m
#5 ERROR: process "/bin/sh -c apt-get update && apt-get install -y nginx php-fpn" did not \
complete successfully: exit code: 100
"""


def passed(id: str, title: str, points: float = 1.0, **more: Any) -> CheckResult:
    return CheckResult(
        id=id,
        exercise=id.split(".")[0],
        title=title,
        outcome="passed",
        points=points,
        max_points=points,
        **{"seconds": 0.21, **more},
    )


def failed(
    id: str, title: str, points: float = 1.0, cause: Cause | None = None, **more: Any
) -> CheckResult:
    return CheckResult(
        id=id,
        exercise=id.split(".")[0],
        title=title,
        outcome="failed",
        points=0.0,
        max_points=points,
        cause=cause or Cause(reason="It does not do what the sentence says."),
        **{"seconds": 1.75, **more},
    )


def not_graded(id: str, title: str, points: float, why: Any, **more: Any) -> CheckResult:
    reasons = {
        "needs": "It needs another check to pass first.",
        "engine": "There is no Docker engine.",
        "target": "Docker's routing mesh does not work on this machine.",
        "grader": "The grader broke here (OSError): this costs you no points.",
    }
    return CheckResult(
        id=id,
        exercise=id.split(".")[0],
        title=title,
        outcome="not_graded",
        points=0.0,
        max_points=points,
        why=why,
        **{"cause": Cause(reason=reasons[why]), **more},
    )


def exercise(id: str, title: str, checks: Sequence[CheckResult], **more: Any) -> ExerciseResult:
    values: dict[str, Any] = {
        "key": "5d41402abc4b2a76b9719d911017c592ae0f1e8b5f4ce1a1b2c3d4e5f6a7b8c9",
        "graded_at": GRADED_AT,
        "points": sum(check.max_points for check in checks),
        "seconds": {"sandbox": 2.31, "build": 14.92, "deploy": 3.05, "checks": 24.4},
        "target": TARGET,
    }
    return ExerciseResult(id=id, title=title, checks=tuple(checks), **{**values, **more})


def record(*exercises: ExerciseResult, **more: Any) -> Record:
    values: dict[str, Any] = {
        "lab": "lab4",
        "lab_title": "Lab 4: Compose and Swarm",
        "student": "s1234567",
        "submission": "s1234567",
        "kit": "0.1.0",
        "started": "2026-11-24T09:40:30+01:00",
        "finished": "2026-11-24T09:41:12+01:00",
    }
    return Record(exercises=exercises, **{**values, **more})


def webserver() -> ExerciseResult:
    """The machine is right, the image does not build: one failure, and what waits for it."""
    needs = ("webserver.image_builds",)
    return exercise(
        "webserver",
        "A web server with PHP",
        [
            passed("webserver.provisions", "`provision.sh` runs to its end.", 1),
            passed("webserver.packages", "nginx and PHP-FPM are installed on the machine.", 1),
            passed("webserver.page", "The page answers on port 8473 and PHP computes.", 2.5),
            failed(
                "webserver.again",
                "Running `provision.sh` a second time changes nothing.",
                1.5,
                Cause(
                    reason="The second run added a line to `/etc/nginx/sites-available/site`.",
                    expected="listen 8473;",
                    actual="listen 8473;\nlisten 8473;",
                    hint="Write the file again each time (`>`), do not append to it (`>>`).",
                ),
                needs=("webserver.page",),
            ),
            failed(
                "webserver.image_builds",
                "The Dockerfile builds an image.",
                1,
                Cause(
                    reason="`apt-get install` does not find the package `php-fpn`.",
                    expected="exit code 0",
                    actual="exit code 100, at step 2 of 4",
                    hint="Compare the package's name with `apt-cache search php`.",
                    log=BUILD_LOG,
                ),
            ),
            not_graded(
                "webserver.image_page", "The image serves your page.", 3, "needs", needs=needs
            ),
            not_graded(
                "webserver.image_healthy",
                "The image's own HEALTHCHECK reports the container as healthy.",
                2,
                "needs",
                needs=needs,
            ),
            not_graded(
                "webserver.image_stops",
                "docker stop ends the container in time, without a kill.",
                2,
                "needs",
                needs=("webserver.image_healthy",),
            ),
            passed("webserver.readable", "The Dockerfile starts from an allowed image.", 1),
        ],
    )


def compose() -> ExerciseResult:
    """Mostly done; one failure, one hidden failure, and one that the target cannot show."""
    return exercise(
        "compose",
        "Applications with Compose",
        [
            passed("compose.starts", "The counter starts with `docker compose up`.", 4),
            passed("compose.counts", "Each visit to the counter counts one more.", 4),
            passed("compose.scales", "The counter runs as 3 replicas on ports 9120 to 9129.", 4),
            failed(
                "compose.survives",
                "The counter keeps its count after redis is recreated.",
                5,
                Cause(
                    reason="After `docker compose up --force-recreate redis` it begins at 1.",
                    expected="more than 7",
                    actual="1",
                    hint="Give redis a named volume for `/data`.",
                ),
                needs=("compose.counts",),
            ),
            failed(
                "compose.secret_port",
                "The database's port is not published by any trick.",
                3,
                Cause(
                    reason="SECRET-REASON",
                    expected="SECRET-EXPECTED",
                    actual="SECRET-ACTUAL",
                    hint="SECRET-HINT",
                    log="SECRET-LOG",
                ),
                visibility="hidden",
            ),
            passed("compose.secret_pass", "SECRET-SENTENCE two.", 1, visibility="hidden"),
            not_graded("compose.mesh", "The port answers at every node.", 2, "target"),
            passed("compose.data", "The blog's data survives `down` and `up`.", 4.5),
        ],
        seconds={"sandbox": 2.4, "build": 3.2, "checks": 61.7},
    )


def typical() -> Record:
    """What a student sees half-way."""
    return record(webserver(), compose())


def full_marks() -> Record:
    return record(
        exercise(
            "webserver",
            "A web server with PHP",
            [
                passed("webserver.page", "The page answers and PHP computes.", 10),
                passed("webserver.image_builds", "The Dockerfile builds an image.", 5),
            ],
        )
    )


def no_engine() -> Record:
    """No engine: one exercise only read, the other's checks unknown since the grader broke."""
    remedy = Cause(
        reason="There is no Docker engine.",
        hint="Run `python -m grader engine start` as root, or install Docker.",
    )
    return record(
        exercise(
            "webserver",
            "A web server with PHP",
            [
                passed("webserver.readable", "The Dockerfile starts from an allowed image.", 1),
                not_graded("webserver.builds", "The image builds.", 4, "engine", cause=remedy),
                not_graded("webserver.page", "The page answers.", 8, "engine", cause=remedy),
                not_graded(
                    "webserver.stops", "It stops in time.", 2, "needs", needs=("webserver.page",)
                ),
            ],
            target={},
            seconds={"checks": 0.4},
        ),
        exercise(
            "compose",
            "Applications with Compose",
            [],
            points=25.0,
            fault="The checks' process ended with code 4.\nImportError: no module named 'x'",
            seconds={},
        ),
    )


HOSTILE = (
    "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    "</pre></details>'\"&amp; {{ 7 * 7 }} {% raw %} \x1b[2J\x1b]0;owned\x07 \x00 \u202egnp.exe"
    " \u200b\u2066 \udce4 \ufffe a" + "\u0301" * 40 + " [bold red]markup[/]"
)
"""Text that tries to run, to end its element, to reorder, to repaint and to break encodings."""


def hostile() -> Record:
    """Every text that a student may influence is hostile, and some is very long."""
    long = "A" * 100_000
    log = "\n".join([HOSTILE, long, *[f"line {n}" for n in range(5_000)], "the end"])
    cause = Cause(reason=HOSTILE, expected=HOSTILE, actual=long, hint=HOSTILE, log=log)
    return record(
        exercise(
            "webserver",
            HOSTILE,
            [
                failed("webserver.page", HOSTILE, 2, cause),
                not_graded("webserver.more", HOSTILE, 2, "needs", needs=("webserver.page",)),
                not_graded("webserver.broken", HOSTILE, 2, "grader", cause=cause),
                passed("webserver.ok", f"{HOSTILE}{'W' * 500}", 1),
            ],
            target={"kind": HOSTILE, "isolation": HOSTILE, "engine": HOSTILE, "nodes": 1},
            seconds={HOSTILE: 1.0, "checks": 2.0},
            graded_at=HOSTILE,
        ),
        lab_title=HOSTILE,
        student=HOSTILE,
        submission=f"/home/a/{HOSTILE}",
        kit=HOSTILE,
        started=HOSTILE,
        finished=HOSTILE,
    )
