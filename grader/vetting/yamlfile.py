"""Reads untrusted YAML and JSON safely, with line numbers and helpful errors.

    >>> text = YamlFile.parse("services:\\n  web:\\n    image: redis:7", "counter/compose.yaml")
    >>> text.data["services"]["web"]["image"], text.line("services", "web", "image")
    ('redis:7', 3)

Nothing is expanded or walked without a bound: aliases stay shared, nesting and size are limited.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from grader.errors import Refused as Refused
from grader.files.submitted_path import read_below
from grader.vetting.yamlnodes import MAX_DEPTH, refuse_double_keys, refuse_endless, too_deep

MAX_BYTES = 64 * 1024

Key = str | int

_LINE_END = re.compile("\r\n?|\n")
"""What ends a line for every reader; others are characters like any, or refused by the reader."""


class _Loader(yaml.SafeLoader):
    """Safe loading that also knows the tags of Compose's own merging."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """`<<` as the specification has it, and Compose: of `[*one, *two]` the first one counts.

        PyYAML's own lets the last one count. Which is which is decided here, before a mapping is
        made of it: what the mapping itself says, then what is merged first.
        """
        merged: list[tuple[yaml.Node, yaml.Node]] = []
        own: list[tuple[yaml.Node, yaml.Node]] = []
        for key, value in node.value:
            if key.tag != "tag:yaml.org,2002:merge":
                own.append((key, value))
                continue
            for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if not isinstance(source, yaml.MappingNode):
                    raise yaml.constructor.ConstructorError(
                        "while merging", node.start_mark, "`<<` names no mapping", key.start_mark
                    )
                self.flatten_mapping(source)
                merged += source.value
        said = {key.value for key, _ in own if isinstance(key, yaml.ScalarNode)}
        first: dict[Any, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in merged:
            if key.value not in said:
                first.setdefault(str(key.value), (key, value))
        node.value = [*first.values(), *own]


# `on`, `yes` and their like are texts to Compose, also where they are keys.
_BOOL = "tag:yaml.org,2002:bool"
_Loader.yaml_implicit_resolvers = {
    sign: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOL]
    for sign, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    _BOOL, re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def _untagged(loader: _Loader, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.ScalarNode)
    implicit = (node.style is None, False)
    tag = loader.resolve(yaml.ScalarNode, node.value, implicit)  # type: ignore[no-untyped-call]
    return loader.construct_object(yaml.ScalarNode(tag, node.value, node.start_mark))


COMPOSE_TAGS = ("!reset", "!override")
for _tag in COMPOSE_TAGS:
    _Loader.add_constructor(_tag, _untagged)


@dataclass(frozen=True)
class YamlFile:
    """A file's content as plain data; `name` is how a person calls the file."""

    name: str
    data: Any
    root: yaml.Node | None

    @classmethod
    def read(cls, path: Path, name: str) -> YamlFile:
        """Refused with file, line and remedy if it is no readable YAML or JSON."""
        return cls.parse(_text(path, name), name)

    @classmethod
    def parse(cls, text: str, name: str) -> YamlFile:
        """The same of a text."""
        if text.lstrip().startswith("{"):
            with contextlib.suppress(ValueError, RecursionError):
                json.loads(text)
                # JSON is YAML too, but Python's reader of YAML stumbles over tabs in it.
                text = text.replace("\t", " ")
        text = "\n".join(_without_inner_tabs(line) for line in _LINE_END.split(text)) + "\n"
        if _brackets(text) > MAX_DEPTH:
            raise too_deep(name)
        try:
            loader = _Loader(text)
            root = loader.get_single_node()
            data = None
            if root is not None:
                refuse_double_keys(root, name)
                refuse_endless(root, name)
                data = loader.construct_document(root)
        except yaml.MarkedYAMLError as error:
            raise _explained(error, text, name) from None
        except yaml.YAMLError as error:
            raise Refused(
                f"This is not YAML: {error}.",
                where=name,
                remedy="Look for characters that do not belong in a text file.",
            ) from None
        except RecursionError:
            raise too_deep(name) from None
        except (ValueError, OverflowError, TypeError) as error:
            raise Refused(
                f"A value in it cannot be read: {error}.",
                where=name,
                remedy="Put values that look like dates or numbers in quotes.",
            ) from None
        return cls(name, data, root)

    def line(self, *keys: Key) -> int | None:
        """The line (from 1) of the value's key, or of the nearest thing above it that has one."""
        node, line = self.root, None
        for key in keys:
            found = _step(node, key)
            if found is None:
                break
            mark, node = found
            line = mark + 1
        return line

    def tagged(self, *keys: Key) -> bool:
        """Whether the value or something above it has a tag of Compose's own merging."""
        node = self.root
        for key in (None, *keys):
            found = _step(node, key) if key is not None else (0, node)
            if found is None or found[1] is None:
                return False
            node = found[1]
            if node.tag in COMPOSE_TAGS:
                return True
        return False

    def where(self, *keys: Key) -> str:
        """`counter/compose.yaml, line 4, services.web.image`, as far as the file has it."""
        line = self.line(*keys)
        parts = [self.name, f"line {line}" if line else "", ".".join(map(str, keys))]
        return ", ".join(part for part in parts if part)


