"""Each `>>>` example in a docstring below grader/ and in the checks of labs runs, and is true.

An example that needs a Docker engine or a machine cannot run here. Write it as plain code, without
`>>>`, and its result as a comment.
"""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

from grader.paths import KIT

EXAMPLE = re.compile(r"^\s*>>> ", re.MULTILINE)


def modules() -> list[str]:
    """The dotted names of all modules that have examples."""
    files = [*KIT.glob("grader/**/*.py"), *KIT.glob("labs/*/checks/**/*.py")]
    return sorted(_name(file) for file in files if EXAMPLE.search(file.read_text(encoding="utf-8")))


def _name(file: Path) -> str:
    parts = file.relative_to(KIT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("name", modules())
def test_the_examples_in_the_docstrings_are_true(name: str) -> None:
    found = doctest.testmod(
        importlib.import_module(name), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    )
    assert found.attempted > 0, "no example of the file stands in a docstring"
    assert found.failed == 0, "the report is in the captured output"
