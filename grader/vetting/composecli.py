"""Which compose commands of a runbook are run: an allow-list of commands, flags and values.

    >>> vetted = vet(["docker-compose", "up", "-d", "--scale", "page=3"])
    >>> vetted.command, vetted.argv
    ('up', ('docker', 'compose', 'up', '-d', '--scale', 'page=3'))
    >>> vet(["docker", "compose", "up"])
    Traceback (most recent call last):
        ...
    grader.vetting.refusal.Refusal: `docker compose up` would never end here: ...

They are typed in the folder of one project, which is the kit's own: no command names another
file, folder, project or engine, mounts or publishes anything, or waits for someone who types.
Whether a service is there, or a number makes sense, is left to compose to say.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from grader.vetting.commandline import OFF, Form, flags, label, number, read
from grader.vetting.refusal import Refusal

MAX_CONTAINERS = 12
"""The most containers that a service may be scaled to."""

FILE = re.compile(r"(?:\./)?compose\.ya?ml")
"""The project's own file: to name it changes nothing."""

_TIME = "-t --timeout=text"
_UP = """
    --build --no-build --force-recreate --no-recreate --always-recreate-deps --no-deps
    --remove-orphans --scale=scale --pull=pull --quiet-pull -V --renew-anon-volumes -y --yes
"""
_INSIDE = "-t --tty -T --no-TTY -d --detach -e --env=text -u --user=text -w --workdir=text"

FORMS: dict[str, Form] = {
    "up": Form(
        flags(_UP, _TIME, "-d --detach --wait --wait-timeout=text --no-start --no-color"),
    ),
    "create": Form(flags(_UP)),
    "build": Form(flags("--no-cache --pull -q --quiet --progress=text --with-dependencies")),
    "down": Form(flags(_TIME, "--remove-orphans -v --volumes --rmi=rmi")),
    "start": Form(flags()),
    "stop": Form(flags(_TIME)),
    "restart": Form(flags(_TIME, "--no-deps")),
    "kill": Form(flags("-s --signal=text --remove-orphans")),
    "rm": Form(flags("-f --force -s --stop -v --volumes")),
    "pause": Form(flags()),
    "unpause": Form(flags()),
    "scale": Form(flags("--no-deps"), "scale"),
    "run": Form(
        flags(
            _INSIDE,
            "--rm --no-deps --name=text --entrypoint=text -i --interactive -l --label=label",
            "--quiet-pull --build --remove-orphans --use-aliases",
        ),
        "inside",
    ),
    "exec": Form(flags(_INSIDE, "-i --interactive --index=text"), "inside"),
    "ps": Form(
        flags(
            "-a --all -q --quiet --services --orphans --no-trunc",
            "--status=text --filter=text --format=text",
        )
    ),
    "images": Form(flags("-q --quiet --format=text")),
    "top": Form(flags()),
    "logs": Form(
        flags(
            "-t --timestamps -n --tail=text --since=text --until=text",
            "--no-color --no-log-prefix --index=text",
        )
    ),
    "port": Form(flags("--index=text --protocol=text")),
    "config": Form(flags("-q --quiet --services --images --volumes --format=text"), "none"),
    "ls": Form(flags("-a --all -q --quiet --filter=text --format=text"), "none"),
    "version": Form(flags("-f --format=text --short"), "none"),
}

LOOKS = {
    "ps": Form(flags("-a --all -q --quiet --no-trunc -f --filter=text --format=text"), "none"),
    "images": Form(flags("-a --all -q --quiet --no-trunc -f --filter=text --format=text")),
}
"""Commands that only look, behind `docker` without compose."""

INSTEAD = {
    "attach": "It follows the output until the container ends: use `docker compose logs SERVICE`.",
    "cp": "This exercise copies no files.",
    "events": "It never ends; the kit watches itself.",
    "pull": "The lab's images are there already.",
    "push": "There is no registry in this exercise.",
    "watch": "It never ends: `docker compose up -d --build` builds what has changed.",
    "stats": "It never ends: `docker compose top SERVICE` shows processes.",
    "compose": "Write `docker compose` once.",
}

NOT_THESE = {
    "--follow": "It never ends: leave it out, and use --tail to see the last lines.",
    "-f": "As --follow it never ends: leave it out, and use --tail.",
    "--abort-on-container-exit": "It waits for containers to end: write -d instead.",
    "--attach": "It waits for containers to end: write -d instead.",
    "--volume": "Containers of this exercise get nothing of the machine.",
    "-v": "Containers of this exercise get nothing of the machine.",
    "--publish": "Publish ports in compose.yaml.",
    "-p": "Publish ports in compose.yaml.",
    "--service-ports": "The service's own containers use these ports.",
    "--privileged": "Containers need no rights over their machine.",
    "--cap-add": "Containers need no rights over their machine.",
    "--dry-run": "It does nothing: leave it out.",
}


@dataclass(frozen=True)
class Vetted:
    """A command that may be run: its name behind `docker compose`, and what is run."""

    command: str
    argv: tuple[str, ...]
    flags: tuple[tuple[str, str], ...]
    words: tuple[str, ...]


