"""What a student types while reading a worksheet: the commands in its cells and in its text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import nbformat

MAY_FAIL = "may-fail"
"""Tag of cells whose commands may well end with an error, as the text beside them says."""

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_CHDIR = re.compile(r"os\.chdir\(workspace(?: / \"([^\"]+)\")?\)")
_TYPED = re.compile(r"^\s*(?:\w+ = )?!(.+)$")
_PROMPT = re.compile(r"^(\w+)\$ (.+)$")


@dataclass(frozen=True)
class Command:
    """A command of the worksheet, in the order of the text.

    `kind` is `cell` (to run on the student's machine, in `folder` of the workspace),
    `check` (calls the grader) or `reading` (shown for the node `node` of a swarm;
    MANAGER1_ADDRESS and TOKEN stand for that swarm's own). `cell` is the cell's id.
    """

    line: str
    kind: Literal["cell", "check", "reading"]
    cell: str
    folder: str = ""
    node: str = ""
    may_fail: bool = False


def read(content: bytes) -> Any:
    """The notebook in the text of an .ipynb file."""
    return nbformat.reads(content.decode("utf-8"), as_version=4)


def commands(nb: Mapping[str, Any]) -> list[Command]:
    """All commands of a notebook: what its cells type after `!`, and what its text shows."""
    found: list[Command] = []
    folder = ""
    for cell in nb["cells"]:
        if cell["cell_type"] == "markdown":
            for language, block in _FENCE.findall(cell["source"]):
                if language == "console":
                    for node, line in filter(None, map(_prompt, block.splitlines())):
                        found.append(Command(line, "reading", cell["id"], node=node))
            continue
        may_fail = MAY_FAIL in cell["metadata"].get("tags", [])
        for line in cell["source"].splitlines():
            moved, typed = _CHDIR.search(line), _TYPED.match(line)
            if moved:
                folder = moved.group(1) or ""
            if typed:
                text = typed.group(1)
                kind: Literal["cell", "check"] = "check" if "-m grader" in text else "cell"
                found.append(Command(text, kind, cell["id"], folder=folder, may_fail=may_fail))
    return found


def shown_files(nb: Mapping[str, Any]) -> dict[str, str]:
    """Files that the text shows, by name: blocks whose first line is `# NAME`, NAME with a dot."""
    files: dict[str, str] = {}
    for cell in nb["cells"]:
        if cell["cell_type"] == "markdown":
            for _language, block in _FENCE.findall(cell["source"]):
                named = re.match(r"# ([\w-]+\.\w+)\n", block)
                if named:
                    files[named.group(1)] = block
    return files


def _prompt(line: str) -> tuple[str, str] | None:
    prompt = _PROMPT.match(line)
    return (prompt.group(1), prompt.group(2)) if prompt else None
