"""Which versions a build asks for: in the Dockerfile and in the files it installs from.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "Dockerfile").write_text("FROM a\\nRUN pip install numpy==2.2.6")
    ...     stated(Path(folder))
    {'numpy': {'2.2.6'}}
    >>> is_pinned("numpy", {"numpy": {"2.2.6"}}, {"numpy": "2.2.6"})
    True

A version counts if it is the one that is installed in the end: what is merely written somewhere
decides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from grader.vetting.dockerfile import MAX_CHARACTERS

LOCKS = {
    "uv.lock": r"\buv\s+(sync|run|export)\b",
    "poetry.lock": r"\bpoetry\s+(install|sync|export)\b",
    "Pipfile.lock": r"\bpipenv\s+(install|sync|requirements)\b",
    "pyproject.toml": r"\b(pip3?|uv\s+pip)\s+install\b",
    "pylock.toml": r"\bpylock\.toml\b",
}
"""Files that a command reads though it need not name them. pip also names a folder after it."""

_FOLDER = re.compile(r"\s\.")

MOST_BYTES = 1_000_000
"""Of all files together."""
MOST_FILES = 300
MOST_VALUE = 200
"""Characters of a variable's value, or of a version."""

_INSTRUCTION = re.compile(
    r"^[ \t]*(FROM|RUN|COPY|ADD|ARG|ENV|CMD|ENTRYPOINT|USER|WORKDIR|EXPOSE|LABEL|VOLUME|SHELL"
    r"|STOPSIGNAL|HEALTHCHECK|ONBUILD)[ \t]+(?![ \t]|[\w.]* *import\b)",
    re.MULTILINE | re.IGNORECASE,
)
_STATED = re.compile(
    r"(?<![\w.\-])(?P<name>[A-Za-z][\w.\-]*)(\[[^\]\[]*\])?"
    r"(?:\s*={2,3}\s*|=)(?P<version>[0-9][\w.!+:~*\-]*)"
)
_LOCKED = re.compile(
    r"name = \"(?P<name>[^\"]+)\"\nversion = \"(?P<version>[^\"]+)\""
    r"|\"(?P<other>[\w.\-]+)\": \{[^{}]*?\"version\": \"==(?P<its>[^\"]+)\""
)
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::?-([^{}]*))?\})")


def stated(folder: Path) -> dict[str, set[str]]:
    """Versions by package, as pip's `name==VERSION` and apt's `name=VERSION` state them."""
    texts = list(_texts(folder))
    found: dict[str, set[str]] = {}
    for text in texts:
        for match in _STATED.finditer(text):
            found.setdefault(plain(match["name"]), set()).add(match["version"])
        for match in _LOCKED.finditer(text):
            name, version = match["name"] or match["other"], match["version"] or match["its"]
            found.setdefault(plain(name), set()).add(version)
    return found


def is_pinned(name: str, said: Mapping[str, set[str]], installed: Mapping[str, str]) -> bool:
    """Whether the installed version of `name` is one that was stated.

    pip's must be whole: `1.*` lets any come. apt's may leave the end open (`1:1.24.2*`), since a
    revision of Debian's is no other version.
    """
    version = installed.get(name)
    return version is not None and any(
        _same(one, version) or ("-" in version and "." in one and fnmatchcase(version, one))
        for one in said.get(name, ())
        if len(one) <= MOST_VALUE
    )


def plain(name: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _same(one: str, other: str) -> bool:
    """`2.2` is `2.2.0`."""
    return _without_zeros(one) == _without_zeros(other)


def _without_zeros(version: str) -> list[str]:
    parts = version.lower().split(".")
    while len(parts) > 1 and parts[-1] and not parts[-1].strip("0"):
        parts.pop()
    return parts


def _texts(folder: Path) -> Iterable[str]:
    """The commands of the Dockerfile, and the files that they install from."""
    dockerfile = _read(folder / "Dockerfile")[:MAX_CHARACTERS]
    parts = _INSTRUCTION.split(dockerfile)
    instructions = list(
        zip(map(str.upper, parts[1::2]), (_joined(rest) for rest in parts[2::2]), strict=True)
    )
    values: dict[str, str] = {}
    commands = []
    for name, rest in instructions:
        if name in ("ARG", "ENV"):
            # ENV has an older form without the =.
            values |= dict(re.findall(r"(?<!\w)(\w+)=[\"']?([^\s\"']*)", rest))
            values |= dict(re.findall(r"\A\s*(\w+)[ \t]+([^\s=]+)\s*\Z", rest))
        elif name == "RUN":
            commands.append(_expanded(rest, values))
    text = "\n".join(commands)
    yield text
    copied = _copied(rest.split() for name, rest in instructions if name in ("COPY", "ADD"))
    there = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    files = {path.relative_to(folder).as_posix(): path for path in there[:MOST_FILES]}
    waiting, seen, left = [text], set[str](), MOST_BYTES
    while waiting:
        text = waiting.pop()
        for name, path in files.items():
            if name in seen or name == "Dockerfile" or not _used(name, text, copied):
                continue
            seen.add(name)
            content = _joined(_read(path)[:left])
            left -= len(content)
            yield content
            waiting.append(content)


def _copied(instructions: Iterable[list[str]]) -> dict[str, set[str]]:
    """What files are called where COPY puts them, by what they are called in the folder."""
    found: dict[str, set[str]] = {}
    for words in instructions:
        for word in words[:-1]:
            short = word.strip("[\"',").rpartition("/")[2]
            found.setdefault(short, set()).add(words[-1].strip("\"'],").rpartition("/")[2])
    return found


def _used(name: str, text: str, copied: Mapping[str, set[str]]) -> bool:
    """Whether a command names the file, what it was copied to, or reads it without naming it."""
    short = name.rpartition("/")[2]
    if short in LOCKS and _is_read(short, text):
        return True
    names = {short, *copied.get(short, ())}
    return any(
        n and n in text and re.search(rf"(?<![\w.\-]){re.escape(n)}(?![\w\-])", text) for n in names
    )


def _is_read(name: str, text: str) -> bool:
    """Whether a command is there that reads such a file without naming it."""
    for line in text.splitlines():
        found = re.search(LOCKS[name], line)
        if found and (name != "pyproject.toml" or _FOLDER.search(line, found.end())):
            return True
    return False


def _joined(text: str) -> str:
    """Comments left out, continued lines as one."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    kept = (re.sub(r"\s#.*$", "", line) for line in lines)
    return re.sub(r"\\[ \t]*\n", " ", "\n".join(kept))


def _expanded(text: str, values: Mapping[str, str]) -> str:
    # Variables that the command itself sets count as well: V=1.2; pip install x==$V
    known = dict(values)
    known.update(re.findall(r"(?:^|[\s;&])(\w+)=[\"']?([^\s;&\"'$]+)", text))

    def value(found: re.Match[str]) -> str:
        return known.get(found[1] or found[2], found[3] or found[0])[:MOST_VALUE]

    return _VARIABLE.sub(value, text)


def _read(path: Path) -> str:
    if not path.is_file() or path.stat().st_size > MOST_BYTES:
        return ""
    return path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n")
