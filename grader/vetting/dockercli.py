"""Which docker commands of a runbook are run: an allow-list of commands, flags and values.

    >>> vetted = vet(["docker", "service", "scale", "web=5"], images=["alpine:3"])
    >>> vetted.command, vetted.words
    ('service scale', ('web=5',))
    >>> vet(["docker", "run", "-v", "/:/host", "alpine:3"], images=["alpine:3"])
    Traceback (most recent call last):
        ...
    grader.vetting.refusal.Refusal: `docker run` is not a command of this exercise.

Flags are read as the docker CLI reads them: `--name web`, `--name=web`, `-p 80`, `-p80`, `-dq`,
`--` before words that begin with a dash. How many words a command takes, and whether a value
makes sense, is left to docker to say. Names in `${…}` stand for values that are not known yet.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from grader.vetting.commandline import Flag, Form, few_ports, fields, label, number, read
from grader.vetting.docker_commands import NOT_THESE, TABLE
from grader.vetting.dockerfile import reference
from grader.vetting.refusal import Refusal

MAX_TASKS = 20
"""The most tasks that a service may ask for."""

RESERVED = "drydock"
"""What the names of the grader's own services and networks begin with."""

_NODE = re.compile(r"\$\{[A-Z0-9]+_ADDR\}(:\d+)?")
_INTERFACE = re.compile(r"(eth|en|wl)[a-z0-9]{0,12}\d(:\d+)?|:\d+", re.ASCII)
_ITSELF = re.compile(r"(0\.0\.0\.0|127(\.\d{1,3}){3})(:\d+)?", re.ASCII)
_DOMAIN = re.compile(r"(?i)(?!tasks\.)([a-z0-9-]+\.)+[a-z]{2,}\.?")
_ASKS = frozenset(
    [
        "ping",
        "ping6",
        "wget",
        "curl",
        "nc",
        "netcat",
        "telnet",
        "nslookup",
        "dig",
        "traceroute",
        "ssh",
        "ftp",
        "ftpget",
        "tftp",
    ]
)
"""Programs that are given the name of another machine."""


@dataclass(frozen=True)
class Vetted:
    """A command that may be run.

    `command` is what stands between `docker` and flags (`service create`); `flags` are (long
    name, value), the value empty for switches; `words` what is no flag. `detach_at` says before
    which of the given words `--detach` belongs so that it does not wait for tasks; None for
    commands that never do.
    """

    command: str
    flags: tuple[tuple[str, str], ...]
    words: tuple[str, ...]
    detach_at: int | None

    def value(self, flag: str) -> str | None:
        """The last value of a flag."""
        return next((value for name, value in reversed(self.flags) if name == flag), None)


def vet(words: Sequence[str], images: Collection[str]) -> Vetted:
    """Look at a command, `docker` first; `images` are all names the lab has. Refusal."""
    command, form, at = TABLE.command(words)
    flags, rest, end = read(f"docker {command}", form, words, at, NOT_THESE)
    for name, value in flags:
        _value(form.flags[name], value, images)
    few_ports(form, flags)
    _rest(form, rest, images)
    detach_at = (len(words) if end is None else end) if form.waiting else None
    return Vetted(command, tuple(flags), tuple(rest), detach_at)


# Values ---------------------------------------------------------------------------------------


def _value(flag: Flag, value: str, images: Collection[str]) -> None:
    if flag.kind == "service":
        _own_name(value)
    elif flag.kind == "image":
        _image(value, images)
    elif flag.kind == "count":
        _count(value, base=0)
    elif flag.kind == "address":
        _address(value, own=True)
    elif flag.kind == "token":
        if "SWMTKN" in value.upper():
            raise Refusal(
                "A token works for one swarm only, and each run of this file makes a new swarm.",
                "Write ${WORKER_TOKEN} or ${MANAGER_TOKEN}.",
            )
    elif flag.kind == "network":
        _network(value)
    elif flag.kind == "label":
        label(value)
    elif flag.kind == "mode":
        if value not in ("replicated", "global"):
            raise Refusal(
                f"This exercise does not use services of mode {value}.", "Leave --mode out."
            )
    elif flag.kind == "command":
        _stays_inside(value.split())


def _rest(form: Form, words: list[str], images: Collection[str]) -> None:
    if form.words == "service":
        for word in words:
            _own_name(word)
    elif form.words == "scale":
        for word in words:
            name, _, count = word.partition("=")
            _own_name(name)
            _count(count)
    elif form.words == "address":
        for word in words:
            _address(word, own=False)
    elif form.words == "image" and words:
        _image(words[0], images)
        _stays_inside(words[1:])


def _network(value: str) -> None:
    """A network by its name, or with options: name=…,alias=…"""
    options = fields("--network", value) if "=" in value else [("name", value)]
    for key, name in options:
        if key not in ("name", "alias"):
            raise Refusal(
                f"--network {value} has the option {key}.", "Write --network name=NAME,alias=ALIAS"
            )
        if key == "name" and name.strip().lower() in ("host", "bridge"):
            raise Refusal(
                f"Tasks of this exercise do not use the network {value}.",
                "Leave it out. A port in host mode is --publish mode=host,published=…,target=…",
            )
        _own_name(name)


def _own_name(name: str) -> None:
    if name.lower().startswith(RESERVED):
        raise Refusal(
            f"Names that begin with {RESERVED} are reserved for the grader.", "Choose another name."
        )


def _image(name: str, images: Collection[str]) -> None:
    if reference(name) not in images:
        known = sorted(set(images))
        same = [i for i in known if i.partition(":")[0] == reference(name).partition(":")[0]]
        names = same or sorted({i.partition(":")[0] for i in known})
        raise Refusal(f"This lab does not have the image {name}.", f"It has: {', '.join(names)}.")


def _count(text: str, base: int = 10) -> None:
    count = number(text, base)
    if count is not None and count > MAX_TASKS:
        raise Refusal(
            f"{text} tasks exceed the limit of {MAX_TASKS}.", f"Ask for {MAX_TASKS} at most."
        )


def _address(text: str, *, own: bool) -> None:
    """An address of a node: `${…_ADDR}`; for a node's `own` also an interface or loopback."""
    if _NODE.fullmatch(text):
        return
    if own and (_INTERFACE.fullmatch(text) or _ITSELF.fullmatch(text)):
        return
    raise Refusal(
        f"{text} is not the address of a node of this lab.",
        "Nodes get new addresses in each run: write ${MANAGER1_ADDR}, ${WORKER1_ADDR} or"
        " ${WORKER2_ADDR}.",
    )


def _stays_inside(words: Sequence[str]) -> None:
    """Refuse a task's command that asks machines outside of the lab."""
    pieces = [piece.strip("'\"`;&|()") for word in words for piece in word.split()]
    if not any(piece.rpartition("/")[2] in _ASKS for piece in pieces):
        return
    for piece in pieces:
        host = re.sub(r"^[a-z]+://", "", piece).partition("/")[0].rpartition("@")[2]
        host = re.sub(r":\d*$", "", host)
        try:
            outside = not ipaddress.ip_address(host).is_loopback
        except ValueError:
            outside = bool(_DOMAIN.fullmatch(host))
        if outside:
            raise Refusal(
                f"{host} is not a node of this lab.",
                "Tasks may contact only nodes of the swarm, for example ${WORKER1_ADDR}.",
            )
