"""Which docker commands about images and a registry are run: an allow-list, as for others.

    >>> rules = Rules(images=["registry:2"], registry=5100)
    >>> vet(["docker", "push", "localhost:5100/harbour/page:1.0"], rules).command
    'push'
    >>> vet(["docker", "push", "harbour/page:1.0"], rules)
    Traceback (most recent call last):
        ...
    grader.vetting.refusal.Refusal: harbour/page:1.0 would be pushed to Docker Hub.

Containers may be started of the lab's images, in the background, with ports, variables and named
volumes; nothing of the machine is handed to them. What is pushed and pulled has the registry's
address in its name. Whether an image is there is left to docker to say.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from grader.vetting.commandline import OFF, Form, Table, few_ports, fields, flags, label, read
from grader.vetting.dockerfile import reference
from grader.vetting.refusal import Refusal

_LISTED = "-f --filter=text --format=text -q --quiet --no-trunc"
_PS = "-a --all -n --last=text -l --latest -s --size"
_LOOK = "-f --format=text"

FORMS: dict[str, Form] = {
    "run": Form(
        flags(
            "-d --detach --name=own -p --publish=ports -P --publish-all -v --volume=volume",
            "--mount=mount -e --env=text --restart=text -l --label=label --pull=pull --rm -h",
            "--hostname=text",
        ),
        "image",
    ),
    "start": Form(flags()),
    "stop": Form(flags("-t --time=text --timeout=text -s --signal=text")),
    "restart": Form(flags("-t --time=text --timeout=text -s --signal=text")),
    "kill": Form(flags("-s --signal=text")),
    "rm": Form(flags("-f --force -v --volumes")),
    "rename": Form(flags()),
    "port": Form(flags()),
    "logs": Form(flags("--details --since=text --until=text -n --tail=text -t --timestamps")),
    "ps": Form(flags(_LISTED, _PS), "none"),
    "tag": Form(flags(), "tag"),
    "push": Form(flags("-a --all-tags -q --quiet"), "there"),
    "pull": Form(flags("-a --all-tags -q --quiet"), "there"),
    "rmi": Form(flags("-f --force --no-prune")),
    "images": Form(flags(_LISTED, "-a --all --digests --tree")),
    "history": Form(flags("--format=text -H --human --no-trunc -q --quiet")),
    "image inspect": Form(flags(_LOOK)),
    "inspect": Form(flags(_LOOK, "-s --size --type=text")),
    "volume create": Form(flags("-l --label=label -d --driver=driver"), "own"),
    "volume ls": Form(flags("-f --filter=text --format=text -q --quiet"), "none"),
    "volume inspect": Form(flags(_LOOK)),
    "volume rm": Form(flags("-f --force")),
    "version": Form(flags(_LOOK), "none"),
    "info": Form(flags(_LOOK), "none"),
}
for _verb in ("run", "start", "stop", "restart", "kill", "rm", "rename", "port", "logs"):
    FORMS[f"container {_verb}"] = FORMS[_verb]
for _verb in ("tag", "push", "pull", "history"):
    FORMS[f"image {_verb}"] = FORMS[_verb]
for _long, _same in (
    ("container ls", "ps"),
    ("container list", "ps"),
    ("container ps", "ps"),
    ("container inspect", "inspect"),
    ("image ls", "images"),
    ("image list", "images"),
    ("image rm", "rmi"),
    ("image remove", "rmi"),
    ("container remove", "rm"),
    ("volume list", "volume ls"),
    ("volume remove", "volume rm"),
):
    FORMS[_long] = FORMS[_same]

INSTEAD = {
    **dict.fromkeys(("build", "image build"), "The images of this exercise exist already."),
    "login": "No registry of this exercise asks for a name.",
    "exec": "Nothing has to be done inside containers; `docker logs` shows their output.",
    "create": "Write `docker run --detach`.",
    "attach": "It waits until the container ends: `docker logs NAME` shows its output.",
    "compose": "In this exercise each command is docker's own.",
    **dict.fromkeys(
        ("save", "load", "image save", "image load"), "Images are not carried as files here."
    ),
    "system": "Name what to remove: `docker rmi NAME`.",
    "image prune": "Name what to remove: `docker rmi NAME`.",
    "volume prune": "Name what to remove: `docker volume rm NAME`.",
}

TABLE = Table(
    FORMS,
    INSTEAD,
    otherwise="Use run, tag, push, pull, rmi and the commands that only show something.",
)

NOT_THESE = {
    "--follow": "It never ends: leave it out, and use --tail to see the last lines.",
    "--network": "Leave it out: a published port is enough.",
    "--net": "Leave it out: a published port is enough.",
    "--privileged": "The container needs no rights over its machine.",
    "--cap-add": "The container needs no rights over its machine.",
    "--volumes-from": "Name the volume: --volume NAME:/PATH",
    "--interactive": "The runbook runs unattended: leave it out.",
    "-i": "The runbook runs unattended: leave it out.",
    "--tty": "The runbook runs unattended: leave it out.",
    "-t": "The runbook runs unattended: leave it out.",
}

_VOLUME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]+")
_MOUNT_KEYS = ("type", "source", "src", "target", "destination", "dst", "readonly", "ro")


@dataclass(frozen=True)
class Rules:
    """What an exercise allows: all names of its images, and the port of its registry on localhost
    (None if it has none)."""

    images: Collection[str]
    registry: int | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        if self.registry is None:
            return ()
        return tuple(f"{host}:{self.registry}/" for host in ("localhost", "127.0.0.1"))


@dataclass(frozen=True)
class Vetted:
    """A command that may be run: what stands between `docker` and flags; its flags by their long
    names, and its other words."""

    command: str
    flags: tuple[tuple[str, str], ...]
    words: tuple[str, ...]


def vet(words: Sequence[str], rules: Rules) -> Vetted:
    """Look at a command, `docker` first. Refusal says why not, and what to write instead."""
    name, form, at = TABLE.command(words)
    found, rest, _ = read(f"docker {name}", form, words, at, NOT_THESE)
    for flag, value in found:
        _value(form.flags[flag].kind, value)
    few_ports(form, found)
    if form.words == "image":
        given = {flag for flag, value in dict(found).items() if value not in OFF}
        _runs(rest, given, rules)
    elif form.words == "there":
        for word in rest:
            _there(name.split()[-1], word, rules)
    elif form.words in ("own", "tag"):
        for word in rest[1:] if form.words == "tag" else rest:
            _own(word)
    return Vetted(name, tuple(found), tuple(rest))


def _value(kind: str | None, value: str) -> None:
    if kind == "own":
        _own(value)
    elif kind == "volume":
        source = value.partition(":")[0] if ":" in value else ""
        _volume(source, value)
    elif kind == "mount":
        _mount(value)
    elif kind == "label":
        label(value)
    elif kind == "pull" and value not in ("missing", "never"):
        raise Refusal("The lab's images are there already.", "Leave --pull out.")
    elif kind == "driver" and value != "local":
        raise Refusal(f"There is no volume driver {value} here.", "Leave --driver out.")


def _mount(value: str) -> None:
    options = fields("--mount", value)
    if any(key not in _MOUNT_KEYS or (key == "type" and word != "volume") for key, word in options):
        raise Refusal(
            f"--mount {value} is more than a named volume.",
            "Write --mount source=VOLUME,target=/PATH",
        )
    for key, word in options:
        if key in ("source", "src"):
            _volume(word, value)


def _volume(source: str, value: str) -> None:
    if source and not _VOLUME.fullmatch(source):
        raise Refusal(
            f"{value} gives the container a folder of the machine.",
            "Name a volume: --volume NAME:/PATH",
        )
    _own(source)


def _own(name: str) -> None:
    if name.lower().startswith("drydock"):
        raise Refusal(
            "Names that begin with drydock are reserved for the kit.",
            "Use the name from your task.",
        )


def _runs(words: list[str], given: set[str], rules: Rules) -> None:
    if not words:
        return
    if reference(words[0]) not in {reference(name) for name in rules.images}:
        repositories = sorted({reference(i).partition(":")[0] for i in rules.images})
        raise Refusal(
            f"This lab has no image {words[0]} to run.", f"It has: {', '.join(repositories)}."
        )
    if words[1:]:
        raise Refusal(
            f"The argument after the image name, {words[1]}, would run instead of the image's own"
            " command.",
            "Leave it out. Options go before the image.",
        )
    if "--detach" not in given:
        raise Refusal(
            "`docker run` would never end here: it follows the container's output.",
            "Write `docker run --detach …`, so that the container runs in the background.",
        )


def _there(verb: str, name: str, rules: Rules) -> None:
    """Pushed and pulled is at the registry of the exercise only."""
    if name.startswith(rules.addresses):
        return
    first, slash, _ = name.partition("/")
    other = bool(slash) and (":" in first or "." in first or first == "localhost")
    where = first if other else "Docker Hub"
    done = "pushed to" if verb == "push" else "pulled from"
    if not rules.addresses:
        raise Refusal(
            f"{name} would be {done} {where}.", "This exercise has no registry: leave it out."
        )
    raise Refusal(
        f"{name} would be {done} {where}.",
        f"The registry's address is the first part of a name: {rules.addresses[0]}…",
    )
