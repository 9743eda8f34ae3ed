"""The `.env` beside a compose file: what it sets, and what it may not set.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, ".env").write_text("FIRST=9000\\nLAST=${FIRST}9")
    ...     read(Path(folder), "counter").values["LAST"]
    '90009'

Compose takes variables for the file from it, and settings of its own: `COMPOSE_FILE` would make
it read other files than those that were vetted. A refusal names file, line, name and remedy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from grader.files.submitted_path import read_below
from grader.vetting.environment import ENVIRONMENT
from grader.vetting.variables import MAX_TEXT, Unclear, Variables, exactly
from grader.vetting.yamlfile import MAX_BYTES, Refused

NAME = ".env"

PROJECT = "COMPOSE_PROJECT_NAME"
"""It is the folder's name, which the grader gives."""

STEERS = re.compile(
    r"COMPOSE_\w*|BUILDKIT_\w*|BUILDX_\w*|LD_\w*|GIT_\w*|SSH_\w*|XDG_\w*|GO(DEBUG|TRACEBACK|MAXPROCS)"
    r"|DOCKER_(HOST|CONTEXT|CONFIG|CERT_PATH|API_VERSION|DEFAULT_PLATFORM|AUTH_CONFIG"
    r"|CUSTOM_HEADERS|TLS\w*|CONTENT_TRUST\w*|CLI_\w*|SCAN_\w*)"
    r"|SSL_CERT_(FILE|DIR)|(?i:https?|ftp|all|no)_(?i:proxy)|OTEL_\w*"
)
"""Names that steer Compose, the docker CLI, or programs that they start."""

OVERRULED = frozenset(
    {
        "BUILDKIT_PROGRESS",
        "COMPOSE_ANSI",
        "COMPOSE_DOCKER_CLI_BUILD",
        "COMPOSE_HTTP_TIMEOUT",
        "COMPOSE_MENU",
        "COMPOSE_PROGRESS",
        PROJECT,
        "DOCKER_CLI_HINTS",
    }
)
"""Those of them that may stand there: they change nothing, the grader sets them itself."""

REMEDIES = {
    "COMPOSE_FILE": "Write everything into compose.yaml (and compose.override.yaml), which "
    "Compose finds itself.",
    "COMPOSE_ENV_FILES": "Write the variables into this file.",
    "COMPOSE_PROFILES": "Remove `profiles:` from the services that must start.",
}

_SPACE = (
    " \t\v\f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""White space that Compose's reader takes off lines and values (unicode.IsSpace of Go)."""
_LINE = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*[=:][ \t]*(.*)", re.DOTALL)
_NAMED = re.compile(r"\$\{?([A-Za-z_]\w*)", re.ASCII)
_QUOTED = re.compile(r"""(?:'((?:[^'\\]|\\[^'\\])*)'|"((?:[^"\\]|\\[^"\\])*)")[ \t]*(?:#.*)?""")


def read(folder: Path, name: str) -> Variables:
    """What is set for the folder's compose file, the fixed environment included.

    `name` is how a person calls the folder. Refused where a line is none of NAME=value, or sets
    what is not the submission's to set.
    """
    values: dict[str, str] = {}
    unclear: set[str] = set()
    sizes: dict[str, int] = {}
    fixed = {**ENVIRONMENT, "PWD": ".", PROJECT: name}
    for number, line in enumerate(_lines(folder / NAME, f"{name}/{NAME}"), 1):
        where = f"{name}/{NAME}, line {number}"
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if not found:
            raise Refused(
                f"The line is not NAME=value: {line[:60]!r}.",
                where=where,
                remedy="Write one variable per line; begin remarks with #.",
            )
        key, said = found[1], found[2].strip(_SPACE)
        _refuse_steering(key, where)
        sizes[key] = _most(said, sizes)
        if sizes[key] > MAX_TEXT:
            raise Refused(
                f"`{key}` is longer than {MAX_TEXT // 1024} KB with its variables filled in.",
                where=f"{where}, {key}",
                remedy="Write its value, and remove what nothing uses.",
            )
        try:
            value = _value(said, Variables({**values, **fixed}, frozenset(unclear)), where)
        except Unclear:
            unclear.add(key)
            continue
        values[key] = value
        unclear.discard(key)
    return Variables(
        {**values, **fixed},
        unclear=frozenset(unclear - fixed.keys()),
        own=frozenset((values.keys() | unclear) - fixed.keys()),
    )


def _most(said: str, sizes: Mapping[str, int]) -> int:
    """Characters that a value has at most, also where its quotes and backslashes are unclear."""
    return len(said) + sum(sizes.get(name, 0) for name in _NAMED.findall(said))


def _lines(path: Path, name: str) -> list[str]:
    if not path.is_file():
        return []
    try:
        raw = read_below(path.parent, PurePosixPath(path.name), MAX_BYTES)
        if len(raw) > MAX_BYTES:
            raise Refused(
                "The file is too large.",
                where=name,
                remedy=f"Keep it below {MAX_BYTES // 1024} KB.",
            )
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise Refused(
            f"The file cannot be read: {error.strerror or error}.",
            where=name,
            remedy="It must be an ordinary file, not a link to one.",
        ) from None
    except UnicodeDecodeError:
        raise Refused(
            "The file is not UTF-8 text.", where=name, remedy="Save it as UTF-8 in your editor."
        ) from None
    return [line.strip(_SPACE) for line in re.split(r"\r?\n", text)]


def _refuse_steering(key: str, where: str) -> None:
    if STEERS.fullmatch(key) and key not in OVERRULED:
        raise Refused(
            f"`{key}` changes how docker works, so it cannot be a variable of your compose file.",
            where=f"{where}, {key}",
            remedy=REMEDIES.get(key, "Leave it out, or give your variable another name."),
        )


def _value(said: str, variables: Variables, where: str) -> str:
    """The value as Compose reads it; Unclear where that takes more than looking."""
    if said[:1] in ("'", '"'):
        quoted = _QUOTED.fullmatch(said)
        if not quoted:
            raise Refused(
                "The quote is not closed in this line.",
                where=where,
                remedy="End the value with the same quote, and use no other quotes or backslashes "
                "in it.",
            )
        if "\\" in said:
            raise Unclear(said)
        return quoted[1] if quoted[1] is not None else exactly(quoted[2], variables)
    plain = said.partition(" #")[0].strip(_SPACE)
    if re.search(r"[\\'\"#\r]", plain):
        raise Unclear(said)
    return exactly(plain, variables)
