"""What `docker build --progress=plain` tells of a build, step by step.

>>> steps = read("#5 [1/2] FROM debian:12\\n#5 CACHED\\n#6 [2/2] RUN make\\n#6 0.3 cc page.c")
>>> [(step.name, step.cached) for step in steps]
[('[1/2] FROM debian:12', True), ('[2/2] RUN make', False)]
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_NAME = re.compile(r"#(\d+) (\[.+)")
_CACHED = re.compile(r"#(\d+) CACHED")
_SAID = re.compile(r"#(\d+) \d+\.\d+ ?(.*)")

_MANAGER = re.compile(r"\b(apt|apt-get|aptitude|dpkg|apk|pip3?)\b")
_INSTALLS = re.compile(r"\b(install|add)\b")
_INSTALLED = re.compile(
    r"(Get:\d+ \S+://|Unpacking \S+ \(|Setting up \S+ \(|Successfully installed )"
)


@dataclass
class Step:
    """A step: its name with the instruction, whether it came from the cache, its output."""

    name: str
    cached: bool = False
    said: list[str] = field(default_factory=list)

    @property
    def installs(self) -> bool:
        """Whether this step fetched or installed packages now."""
        if self.cached:
            return False
        manager = _MANAGER.search(self.name)
        if manager and ("dpkg -i" in self.name or _INSTALLS.search(self.name, manager.end())):
            return True
        return any(_INSTALLED.match(line) for line in self.said)


def read(text: str) -> list[Step]:
    """The steps in the order in which they began. A step without its beginning has no name."""
    steps: dict[str, Step] = {}
    for line in text.splitlines():
        if found := _NAME.fullmatch(line.rstrip()):
            steps.setdefault(found[1], Step("")).name = found[2]
        elif found := _CACHED.fullmatch(line.rstrip()):
            steps.setdefault(found[1], Step("")).cached = True
        elif found := _SAID.fullmatch(line.rstrip()):
            steps.setdefault(found[1], Step("")).said.append(found[2])
    return list(steps.values())
