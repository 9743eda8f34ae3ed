"""What a Dockerfile may build on: read before it is built, so that nothing is pulled.

    >>> vetted = vet("FROM debian:12 AS a\\nFROM a\\nCOPY --from=busybox /bin/sh /", {"debian:12"})
    >>> vetted.images, vetted.base
    (('debian:12', 'busybox:latest'), 'debian:12')
    >>> vetted.problems[0].reason
    'Line 3 copies from the image busybox, which this lab does not have.'

Images come into a build by FROM, by COPY --from and RUN --mount=from, and by a `# syntax=` line in
any of its spellings; files from elsewhere by ADD with an address. RUN may ask for the machine's
network or for rights over it. What runs in the build is none of this module's business, nor are
secrets and SSH keys (`RUN --mount=type=secret|ssh`): a build here is given none.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

SCRATCH = "scratch"

_DIRECTIVE = re.compile(r"(?:#|//)\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*$")
_JSON_SYNTAX = re.compile(r"""["']syntax["']\s*:""")
_FRONTEND = re.compile(r"(docker\.io/)?docker/dockerfile(:(1|1\.\d+|1\.\d+\.\d+|latest))?")
_HEREDOC = re.compile(r"(?:^|[\s;&|(])\d*<<-?(['\"]?)([A-Za-z_][A-Za-z0-9_]*)\1")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?:(:?[-+])([^{}]*))?\})")
_REMOTE = re.compile(r"(?i)^(https?|ftp|git)://|^git@|\.git(#.*)?$")


@dataclass(frozen=True)
class Problem:
    """Why a Dockerfile is not built: for a person, with the line it is about (0: the whole)."""

    line: int
    reason: str
    hint: str


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
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class _Instruction:
    line: int
    name: str
    rest: str


@dataclass
class _State:
    allowed: frozenset[str]
    arguments: dict[str, str] = field(default_factory=dict)
    stages: dict[str, str] = field(default_factory=dict)
    """What each stage stands on in the end, by name and by number."""
    variables: dict[str, str] = field(default_factory=dict)
    images: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    base: str | None = None

    def problem(self, line: int, reason: str, hint: str) -> None:
        self.problems.append(Problem(line, reason, hint))


def reference(name: str) -> str:
    """An image's name as the lab writes it: without Docker Hub's prefixes, with a tag.

    >>> reference("docker.io/library/debian"), reference("nginx:1.22")
    ('debian:latest', 'nginx:1.22')
    """
    short = name
    for prefix in ("docker.io/", "index.docker.io/", "library/"):
        short = short.removeprefix(prefix)
    has_tag = ":" in short.rpartition("/")[2] or "@" in short
    return short if has_tag else f"{short}:latest"


def vet(text: str, allowed: Collection[str], arguments: Mapping[str, str] | None = None) -> Vetted:
    """Read a Dockerfile; `allowed` are the lab's images (`debian:bookworm`).

    `arguments` are given to the build, and stand instead of the values of its ARG lines.
    """
    text = text.removeprefix("\ufeff")
    # Only \n ends a line for the engine; a \r before it stays, it may belong to a here-document.
    lines = text.split("\n")
    state = _State(
        frozenset(reference(name) for name in allowed),
        arguments=dict(arguments or {}),
    )
    escape = _directives(lines, state)
    for instruction in _instructions(lines, escape):
        _look_at(instruction, state)
    if not state.stages:
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


def _directives(lines: list[str], state: _State) -> str:
    """Read `# name=value` at the top, blank a harmless syntax line; returns the escape sign."""
    escape = "\\"
    first = 1 if lines and lines[0].startswith("#!") else 0
    for number, line in enumerate(lines[first:], first):
        found = _DIRECTIVE.match(line.strip())
        if not found:
            if line.lstrip().startswith("{") and _JSON_SYNTAX.search("\n".join(lines[number:])):
                _other_language(number, "JSON", state)
            break
        name, value = found[1].lower(), found[2]
        if name == "escape" and value in ("\\", "`"):
            escape = value
        if name == "syntax":
            # The line stays as an empty comment, so that line numbers in messages are right.
            lines[number] = "# (syntax)"
            if not _FRONTEND.fullmatch(value):
                _other_language(number, value, state)
    return escape


def _other_language(number: int, value: str, state: _State) -> None:
    state.problem(
        number + 1,
        f"Line {number + 1} asks for another Dockerfile language: {value}.",
        "Take the line '# syntax=…' out: nothing here needs it.",
    )


def _instructions(lines: list[str], escape: str) -> Iterator[_Instruction]:
    """Whole instructions: continued lines joined, comments and here-documents left out."""
    number = 0
    while number < len(lines):
        start = number
        if not lines[start].strip() or lines[start].lstrip().startswith("#"):
            number += 1
            continue
        joined = ""
        while number < len(lines):
            line = lines[number].rstrip()
            number += 1
            if joined and (not line.strip() or line.lstrip().startswith("#")):
                continue
            if not line.endswith(escape):
                joined += line
                break
            joined += line[: -len(escape)] + " "
        name, _, rest = joined.strip().partition(" ")
        if "\t" in name:
            name, _, rest = joined.strip().partition("\t")
        name = name.upper()
        if name in ("RUN", "COPY", "ADD"):
            for _, word in _HEREDOC.findall(rest):
                # Without its last line it is none: a shift (1<<2), or words in quotes.
                ends = (i for i in range(number, len(lines)) if lines[i].strip("\t\r ") == word)
                number = next(ends, number - 1) + 1
        yield _Instruction(start + 1, name, rest.strip())


