"""What no text in a case can be: archives, links, pipes, large files.

A case's `make: NAME WORD …` calls the function of that name with the workspace as it is laid out,
and the rest of the words. Archives take the workspace's place: a file of the student's ID.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.hostile import make_archives, make_files

Maker = Callable[..., None]

MAKERS: dict[str, Maker] = {
    name: function
    for module in (make_archives, make_files)
    for name, function in vars(module).items()
    if inspect.isfunction(function)
    and function.__module__ == module.__name__
    and not name.startswith("_")
}


def make(said: str, workspace: Path, known: Mapping[str, str]) -> None:
    """`zip_slip ../../victim.txt`: one call; several on lines of their own."""
    for line in said.strip("\n").split("\n"):
        function, arguments = bound(line, workspace, known)
        function(*arguments.args, **arguments.kwargs)


def bound(
    line: str, workspace: Path, known: Mapping[str, str]
) -> tuple[Maker, inspect.BoundArguments]:
    """The function that a line names, and what it is called with; KeyError or TypeError."""
    name, *words = line.split(" ")  # of two spaces both stay
    function = MAKERS[name]
    signature = inspect.signature(function)
    more = {"known": known} if "known" in signature.parameters else {}
    return function, signature.bind(workspace, *words, **more)
