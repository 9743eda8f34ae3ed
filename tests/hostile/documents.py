"""Compose files as an attacker would write them, by the thousand: what readers of YAML disagree on.

Each document takes some keys, dangerous and harmless ones, and hides or disarms them in the ways
that YAML, Compose's merging and `.env` offer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from hypothesis import strategies as st

Pair = tuple[str, str]

DANGEROUS: tuple[Pair, ...] = (
    ("privileged", "true"),
    ("pid", "host"),
    ("ipc", "host"),
    ("uts", "host"),
    ("network_mode", "host"),
    ("userns_mode", "host"),
    ("cgroup", "host"),
    ("cgroup_parent", "/x"),
    ("cap_add", "[SYS_ADMIN]"),
    ("devices", "[/dev/kmsg]"),
    ("security_opt", "[seccomp=unconfined]"),
    ("volumes", "['/:/h']"),
    ("volumes", "['//:/h']"),
    ("volumes", "['./a/../../..:/h']"),
    ("volumes", "['./a\\b\\c/../../../run/x:/d']"),
    ("volumes", "[{type: bind, source: /run, target: /h}]"),
    ("volumes", "[{type: bind, source: ~, target: /h}]"),
    ("volumes", "['~/x:/h']"),
    ("volumes_from", "['container:other']"),
    ("sysctls", "{kernel.msgmax: 1}"),
    ("image", "evil:1"),
    ("scale", "0o377"),
    ("scale", "0x20"),
    ("deploy", "{replicas: 1_000}"),
    ("build", "{context: /}"),
    ("build", "{context: ., dockerfile: //etc/passwd}"),
    ("env_file", "//etc/passwd"),
    ("runtime", "evil"),
    ("labels", "{drydock.run: x}"),
)
HARMLESS: tuple[Pair, ...] = (
    ("privileged", "false"),
    ("pid", "''"),
    ("ipc", "private"),
    ("cap_add", "[CHOWN]"),
    ("cap_add", "[]"),
    ("volumes", "['./site:/x']"),
    ("volumes", "['kept:/x']"),
    ("image", "redis:7"),
    ("image", "'alpine:3'"),
    ("scale", "2"),
    ("deploy", "{replicas: 3}"),
    ("build", "."),
    ("labels", "[a=b]"),
    ("command", "sleep 1"),
    ("environment", "{A: b}"),
    ("user", "1000"),
    ("stop_signal", "SIGTERM"),
)
EMPTY = ("!reset []", "!reset null", '!reset ""', "!reset {}", "!override []", "!override", "~", "")
SPACES = ("", " ", "\t", "\u00a0", "\u0085", "\u2028", "\u2029", "\v", "\f", "\u2003", "\u1680")
PRINTABLE = tuple(space for space in SPACES if space not in "\v\f")
NAMES = ("V", "W", "HOME", "PWD", "COMPOSE_PROJECT_NAME", "UNSET")


@dataclass(frozen=True)
class Document:
    """The files of a folder: `compose.yaml`, and perhaps an override file and `.env`."""

    files: tuple[tuple[str, bytes], ...]

    def __repr__(self) -> str:
        return "\n".join(f"--- {name}\n{text!r}" for name, text in self.files)


@st.composite
def spelled(draw: st.DrawFn, value: str) -> str:
    """A value in one of its spellings; some are not the same to every reader."""
    if value[:1] in "[{":
        return value
    plain = value.strip("'")
    return draw(
        st.sampled_from(
            [
                value,
                f'"{plain}"',
                f"'{plain}'",
                f"!!str {value or repr('')}",
                f"${{UNSET:-{plain}}}",
                f"${{HOME:+{plain}}}",
                "$V",
                "${W}",
                '"' + "".join(f"\\u{ord(sign):04x}" for sign in plain) + '"',
                f"{plain}{draw(st.sampled_from(PRINTABLE))}",
                f"!override {value}",
            ]
        )
    )


@st.composite
def entries(draw: st.DrawFn, danger: Pair | None, least: int = 1) -> list[str]:
    """Some `key: value` lines with keys that differ, and the dangerous one."""
    chosen = draw(
        st.lists(
            st.sampled_from(HARMLESS),
            min_size=least,
            max_size=3,
            unique_by=lambda pair: pair[0],
        )
    )
    if danger:
        chosen = [pair for pair in chosen if pair[0] != danger[0]]
        chosen.insert(draw(st.sampled_from([0, len(chosen)])), danger)
    return [
        f"{key}: {draw(spelled(value)) if draw(st.integers(0, 2)) == 0 else value}"
        for key, value in chosen
    ]


@st.composite
def disarmed(draw: st.DrawFn, lines: list[str], danger: Pair) -> list[str]:
    """A line that takes the dangerous key back, in a way that not every reader may follow."""
    if any(line.startswith(f"{danger[0]}:") for line in lines) or not draw(st.integers(0, 2)):
        return []
    harmless = [value for key, value in HARMLESS if key == danger[0]]
    return [f"{danger[0]}: {draw(st.sampled_from([*EMPTY, *harmless]))}"]


@st.composite
def service(draw: st.DrawFn, danger: Pair, dangerous: bool) -> list[str]:
    """The lines of a service, merged from fragments in one of the ways there are."""
    own = draw(entries(danger if dangerous else None, least=0))
    merge = draw(
        st.sampled_from(
            [None, None, "<<: *one", "<<: [*one, *two]", "<<: [*two, *one]",
             "<<: {<<: *one, tty: true}", "<<: [{tty: true}, *two]", '"<<": *one']
        )
    )  # fmt: skip
    if merge:
        own += draw(disarmed(own, danger))
        own.insert(draw(st.sampled_from([0, 0, 0, len(own)])), merge)
    if not any(line.startswith(("image", "build")) for line in own) and draw(st.integers(0, 5)):
        own.append("image: redis:7")
    return own or ["image: alpine:3"]


def _mapping(lines: list[str], indent: str) -> str:
    return "".join(f"{indent}{line}\n" for line in lines)


VOLUMES = (
    "volumes: {kept: }\n",
    "volumes: {kept: }\n",
    "volumes: {kept: }\n",
    "volumes:\n  kept:\n    driver_opts: {type: none, o: bind, device: /}\n",
)
FILES = (
    *[""] * 6,
    "configs: {c: {file: //etc/passwd}}\n",
    "configs: {c: {file: ./site/x}}\n",
    "secrets: {s: {environment: V}}\n",
)


@st.composite
def text(draw: st.DrawFn) -> str:
    """A whole compose file; at most one place of it has something dangerous."""
    danger = draw(st.sampled_from(DANGEROUS))
    where = draw(st.sampled_from(["one", "one", "two", "two", "web", "db", ""]))
    parts = []
    for name in ("one", "two"):
        lines = draw(entries(danger if where == name else None))
        parts.append(f"x-{name}: &{name}\n" + _mapping(lines, "  "))
    parts.append("services:\n")
    for name in draw(st.sampled_from([("web",), ("web", "db")])):
        parts.append(f"  {name}:\n" + _mapping(draw(service(danger, where == name)), "    "))
    return "".join([*parts, draw(st.sampled_from(VOLUMES)), draw(st.sampled_from(FILES))])


@st.composite
def override(draw: st.DrawFn) -> str:
    """A second file, which takes something back or brings something in."""
    danger = draw(st.sampled_from(DANGEROUS))
    lines = draw(entries(danger if draw(st.integers(0, 5)) == 0 else None, least=0))
    lines += draw(disarmed(lines, danger))
    tag = draw(st.sampled_from(["", "", "", " !override", " !reset"]))
    return f"services:\n  web:{tag}\n" + _mapping(lines or ["tty: true"], "    ")


@st.composite
def dotenv(draw: st.DrawFn) -> str:
    values = [value.strip("'") for _, value in (*DANGEROUS, *HARMLESS) if value[:1] not in "[{"]
    space = st.sampled_from(SPACES)
    lines = []
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=4)):
        said = draw(
            st.sampled_from(
                [
                    *values,
                    "../../run/x",
                    "$COMPOSE_PROJECT_NAME",
                    "${V}$V",
                    "'$V'",
                    '"\\$V"',
                    "a #b",
                    "a#b",
                ]
            )
        )
        export = draw(st.sampled_from(["", "export ", "export\t"]))
        equals = draw(st.sampled_from(["=", " = ", ": ", "=="]))
        lines.append(f"{draw(space)}{export}{name}{equals}{draw(space)}{said}{draw(space)}")
    return draw(st.sampled_from(["\n", "\r\n"])).join(lines) + "\n"


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """One folder's files, in one of the encodings and line ends that there are."""
    body = draw(text())
    if draw(st.integers(0, 15)) == 0:
        body = body.replace("\n", draw(st.sampled_from(["\r\n", "\r", "\u2028", "\n\u0085"])))
    encoding = draw(st.sampled_from(["utf-8"] * 12 + ["utf-8-sig", "utf-16", "utf-16-be"]))
    if encoding == "utf-16-be":
        body = "\ufeff" + body
    files = [("compose.yaml", body.encode(encoding))]
    if draw(st.integers(0, 3)) == 0:
        files.append(("compose.override.yaml", draw(override()).encode()))
    if draw(st.booleans()):
        files.append((".env", draw(dotenv()).encode()))
    return Document(tuple(files))


def named(document: Document) -> str:
    """Plain text of a document, for a report."""
    return json.dumps({name: text.decode("utf-8", "replace") for name, text in document.files})