def _text(path: Path, name: str) -> str:
    try:
        raw = read_below(path.parent, PurePosixPath(path.name), MAX_BYTES)
    except OSError as error:
        raise Refused(
            f"The file cannot be read: {error.strerror or error}.",
            where=name,
            remedy="It must be an ordinary file, not a link to one.",
        ) from None
    if len(raw) > MAX_BYTES:
        raise Refused(
            "The file is too large.",
            where=name,
            remedy=f"Keep it below {MAX_BYTES // 1024} KB.",
        )
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise Refused(
            "The file is not UTF-8 text.",
            where=f"{name}, line {line}",
            remedy="Save it as UTF-8 in your editor.",
        ) from None


def _without_inner_tabs(line: str) -> str:
    """Tabs behind the first character are white space to Compose, errors to Python's reader."""
    rest = line.lstrip()
    indent = line[: len(line) - len(rest)]
    return indent + rest.replace("\t", " ") if rest else ""


def _brackets(text: str) -> int:
    """How deep brackets are nested at most: Python's reader needs the square of that in time."""
    depth = deepest = 0
    for sign in re.findall(r"[\[\]{}]", text):
        depth += 1 if sign in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _explained(error: yaml.MarkedYAMLError, text: str, name: str) -> Refused:
    """A YAML error in the words of someone who helps."""
    problem = str(error.problem or "")
    unclosed = "end of stream" in problem and error.context_mark is not None
    mark = error.context_mark if unclosed else error.problem_mark or error.context_mark
    lines = _LINE_END.split(text.rstrip())
    # The reader's place for what is missing at the end is behind it.
    number = min(mark.line + 1 if mark else 1, len(lines))
    line = lines[number - 1]
    shown = f"Line {number} reads: {line.strip()[:80]!r}."
    if "\t" in line[: len(line) - len(line.lstrip())]:
        what = f"Line {number} is indented with a tab; YAML allows only spaces."
        remedy = (
            "Replace the tab by spaces (two per level) and let your editor insert spaces when you"
            " press Tab."
        )
    elif unclosed:
        what = f"A quote is not closed. {shown}"
        remedy = "End the text with the same quote."
    elif "mapping values are not allowed" in problem:
        what = f"There is a ':' in the wrong place. {shown}"
        remedy = "Compare its indentation with the lines above; a text with ': ' needs quotes."
    elif "could not find expected ':'" in problem:
        what = f"A ':' is missing. {shown}"
        remedy = "Write `key: value`, with a space after the ':', in this line or the one before."
    elif "block end" in problem:
        what = f"The indentation is wrong. {shown}"
        remedy = "Keys of one level start in the same column; use two spaces per level."
    elif "could not determine a constructor" in problem:
        what = f"A tag like `!…` is not allowed here. {shown}"
        remedy = "Remove the `!` or put the value in quotes."
    elif "single document" in str(error.context or "") + problem:
        what = f"There are two documents in one file. {shown}"
        remedy = "Remove the line `---` in the middle."
    elif "found undefined alias" in problem:
        what = f"`*…` uses an anchor that the file does not define. {shown}"
        remedy = "Put values that begin with `*` in quotes."
    else:
        what = f"This is not YAML: {problem or error.context}. {shown}"
        remedy = "Look at this line and the one before: quotes, brackets, indentation."
    return Refused(what, where=f"{name}, line {number}", remedy=remedy)


def _step(node: yaml.Node | None, key: Key) -> tuple[int, yaml.Node] | None:
    """Line (from 0) and node of an entry of a mapping or list."""
    if isinstance(node, yaml.MappingNode):
        # The mapping's own entries stand behind those that `<<` brought.
        for name, value in reversed(list(_entries(node))):
            if name.value == str(key):
                return name.start_mark.line, value
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        item: yaml.Node = node.value[key]
        return item.start_mark.line, item
    return None


def _entries(node: yaml.MappingNode) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode):
            yield key, value
