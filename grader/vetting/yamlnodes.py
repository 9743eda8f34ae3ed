"""YAML as it was composed, before anything is made of it: what readers would disagree about, or
what would grow beyond any bound, is refused here.
"""

from __future__ import annotations

import yaml

from grader.errors import Refused

MAX_DEPTH = 60
MAX_NODES = 20_000
"""Values of a file whose aliases are written out."""
MAX_CHARACTERS = 1_000_000
"""Characters of these values."""

MERGE = "<<"
ODD_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("binary", "omap", "pairs", "set"))
"""What Python's reader makes objects of, and Compose's texts."""


def refuse_double_keys(root: yaml.Node, name: str) -> None:
    """Keys that appear twice (Compose refuses them, Python's reader drops one), and odd tags."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if node.tag in ODD_TAGS:
            raise Refused(
                f"A tag like `!!{node.tag.rpartition(':')[2]}` is not used here.",
                where=f"{name}, line {node.start_mark.line + 1}",
                remedy="Remove the tag, and write the value as plain text.",
            )
        if isinstance(node, yaml.MappingNode):
            first: dict[str, int] = {}
            for key, value in node.value:
                text = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
                line = key.start_mark.line + 1
                if text and text in first:
                    raise Refused(
                        f"The key `{text}` appears twice (first in line {first[text]}).",
                        where=f"{name}, line {line}",
                        remedy="Keep one of them, with the content of both."
                        if text != MERGE
                        else "Write one of them with a list: `<<: [*one, *two]`.",
                    )
                first[text] = line
                waiting += [key, value]
            _refuse_late_merge(node, first, name)
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value


def _refuse_late_merge(node: yaml.MappingNode, first: dict[str, int], name: str) -> None:
    """A key before `<<` that the merged mapping has as well: readers disagree which one counts."""
    if MERGE not in first:
        return
    merged = next(value for key, value in node.value if key.value == MERGE)
    for source in merged.value if isinstance(merged, yaml.SequenceNode) else [merged]:
        for key, _ in source.value if isinstance(source, yaml.MappingNode) else ():
            if first.get(str(key.value), first[MERGE]) < first[MERGE]:
                raise Refused(
                    f"`<<` comes after the key `{key.value}`, which it also sets.",
                    where=f"{name}, line {first[MERGE]}",
                    remedy="Write the line `<<: …` before the mapping's other keys.",
                )


def refuse_endless(root: yaml.Node, name: str) -> None:
    """What is too deep, contains itself, or is too large once its `*aliases` are written out."""
    known: dict[int, tuple[int, int, int]] = {}
    """Size, height and characters of a node; no size yet where it is being measured."""

    def measure(node: yaml.Node, depth: int) -> tuple[int, int, int]:
        if depth > MAX_DEPTH:
            raise too_deep(name)
        if id(node) in known:
            size, height, length = known[id(node)]
            if not size:
                raise Refused(
                    "A `&name` contains itself.",
                    where=f"{name}, line {node.start_mark.line + 1}",
                    remedy="Write the values instead of `*name`.",
                )
            if depth + height > MAX_DEPTH:
                raise too_deep(name)
            return size, height, length
        known[id(node)] = (0, 0, 0)
        size, height = 1, 0
        length = len(node.value) if isinstance(node, yaml.ScalarNode) else 0
        if isinstance(node, yaml.MappingNode):
            children = [part for pair in node.value for part in pair]
        else:
            children = node.value if isinstance(node, yaml.SequenceNode) else []
        for child in children:
            more, below, longer = measure(child, depth + 1)
            size, height, length = size + more, max(height, below + 1), length + longer
        if size > MAX_NODES or length > MAX_CHARACTERS:
            raise Refused(
                "Its `*aliases` repeat too much.",
                where=f"{name}, line {node.start_mark.line + 1}",
                remedy=f"Keep the file below {MAX_NODES} values, including those from aliases.",
            )
        known[id(node)] = (size, height, length)
        return size, height, length

    measure(root, 0)


def too_deep(name: str) -> Refused:
    return Refused(
        "It is nested too deeply.", where=name, remedy=f"Keep it below {MAX_DEPTH} levels."
    )
