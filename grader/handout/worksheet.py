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
from collections.abc import Mapping
from typing import Any

NBGRADER_SCHEMA = 3


def notebook(markdown: str) -> bytes:
    """The notebook as bytes of an .ipynb file: the same for the same text, cell ids included."""
    import jupytext
    import nbformat

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
