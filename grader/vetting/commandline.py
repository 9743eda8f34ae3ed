"""How command lines are read against a table of commands: flags as the docker CLI takes them.

`--name web`, `--name=web`, `-p 80`, `-p80`, `-dq`, `--` before words that begin with a dash. In a
table flags are written as they are typed: `-q --quiet` is a switch with a short form,
`--name=service` takes a value of the kind `service`.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from grader.vetting.amount import MAX_PORTS, ports_in
from grader.vetting.refusal import Refusal

OFF = ("0", "f", "F", "false", "FALSE", "False")
"""The values that turn a switch off."""

_BASES = {"0x": 16, "0o": 8, "0b": 2}


@dataclass(frozen=True)
class Flag:
    """`kind` is that of its value, None for a switch."""

    name: str
    short: str | None
    kind: str | None


@dataclass(frozen=True)
class Form:
    """How a command is written.

    `words` is the kind of the words that are not flags: `none`, `any`, `service`, `scale`
    (NAME=COUNT), `address`, `image` and `inside` (a service), which end the flags: a command
    follows. A `waiting` command waits for tasks unless it is told --detach.
    """

    flags: dict[str, Flag]
    words: str = "any"
    waiting: bool = False


def number(text: str, base: int = 10) -> int | None:
    """A whole number as Docker reads it; None for what it refuses.

    With base 0 the number says its base, and may have `_` between digits.

    >>> number("+0012"), number("0x20"), number("0x20", base=0), number("1_0", base=0)
    (12, None, 32, 10)
    """
    digits = text[1:] if base == 10 and text[:1] in ("+", "-") else text.lower()
    if base == 0:
        base = _BASES.get(digits[:2], 8 if digits[:1] == "0" and len(digits) > 1 else 10)
        digits = digits[2:] if digits[:2] in _BASES else digits
        digits = digits.replace("_", "")
    if not digits.isascii() or not digits.isalnum():
        return None
    try:
        # What is longer than any limit needs no exact value.
        found = int(digits.lstrip("0")[:40] or "0", base)
    except ValueError:
        return None
    return -found if text.startswith("-") else found


def fields(flag: str, value: str) -> list[tuple[str, str]]:
    """Keys, in small letters, and values of `key=value,"key=a,b",key`, as Docker tells them apart.

    Refusal where it cannot be read.
    """
    try:
        words = next(csv.reader([value], strict=True), [])
    except csv.Error:
        words = ['"']
    if any('"' in word for word in words):
        raise Refusal(
            f"{flag} {value} cannot be read.", "Write KEY=VALUE,KEY=VALUE without quotes."
        )
    pairs = (word.partition("=") for word in words)
    return [(key.strip().lower(), found.strip()) for key, _, found in pairs]


def label(value: str) -> None:
    """Refusal for a label that Docker or the grader gives itself."""
    if value.strip().lower().startswith(("drydock", "com.docker.")):
        raise Refusal(f"The label {value} is reserved.", "Choose another name.")


def few_ports(form: Form, found: Iterable[tuple[str, str]]) -> None:
    """Refusal for a command whose flags publish more ports than one may, all together."""
    left = MAX_PORTS
    for name, value in found:
        if form.flags[name].kind == "ports":
            left -= ports_in(value)
            if left < 0:
                raise Refusal(
                    f"With {value} it publishes more than {MAX_PORTS} ports.",
                    "Publish only the port that the worksheet names.",
                )


def flags(*groups: str) -> dict[str, Flag]:
    """The table of flags that are written as they are typed; see the module's docstring."""
    found: dict[str, Flag] = {}
    short: str | None = None
    for word in " ".join((*groups, "--help")).split():
        if not word.startswith("--"):
            short = word
            continue
        name, _, kind = word.partition("=")
        flag = Flag(name, short, kind or None)
        found[name] = flag
        if short:
            found[short] = flag
        short = None
    return found


