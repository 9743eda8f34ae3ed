"""The worksheet: a Markdown template becomes a notebook with answer cells that nbgrader knows.

In the template (jupytext's Markdown): a ```python block is a cell to run; an answer cell is

    <!-- #region nbgrader={"grade_id": "tutorial4-q1", "points": 5} -->
    YOUR ANSWER HERE
    <!-- #endregion -->

and a ```console block shows commands to read, each with the name of its node:
`manager1$ docker node ls`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from grader.errors import KitError

NBGRADER_SCHEMA = 3
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


def notebook(markdown: str) -> bytes:
    """The notebook as bytes of an .ipynb file: the same for the same text, cell ids included."""
    import jupytext

    nbformat = _nbformat()
    source = jupytext.reads(markdown, fmt="md")
    result = nbformat.v4.new_notebook(
        metadata={
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    taken: set[str] = set()
    for cell in source.cells:
        text = cell.source.strip("\n")
        new = (
            nbformat.v4.new_code_cell(text)
            if cell.cell_type == "code"
            else nbformat.v4.new_markdown_cell(text)
        )
        answer = cell.metadata.get("nbgrader")
        new["id"] = _id(text, answer, taken)
        if cell.metadata.get("tags"):
            new.metadata["tags"] = list(cell.metadata["tags"])
        if answer is not None:
            new.metadata["nbgrader"] = _answer_cell(answer, new)
        result.cells.append(new)
    nbformat.validate(result)
    return (str(nbformat.writes(result, indent=1)).rstrip("\n") + "\n").encode("utf-8")


def read(content: bytes | str) -> Any:
    """The notebook in the text of an .ipynb file; KitError if it is none."""
    text = content.decode("utf-8") if isinstance(content, bytes) else content
    try:
        return _nbformat().reads(text, as_version=4)
    except Exception as error:
        raise KitError(f"This is not a notebook: {error}.") from None


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


def _nbformat() -> Any:
    """nbformat, which is slow to load and only partly typed."""
    import nbformat

    return nbformat


def _prompt(line: str) -> tuple[str, str] | None:
    prompt = _PROMPT.match(line)
    return (prompt.group(1), prompt.group(2)) if prompt else None


def _id(text: str, answer: Mapping[str, Any] | None, taken: set[str]) -> str:
    """A cell id that follows from the cell alone, so that it survives changes elsewhere."""
    wanted = str(answer["grade_id"]) if answer else hashlib.sha256(text.encode()).hexdigest()[:8]
    result, number = wanted, 1
    while result in taken:
        number += 1
        result = f"{wanted}-{number}"
    taken.add(result)
    return result


def _answer_cell(given: Mapping[str, Any], cell: Any) -> dict[str, Any]:
    """nbgrader's metadata of a cell that a tutor marks; `given` has grade_id and points."""
    points = float(given["points"])
    # As nbgrader's compute_checksum: it tells an untouched cell (no points) from an answer.
    text = f"{cell.source}{cell.cell_type}{True}{True}{False}{given['grade_id']}{points}"
    return {
        "schema_version": NBGRADER_SCHEMA,
        "grade_id": str(given["grade_id"]),
        "grade": True,
        "solution": True,
        "locked": False,
        "task": False,
        "points": given["points"],
        "cell_type": cell.cell_type,
        "checksum": hashlib.md5(text.encode("utf-8"), usedforsecurity=False).hexdigest(),
    }