def _look_at(instruction: _Instruction, state: _State) -> None:
    if instruction.name == "ONBUILD":
        # It is done in a later stage that builds on this one.
        name, _, rest = instruction.rest.partition(" ")
        _look_at(_Instruction(instruction.line, name.upper(), rest.strip()), state)
    elif instruction.name == "ARG" and not state.stages:
        for word in instruction.rest.split():
            key, _, value = word.partition("=")
            default = _expand(value.strip("'\""), state.variables)
            state.variables[key] = state.arguments.get(key, default)
    elif instruction.name == "FROM":
        _from(instruction, state)
    elif instruction.name in ("COPY", "ADD", "RUN"):
        for name in _other_images(instruction):
            _use(instruction.line, name, "copies from the image", state)
        if instruction.name == "ADD":
            _add(instruction, state)
        if instruction.name == "RUN":
            _run(instruction, state)


def _from(instruction: _Instruction, state: _State) -> None:
    words = [w for w in instruction.rest.split() if not w.startswith("--")]
    if not words:
        state.problem(
            instruction.line,
            f"Line {instruction.line} says FROM, but not which image.",
            "Write the image after it, for example: FROM debian:bookworm",
        )
        return
    name = _expand(words[0].strip("'\""), state.variables)
    inner = state.stages.get(name.lower())
    if inner is None:
        inner = name if name == SCRATCH else reference(name)
        if name != SCRATCH:
            shown = name if name == words[0] else f"{name} ({words[0]})"
            _use(instruction.line, name, "builds on", state, shown)
    state.stages[str(len([k for k in state.stages if k.isdigit()]))] = inner
    if len(words) >= 3 and words[1].upper() == "AS":
        state.stages[words[2].lower()] = inner
    state.base = inner


def _other_images(instruction: _Instruction) -> Iterator[str]:
    """What `--from=` and `--mount=…,from=` of an instruction name."""
    for word in instruction.rest.split():
        if not word.startswith("--"):
            return
        if word.startswith("--from="):
            yield word.partition("=")[2]
        elif word.startswith("--mount="):
            for option in word.partition("=")[2].split(","):
                key, _, value = option.partition("=")
                if key == "from":
                    yield value


def _use(line: int, name: str, verb: str, state: _State, shown: str | None = None) -> None:
    """An image comes in: note it, and object if the lab does not have it."""
    name = name.strip("'\"")
    if verb != "builds on" and (name.lower() in state.stages or name == SCRATCH):
        return
    state.images.append(reference(name))
    if reference(name) in state.allowed:
        return
    hint = _instead(name, state.allowed)
    what = "is empty: a variable in it has no value" if not name else "this lab does not have"
    reason = f"Line {line} {verb} {shown or name}, which {what}."
    if not name:
        reason = f"Line {line}: the image's name {what}."
    state.problem(line, reason, hint)


def _instead(name: str, allowed: Collection[str]) -> str:
    """Which image to take in the place of one that the lab does not have."""
    plain = reference(name.partition("@")[0])
    if plain in allowed:
        return f"Write it without the digest: {plain}"
    repository = plain.rpartition(":")[0]
    same = sorted(a for a in allowed if a.rpartition(":")[0] == repository)
    if same:
        return f"This lab has it as: {', '.join(same)}."
    names = sorted({a.rpartition(":")[0] for a in allowed})
    return f"This lab has images of: {', '.join(names)}."


def _add(instruction: _Instruction, state: _State) -> None:
    words = [w for w in instruction.rest.split() if not w.startswith("--")]
    for source in words[:-1]:
        if _REMOTE.search(source.strip("[\"',")):
            state.problem(
                instruction.line,
                f"Line {instruction.line} fetches {source} from the internet.",
                "Put the file into your folder and COPY it: a build must not depend on others.",
            )


def _run(instruction: _Instruction, state: _State) -> None:
    """Flags by which a command would leave the build."""
    for word in instruction.rest.split():
        if not word.startswith("--"):
            return
        flag, _, value = word.partition("=")
        value = _expand(value.strip("'\""), state.variables).lower()
        if (flag, value) in (("--network", "host"), ("--security", "insecure")):
            state.problem(
                instruction.line,
                f"Line {instruction.line} asks for the machine's own "
                + ("network." if flag == "--network" else "rights."),
                f"Take {word} out: nothing in this lab needs it.",
            )


def _expand(text: str, variables: dict[str, str]) -> str:
    """`$NAME`, `${NAME}`, `${NAME:-word}` and its like, as the engine does."""

    def value(found: re.Match[str]) -> str:
        known = variables.get(found[1] or found[2])
        operator, word = found[3], found[4] or ""
        present = bool(known) if operator and operator[0] == ":" else known is not None
        if operator and operator[-1] == "-":
            return known or "" if present else word
        if operator and operator[-1] == "+":
            return word if present else ""
        return known or ""

    return _VARIABLE.sub(value, text)
