"""Exercise layers: a Dockerfile that works is put in order.

What is graded is what a build does and what an image ships, not how the Dockerfile is written.
"""

from __future__ import annotations

import json
from typing import Any

from grader.checks import check, fail
from grader.engine.images import catalogue
from grader.errors import EngineFault
from grader.modules import buildlog
from grader.modules.image import Build, Image
from grader.modules.outcomes import must_have_worked

from .run import Rebuilt, Said, must_say
from .says import EXPLAINER

MOST_ADDED = 5_000_000
"""Bytes that the image may have on top of debian:bookworm. The program has some thousand."""


@check(points=2)
def check_works(build: Build, build_seconds: float, request: Any, variant: dict[str, Any]) -> None:
    """The image builds, and the program in it gives the right answers, run by a user other than
    root."""
    must_have_worked(
        build.done,
        "docker build",
        build_seconds,
        "The starter Dockerfile builds: compare yours with it.",
        EXPLAINER,
    )
    said: Said = request.getfixturevalue("said")
    must_say(
        said,
        "result",
        str(said.number * int(variant["program_factor"])),
        f"docker run IMAGE {said.number} does not give the program's answer.",
        'ENTRYPOINT ["/usr/local/bin/…"] passes the number on. If the program or its'
        " libraries are not found, it was built for another image than the one it is in.",
    )
    must_say(
        said,
        "motto",
        str(variant["motto"]),
        "The program does not find its motto.",
        f"texts/motto.txt must be in /usr/share/{variant['program']}/, readable for every user.",
    )
    if said.values.get("user") in (None, "0"):
        fail(
            "The program runs as root.",
            expected="a user ID other than 0",
            actual=f"user: {said.values.get('user', 'not told')}",
            hint="USER nobody, in the stage that becomes the image.",
        )


@check(points=4)
def check_source_changed(other_source: Rebuilt, build_seconds: float) -> None:
    """After a change of main.c a build compiles it again, but installs nothing again."""
    _must_be_built(other_source, "main.c", build_seconds)
    assert other_source.said is not None
    must_say(
        other_source.said,
        "result",
        str(other_source.said.number * int(other_source.mark)),
        "The image does not run the changed main.c.",
        "Compile the program from the folder's main.c while the image is built.",
    )
    _installs_nothing(other_source, "main.c")


@check(points=3)
def check_motto_changed(other_motto: Rebuilt, said: Said, build_seconds: float) -> None:
    """After a change of texts/motto.txt a build copies it into the image, but does not compile
    or install again."""
    _must_be_built(other_motto, "texts/motto.txt", build_seconds)
    assert other_motto.said is not None
    must_say(
        other_motto.said,
        "motto",
        other_motto.mark,
        "The changed motto is not in the image.",
        "COPY texts/motto.txt … takes it from your folder.",
    )
    _installs_nothing(other_motto, "texts/motto.txt")
    if other_motto.said.values.get("compiled") != said.values.get("compiled"):
        fail(
            "The program was compiled again, although only a text has changed.",
            expected=f"compiled: {said.values.get('compiled')}",
            actual=f"compiled: {other_motto.said.values.get('compiled')}",
            hint="Copy only main.c before the program is compiled, and the text afterwards.",
            log=other_motto.build.done.tail(60),
        )


def _must_be_built(rebuilt: Rebuilt, what: str, seconds: float) -> None:
    must_have_worked(
        rebuilt.build.done,
        f"docker build after a change of {what}",
        seconds,
        f"Nothing but {what} has changed.",
        EXPLAINER,
    )


def _installs_nothing(rebuilt: Rebuilt, what: str) -> None:
    again = [step for step in buildlog.read(rebuilt.build.done.out) if step.installs]
    if again:
        fail(
            f"Packages are installed again, although only {what} has changed.",
            expected="the installing step from the build's cache",
            actual=again[0].name or "packages are fetched or unpacked",
            hint="If the files of a COPY have changed, all steps after it run again: install "
            "first, in a separate RUN, then copy.",
            log=rebuilt.build.done.tail(60),
        )


@check(points=4)
def check_secret(image: Image, key: str, variant: dict[str, Any]) -> None:
    """The key in deploy.key is in no layer of the image, and not in its history."""
    keys = (key, str(variant["deploy_key"]))
    places = _containing(image, keys)
    told = json.dumps([image.data, image.node.docker.api.history(image.id)])
    if any(k in told for k in keys):
        places.append("the image's history or settings (docker history, docker image inspect)")
    if places:
        fail(
            "Everyone who has the image has the key.",
            expected="no trace of what is in deploy.key",
            actual="; ".join(places[:3]),
            hint="A file that a later step removes is still in the layer before. Do not copy it:"
            " name deploy.key in .dockerignore, or copy only what is needed.",
        )


@check(points=3)
def check_notes(other_notes: Build, image: Image, mark: str, build_seconds: float) -> None:
    """The folder notes is not part of the build: it is not in the image, and a change in it
    repeats no step."""
    must_have_worked(
        other_notes.done,
        "docker build after a change of notes/",
        build_seconds,
        "Nothing but notes/ has changed.",
        EXPLAINER,
    )
    assert other_notes.image is not None
    places = _containing(image, (mark,))
    if places:
        fail(
            "The notes are in the image.",
            expected="no file of notes/ in any layer",
            actual="; ".join(places[:3]),
            hint="Name notes in .dockerignore, or copy only what is needed.",
        )
    if list(other_notes.image.layers) != list(image.layers):
        again = [s.name for s in buildlog.read(other_notes.done.out) if _is_done(s)]
        fail(
            "A change in notes/ repeated steps of the build.",
            expected="all steps from the build's cache",
            actual="; ".join(again) or "other layers than before",
            hint="COPY . takes everything that .dockerignore does not name: name notes in it.",
            log=other_notes.done.tail(60),
        )


def _is_done(step: buildlog.Step) -> bool:
    """Whether it is an instruction of the Dockerfile that was carried out."""
    return not step.cached and any(f" {word} " in step.name for word in ("COPY", "ADD", "RUN"))


@check(points=4)
def check_small(image: Image) -> None:
    """The image is at most 5 MB larger than debian:bookworm: no compiler, no package lists."""
    base = Image(image.node, catalogue.load()["debian"].tag)
    added = image.size - base.size
    if added > MOST_ADDED:
        fail(
            f"The image is {added / 1e6:.0f} MB larger than debian:bookworm.",
            expected="at most 5 MB",
            actual=f"{image.size / 1e6:.0f} MB; debian:bookworm has {base.size / 1e6:.0f} MB",
            hint="A later step can only hide what an earlier step has added. Compile in a "
            "separate stage (FROM … AS build) and copy the finished program: COPY --from=build …",
        )


def _containing(image: Image, words: tuple[str, ...]) -> list[str]:
    """The files with one of the words in them, in any layer; paths from the image's root."""
    layers = list(image.layers.values())
    options = [option for word in words for option in ("-e", word)]
    search = ["grep", "-r", "-l", "-a", "-F", "-D", "skip", *options, "--", *layers]
    found = image.node.run(search, timeout=120)
    if found.rc not in (0, 1):
        raise EngineFault(f"The node cannot look into an image's layers: {found.tail(2)}")
    return sorted(
        {
            line.removeprefix(layer)
            for line in found.out.splitlines()
            for layer in layers
            if line.startswith(f"{layer}/")
        }
    )