def vet(words: Sequence[str]) -> Vetted:
    """Look at a command, `docker` or `docker-compose` first. Refusal says why not, and what
    to write instead."""
    program, rest = (words[0] if words else ""), list(words[1:])
    if program == "docker-compose":
        return _compose(rest)
    if program == "docker" and rest[:1] == ["compose"]:
        return _compose(rest[1:])
    if program == "docker" and rest and rest[0] in LOOKS:
        found, others, _ = read(f"docker {rest[0]}", LOOKS[rest[0]], rest, 1, NOT_THESE)
        return Vetted(f"docker {rest[0]}", ("docker", *rest), tuple(found), tuple(others))
    if program == "docker":
        name = rest[0] if rest else ""
        raise Refusal(
            f"`docker {name}`".replace(" `", "`") + " is not a command of this exercise.",
            f"Did you mean `docker compose {name}`?"
            if name in FORMS
            else "Use `docker compose …`, and `docker ps` to look.",
        )
    raise Refusal(
        f"`{program}` is not docker.",
        "This runbook has only `docker compose` commands; # begins a comment.",
    )


def _compose(words: list[str]) -> Vetted:
    before, words = _global(words)
    if not words:
        raise Refusal("`docker compose` alone does nothing.", "Write the whole command.")
    name = words[0]
    form = FORMS.get(name)
    if form is None:
        near = difflib.get_close_matches(name, FORMS, n=1, cutoff=0.7)
        raise Refusal(
            f"`docker compose {name}` is not a command of this exercise.",
            INSTEAD.get(name)
            or (f"Did you mean `docker compose {near[0]}`?" if near else "See the worksheet."),
        )
    found, others, end = read(f"docker compose {name}", form, words, 1, NOT_THESE)
    for flag, value in found:
        kind = form.flags[flag].kind
        if kind == "scale":
            _scale(value)
        elif kind == "label":
            label(value)
        elif kind == "pull" and value not in ("missing", "never", "build", "policy"):
            raise Refusal("There is no registry to pull from.", "Leave --pull out.")
        elif kind == "rmi" and value != "local":
            # A machine that is graded on keeps its images for whoever is graded next.
            raise Refusal(
                f"--rmi {value} removes the lab's own images, and there is no registry to pull "
                f"them from.",
                "Leave it out, or write --rmi local, which removes only images that were built "
                "here.",
            )
    if form.words == "scale":
        for word in others:
            _scale(word)
    # The last of several counts, and `--detach=false` is no --detach.
    _ends(name, {flag for flag, value in dict(found).items() if value not in OFF}, others)
    if "--tty" in dict(found):
        words = _without_terminal(form, words, found, end)
    return Vetted(name, ("docker", "compose", *before, *words), tuple(found), tuple(others))


def _without_terminal(
    form: Form, words: list[str], found: list[tuple[str, str]], end: int | None
) -> list[str]:
    """The command without --tty: right where someone types it, but a runbook has no terminal.

    A value stays with its flag, and what stands behind the flags stays as it is.
    """
    kept = [words[0]]
    for flag, value in found:
        if form.flags[flag].kind is not None:
            kept.append(f"{flag}={value}")
        elif flag != "--tty":
            kept.append(f"{flag}={value}" if value else flag)
    return kept if end is None else [*kept, *words[end:]]


def _global(words: list[str]) -> tuple[list[str], list[str]]:
    """What stands before the command: the project's own file may be named, and no other."""
    before: list[str] = []
    while words and words[0].startswith("-"):
        name, equals, value = words[0].partition("=")
        taken = 1
        if not equals and len(words) > 1:
            value, taken = words[1], 2
        if name not in ("-f", "--file") or not FILE.fullmatch(value):
            raise Refusal(
                f"`{words[0]}` before the command points to another project.",
                "Leave it out: commands run in the folder compose/ and use its compose.yaml.",
            )
        before += words[:taken]
        words = words[taken:]
    return before, words


def _scale(text: str) -> None:
    count = number(text.partition("=")[2])
    if count is not None and count > MAX_CONTAINERS:
        raise Refusal(
            f"{text} asks for more containers than this exercise needs.",
            f"Ask for {MAX_CONTAINERS} at most.",
        )


def _ends(name: str, given: set[str], words: list[str]) -> None:
    """Refuse what would wait for ever, or for someone who answers."""
    if name == "up" and not given & {"--detach", "--wait", "--no-start"}:
        raise Refusal(
            "`docker compose up` would never end here: it follows the containers' output.",
            "Write `docker compose up -d`, so that the containers run in the background.",
        )
    if name == "rm" and "--force" not in given:
        raise Refusal(
            "`docker compose rm` asks for confirmation, and the runbook runs unattended.",
            "Write `docker compose rm -f`.",
        )
    if name == "exec" and len(words) < 2:
        raise Refusal("`docker compose exec` needs a service and a command.", "Write both.")