@dataclass(frozen=True)
class Table:
    """The docker commands of an exercise.

    `instead`: what to do instead of others, by their first word or their name; `otherwise` where
    nothing is known. `no_engine`: why no flag stands before the command.
    """

    forms: Mapping[str, Form]
    instead: Mapping[str, str]
    otherwise: str
    no_engine: str = "Leave that out."

    def command(self, words: Sequence[str]) -> tuple[str, Form, int]:
        """A command's name and form, and where what belongs to it begins. Refusal."""
        program = words[0] if words else ""
        group = program.removeprefix("docker-")
        if group != program and group in self.instead:
            raise Refusal(f"`{program}` is not a command of this exercise.", self.instead[group])
        if program != "docker":
            raise Refusal(
                f"`{program}` is not docker.",
                "A runbook has only docker commands; # begins a comment.",
            )
        if len(words) < 2:
            raise Refusal("`docker` alone does nothing.", "Write the whole command.")
        first = words[1]
        if first.startswith("-"):
            raise Refusal(
                f"`docker {first}` chooses the engine or how to connect to it.", self.no_engine
            )
        name, at = first, 2
        if len(words) > 2 and any(known.startswith(f"{first} ") for known in self.forms):
            name, at = f"{first} {words[2]}", 3
        if name not in self.forms:
            raise Refusal(f"`docker {name}` is not a command of this exercise.", self._hint(name))
        return name, self.forms[name], at

    def _hint(self, name: str) -> str:
        short = name.removeprefix("container ").partition(" ")[0]
        near = difflib.get_close_matches(name, self.forms, n=1, cutoff=0.75)
        return (
            self.instead.get(name)
            or self.instead.get(short)
            or (f"Did you mean `docker {near[0]}`?" if near else self.otherwise)
        )


def read(
    command: str, form: Form, words: Sequence[str], at: int, not_these: Mapping[str, str]
) -> tuple[list[tuple[str, str]], list[str], int | None]:
    """What stands behind a command, from `words[at]` on: its flags with their values, the other
    words, and where in `words` flags end before the last word (None: nowhere).

    `not_these` says why flags that one may look for are not taken. Refusal.
    """
    found: list[tuple[str, str]] = []
    rest: list[str] = []
    while at < len(words):
        word = words[at]
        at += 1
        if word == "--":
            return found, [*rest, *words[at:]], at - 1
        if word.startswith("-") and word != "-":
            at = _flag(command, form, words, at, found, not_these)
        elif form.words in ("image", "inside"):
            return found, list(words[at - 1 :]), at - 1
        else:
            rest.append(word)
    return found, rest, None


def _flag(
    command: str,
    form: Form,
    words: Sequence[str],
    at: int,
    found: list[tuple[str, str]],
    not_these: Mapping[str, str],
) -> int:
    """Read the flag before `at` into `found`; where the next word begins."""
    word = words[at - 1]
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        flag = _known(command, form, name, not_these)
        if flag.kind is None or equals:
            found.append((flag.name, value))
            return at
        return _with_next(flag, words, at, found)
    letters = word[1:]
    while letters:
        flag = _known(command, form, "-" + letters[0], not_these)
        letters = letters[1:]
        if flag.kind is None:
            if letters.startswith("="):
                found.append((flag.name, letters[1:]))
                return at
            found.append((flag.name, ""))
        elif letters:
            found.append((flag.name, letters.removeprefix("=")))
            return at
        else:
            return _with_next(flag, words, at, found)
    return at


def _with_next(flag: Flag, words: Sequence[str], at: int, found: list[tuple[str, str]]) -> int:
    if at >= len(words):
        raise Refusal(f"{flag.name} has no value.", f"Write {flag.name} VALUE.")
    found.append((flag.name, words[at]))
    return at + 1


def _known(command: str, form: Form, name: str, not_these: Mapping[str, str]) -> Flag:
    flag = form.flags.get(name)
    if flag is not None:
        return flag
    hint = not_these.get(name)
    if hint is None and name == "-f" and command.endswith("logs"):
        hint = not_these["--follow"]
    if hint is None:
        longs = [long for long in form.flags if long.startswith("--")]
        near = difflib.get_close_matches(name, longs, n=1, cutoff=0.7)
        hint = (
            f"Did you mean {near[0]}?" if near else "Leave it out: the exercise does not need it."
        )
    raise Refusal(f"`{command}` takes no {name} in this exercise.", hint)
