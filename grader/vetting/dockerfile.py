"""What a Dockerfile may build on: read before the build, so that nothing is pulled.

    >>> vetted = vet("FROM debian:12 AS a\\nFROM a\\nCOPY --from=busybox /bin/sh /", {"debian:12"})
    >>> vetted.images, vetted.base
    (('debian:12', 'busybox:latest'), 'debian:12')
    >>> vetted.problems[0].reason
    'Line 3 copies from the image busybox, which this lab does not have.'

Images come into a build by FROM, by COPY --from and RUN --mount=from, and by a `# syntax=` line in
any of its spellings; files from elsewhere by ADD with an address. RUN may ask for the machine's
network or for rights over it. What runs in the build is none of this module's business, nor are
secrets and SSH keys (`RUN --mount=type=secret|ssh`): a build here is given none.

Lines and words are BuildKit's (see dockerlines and dockerwords). What cannot be read for certain is
a problem, too.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from grader.vetting.dockerdirectives import directives
from grader.vetting.dockerlines import Instruction, Misread, instructions
from grader.vetting.dockerwords import BETWEEN, Uncertain, expanded, pairs, shown
from grader.vetting.refusal import Refusal

SCRATCH = "scratch"

MAX_CHARACTERS = 64_000
"""Characters of a Dockerfile."""

MAX_PROBLEMS = 500

_INDEX = re.compile(r"[+-]?[0-9]{1,9}")
_STAGE = re.compile(r"[a-z][a-z0-9_.-]*")

_FLAGS = {
    "FROM": ("platform",),
    "RUN": ("mount", "network", "security"),
    "COPY": ("from", "chown", "chmod", "link", "parents", "exclude"),
    "ADD": ("chown", "chmod", "link", "checksum", "keep-git-dir", "exclude", "unpack"),
    "HEALTHCHECK": ("interval", "timeout", "start-period", "start-interval", "retries"),
}
_OF_THE_MACHINE = tuple(
    f"{side}{what}"
    for side in ("BUILD", "TARGET")
    for what in ("PLATFORM", "OS", "ARCH", "VARIANT", "STAGE")
)
"""Arguments that BuildKit sets itself."""


@dataclass(frozen=True)
class Vetted:
    """What was read.

    `text` is what may be built: the student's, with a `# syntax=` line that names Docker's own
    Dockerfile language left out, since the engine speaks it without a pull. `images` are all
    images it uses, with tags; `base` is the one that the last stage stands on (`scratch`: none).
    """

    text: str
    images: tuple[str, ...]
    base: str | None
    problems: tuple[Refusal, ...]


@dataclass
class _State:
    allowed: frozenset[str]
    arguments: Mapping[str, str]
    escape: str = "\\"
    stages: dict[str, tuple[str, dict[str, str | None]]] = field(default_factory=dict)
    """What each named stage stands on in the end, and its variables."""
    count: int = 0
    """Stages so far."""
    global_variables: dict[str, str | None] = field(default_factory=dict)
    variables: dict[str, str | None] = field(default_factory=dict)
    """Those of this stage that the file sets; None where the value is not certain."""
    images: list[str] = field(default_factory=list)
    problems: list[Refusal] = field(default_factory=list)
    base: str | None = None

    def problem(self, line: int, reason: str, hint: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Refusal(reason, hint, line))


def reference(name: str) -> str:
    """An image's name as the lab writes it: without Docker Hub's prefixes, with a tag.

    >>> reference("docker.io/library/debian"), reference("nginx:1.22")
    ('debian:latest', 'nginx:1.22')
    >>> reference("docker.io/index.docker.io/debian")
    'docker.io/index.docker.io/debian:latest'
    """
    short = name
    for prefix in ("docker.io/", "index.docker.io/"):
        if name.startswith(prefix):
            short = name.removeprefix(prefix)
            break
    one = short.removeprefix("library/")
    if "/" not in one:
        short = one
    elif one != short or _is_server(short.partition("/")[0]):
        # Shortened, it would be the name of another image.
        short = name
    has_tag = ":" in short.rpartition("/")[2] or "@" in short
    return short if has_tag else f"{short}:latest"


def _is_server(first: str) -> bool:
    """Whether the first part of an image's name is taken for a registry's address."""
    return "." in first or ":" in first or first == "localhost" or first != first.lower()


def vet(text: str, allowed: Collection[str], arguments: Mapping[str, str] | None = None) -> Vetted:
    """Read a Dockerfile; `allowed` are the lab's images (`debian:bookworm`).

    `arguments` are given to the build, and stand instead of the values of its ARG lines.
    """
    text = text.removeprefix("\ufeff")
    state = _State(frozenset(reference(name) for name in allowed), dict(arguments or {}))
    state.global_variables.update({n: state.arguments.get(n) for n in _OF_THE_MACHINE})
    if len(text) > MAX_CHARACTERS:
        state.problem(
            0,
            f"It has more than {MAX_CHARACTERS} characters.",
            "Move long parts into a file beside it, and COPY that.",
        )
        return Vetted("", (), None, tuple(state.problems))
    # Only \n ends a line for the engine; a \r before it stays, it may belong to a here-document.
    lines = text.split("\n")
    state.escape = directives(lines, state.problem)
    try:
        for instruction in instructions(lines, state.escape):
            try:
                _look_at(instruction, state)
            except Uncertain as error:
                _uncertain(instruction.line, error, state)
    except Misread as error:
        _uncertain(error.line, error.cause, state)
    if not state.count and not state.problems:
        state.problem(
            0,
            "There is no FROM line in it.",
            "A Dockerfile begins with the image it builds on, for example: FROM debian:bookworm",
        )
    return Vetted(
        text="\n".join(lines),
        images=tuple(dict.fromkeys(state.images)),
        base=state.base,
        problems=tuple(state.problems),
    )


def _uncertain(line: int, error: Uncertain, state: _State) -> None:
    state.problem(line, f"Line {line} {error.reason}", error.hint)


# Instructions ---------------------------------------------------------------------------------


def _look_at(instruction: Instruction, state: _State, later: bool = False) -> None:
    """`later`: it is done by ONBUILD, in a stage that builds on this one."""
    _known_flags(instruction)
    name = instruction.name
    if name == "ONBUILD" and instruction.inner is not None:
        _look_at(instruction.inner, state, later=True)
    elif name in ("ARG", "ENV"):
        _set(instruction, state, later)
    elif name == "FROM":
        _from(instruction, state)
    elif name in ("COPY", "ADD", "RUN"):
        for image in _other_images(instruction):
            _use(instruction, image, state)
        if name == "ADD":
            _add(instruction, state, later)
        if name == "RUN":
            _run(instruction, state)


def _known_flags(instruction: Instruction) -> None:
    for flag in instruction.flags:
        name = flag.partition("=")[0].removeprefix("--")
        if name not in _FLAGS.get(instruction.name, ()):
            raise Uncertain(
                f"has --{shown(name)}, which {instruction.name} does not accept here.",
                "Remove it, or check its spelling.",
            )


def _set(instruction: Instruction, state: _State, later: bool) -> None:
    """ARG and ENV: values of one line are read with those of the lines before."""
    is_argument = instruction.name == "ARG"
    at_top = is_argument and not state.count
    known = state.global_variables if at_top else state.variables
    found: dict[str, str | None] = {}
    for key, value in _settings(instruction, state.escape):
        if not key.isascii() or any(sign in "$'\"\\`" for sign in key):
            raise Uncertain(
                f"gives a value to {shown(key)}, which is not a plain name.",
                "Write the name with letters, digits and _.",
            )
        if is_argument and key in state.arguments:
            found[key] = state.arguments[key]
        elif value is not None:
            try:
                found[key] = expanded(value, known, state.escape, complete=at_top)
            except Uncertain:
                found[key] = None
        elif not at_top and key in state.global_variables:
            found[key] = state.global_variables[key]
        if is_argument and key in found:
            # BuildKit's versions differ in whether a word in a stage sees those before it.
            known[key] = found[key] if at_top else None
    known.update(dict.fromkeys(found) if later else found)


def _settings(instruction: Instruction, escape: str) -> Iterator[tuple[str, str | None]]:
    words = pairs(instruction.rest, escape)
    if instruction.name == "ENV" and words and "=" not in words[0]:
        name, *rest = BETWEEN.split(instruction.rest, maxsplit=1)
        yield name, "".join(rest)
        return
    for word in words:
        name, equals, value = word.partition("=")
        yield name, value if equals else None


def _from(instruction: Instruction, state: _State) -> None:
    words = instruction.words
    if not words:
        raise Uncertain(
            "has FROM without an image.",
            "Write the image after it, for example: FROM debian:bookworm",
        )
    state.count += 1
    state.variables = {}
    name = expanded(words[0], state.global_variables, state.escape)
    inner, variables = state.stages.get(name.lower(), (None, {}))
    if inner is None:
        inner = name if name == SCRATCH else reference(name)
        if name != SCRATCH:
            _come_in(instruction, name, state, "builds on", words[0])
    state.variables = dict(variables)
    state.base = inner
    if len(words) == 3 and words[1].lower() == "as" and _STAGE.fullmatch(words[2].lower()):
        state.stages[words[2].lower()] = (inner, state.variables)


def _other_images(instruction: Instruction) -> Iterator[str]:
    """What `--from=` and `--mount=…,from=` of an instruction name."""
    for flag in instruction.flags:
        name, _, value = flag.partition("=")
        if name == "--from" and value and not _INDEX.fullmatch(value):
            yield value
        elif name == "--mount":
            try:
                options = next(csv.reader([value], strict=True), [])
            except csv.Error:
                raise Uncertain(
                    f"has a --mount that cannot be read: {shown(value)}",
                    "Write its options with commas and without quotes.",
                ) from None
            for option in options:
                key, _, value = option.partition("=")
                if key.strip().lower() == "from" and value:
                    yield value


def _use(instruction: Instruction, name: str, state: _State) -> None:
    """A stage, or an image, that files are copied or mounted from."""
    if "$" in name:
        raise Uncertain(
            f"has a variable in from={shown(name)}, where variables do not work.",
            "Write FROM with the variable and AS NAME, then use that NAME here.",
        )
    if name.lower() not in state.stages and name != SCRATCH:
        _come_in(instruction, name, state, "copies from the image", name)


def _come_in(instruction: Instruction, name: str, state: _State, verb: str, typed: str) -> None:
    """An image comes in: note it, and object if the lab does not have it."""
    state.images.append(reference(name))
    if reference(name) in state.allowed:
        return
    reason = f"{instruction.at}: the image's name is empty because a variable in it has no value."
    if name:
        named = shown(name) if name == typed else f"{shown(name)} ({shown(typed)})"
        reason = f"{instruction.at} {verb} {named}, which this lab does not have."
    state.problem(instruction.line, reason, _instead(name, state.allowed))


def _instead(name: str, allowed: Collection[str]) -> str:
    """Which image to take in the place of one that the lab does not have."""
    plain = reference(name.partition("@")[0])
    if plain in allowed:
        return f"Write it without the digest: {plain}"
    repository = plain.rpartition(":")[0]
    same = sorted(a for a in allowed if a.rpartition(":")[0] == repository)
    if same:
        return f"Use one of: {', '.join(same)}."
    names = sorted({a.rpartition(":")[0] for a in allowed})
    return f"Use one of these images: {', '.join(names)}."


def _add(instruction: Instruction, state: _State, later: bool) -> None:
    for word in instruction.words[:-1]:
        source = expanded(word, {} if later else state.variables, state.escape, complete=False)
        if any(_is_address(text) for text in (word, source)):
            state.problem(
                instruction.line,
                f"{instruction.at} fetches {shown(source)} from the internet.",
                "Put the file into your folder and COPY it: a build must not depend on other "
                "servers.",
            )


def _is_address(source: str) -> bool:
    """Whether ADD may take it for something that it fetches."""
    first = source.partition("/")[0]
    path = source.partition("#")[0].partition("?")[0]
    return (
        ":" in first
        or "://" in source
        or first.lower() == "github.com"
        or path.rstrip("/").lower().endswith(".git")
    )


def _run(instruction: Instruction, state: _State) -> None:
    """Flags by which a command would leave the build."""
    for flag in instruction.flags:
        name, _, value = flag.partition("=")
        if (name == "--network" and value not in ("default", "none")) or (
            name == "--security" and value != "sandbox"
        ):
            state.problem(
                instruction.line,
                f"{instruction.at} asks for the machine's own "
                + ("network: " if name == "--network" else "rights: ")
                + f"{shown(flag)}.",
                f"Take {shown(flag)} out: nothing in this lab needs it.",
            )
