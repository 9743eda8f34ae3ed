"""A catalogue of tiny images, made from this machine's own files in seconds; tests change it."""

from __future__ import annotations

import contextlib
import re
import subprocess
from pathlib import Path
from typing import Any

from grader.engine.images import sets

CATALOGUE = """
images:
  one:
    {tags: ["one:1", "one:latest"], recipe: one, smoke: [/bin/cat, /note], expect: first}
  two:
    {tags: ["two:1"], recipe: two, parents: [one], smoke: [/bin/cat, /note], expect: second}
  same:
    {tags: ["same:1"], recipe: one, smoke: [/bin/cat, /note], expect: first}
"""


class Recipes:
    """The files of the catalogue: three images with /bin/cat and /bin/sleep."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        programs = ["/bin/cat", "/bin/sleep"]
        listed = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=True)
        for path in [*programs, *re.findall(r"(/\S+) \(", listed.stdout)]:
            copy = folder / "one" / "root" / path.lstrip("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(Path(path).read_bytes())
        self.write("catalogue.yaml", CATALOGUE)
        self.write("one/Dockerfile", "FROM scratch\nCOPY root/ /\nCOPY note /note\n")
        self.write("one/note", "first")
        self.write("two/Dockerfile", 'FROM one:1\nCOPY note /note\nRUN ["/bin/cat", "/note"]\n')
        self.write("two/note", "second")

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")


def volumes(engine: Any) -> set[str]:
    with contextlib.closing(engine.client()) as client:
        found = client.api.volumes(filters={"name": sets.PREFIX})["Volumes"] or []
    return {volume["Name"] for volume in found}


def built(said: str) -> list[str]:
    """The images that a run says it has built."""
    return re.findall(r"^  (\S+) built$", said, re.MULTILINE)
