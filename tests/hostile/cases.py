"""The corpus: hostile submissions, each with what it tries and what must happen.

    bind-double-slash:
      tries: Mounts the root of the node by a path that begins with two slashes.
      must: refused
      word: leads out of the folder
      files:
        counter/compose.yaml: |
          …

| key | meaning |
|---|---|
| `must` | `not unpacked`: the archive or folder is not taken; `refused`: read, and not run; |
|  | `failed`: a check fails, no points for what was attacked; `not graded`: the record says so; |
|  | `contained`: it may do what it likes in its sandbox |
| `word` | stands in the reason, or in a remark about the submission (any case of letters) |
| `lab`, `exercise`, `only` | these folders of that exercise's solution are what is changed |
| `remove` | files and folders of it that are not handed in |
| `service`, `top` | the keys of web, and what stands below the services, in the counter's file |
| `files` | path: text that is put there |
| `edit` | path: [old text, new text] in the solution's file |
| `make` | a function of makers.py makes the rest: archives, links, pipes |
| `door` | `grade` (a class, the usual), or `check` (a workspace that is opened) |
| `lost` | beginnings of the names of checks that must have no points |
| `name` | the student's name in the roster |
| `sample` | each run of the tests grades it, one of each kind |
| `private` | nothing of the results may be open to other users of the machine |

`[[secret]]` and the like in texts stand for what canaries.py and layout.py put in their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "cases"

KINDS = (
    "archives",
    "compose",
    "stack",
    "env",
    "dockerfile",
    "runbook",
    "running",
    "http",
    "workspace",
    "results",
)
OUTCOMES = ("not unpacked", "refused", "failed", "contained", "not graded")
DOORS = ("grade", "check")
USUAL = {"compose": ("counter",), "rollout": ("rollout",)}
"""Which folders of an exercise are handed in where a case does not say."""


@dataclass(frozen=True)
class Case:
    """One hostile submission; see the module."""

    name: str
    kind: str
    tries: str
    must: str
    word: str = ""
    lab: str = "lab4"
    exercise: str = "compose"
    only: tuple[str, ...] | None = None
    service: str = ""
    top: str = ""
    files: dict[str, str] = field(default_factory=dict)
    edit: dict[str, list[str]] = field(default_factory=dict)
    make: str = ""
    door: str = "grade"
    lost: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    student: str = ""
    private: bool = False
    sample: bool = False

    @property
    def group(self) -> tuple[str, str, str]:
        """Cases of one group can be one class."""
        return (self.door, self.lab, self.exercise)

    @property
    def folders(self) -> tuple[str, ...] | None:
        """The folders of the exercise that are handed in; None for all."""
        return self.only if self.only is not None else USUAL.get(self.exercise)


def load(kinds: Sequence[str] = KINDS) -> list[Case]:
    """All cases of these kinds, in their order; ValueError where one is not written as it must."""
    found: list[Case] = []
    for kind in kinds:
        for file in sorted(FOLDER.glob(f"{kind}*.yaml")):
            said = yaml.load(file.read_text(encoding="utf-8"), Loader=_NoDoubles)
            found += [_case(name, kind, values, file) for name, values in said.items()]
    return found


def choose(cases: Sequence[Case], names: Sequence[str]) -> list[Case]:
    """The cases of these names, or whose names begin with them; all if there are no names."""
    if not names:
        return list(cases)
    wanted = [case for case in cases if case.name.startswith(tuple(names))]
    missing = [name for name in names if not any(c.name.startswith(name) for c in wanted)]
    if missing:
        raise ValueError(f"There is no case {', '.join(missing)}.")
    return wanted


def sample(cases: Sequence[Case]) -> list[Case]:
    """The one of each kind that every run of the tests grades."""
    return [case for case in cases if case.sample]


class _NoDoubles(yaml.SafeLoader):
    """Two cases of one name would be one."""


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    doubled = {key for key in keys if keys.count(key) > 1}
    if doubled:
        raise ValueError(f"{', '.join(doubled)} is there twice{node.start_mark}")
    return loader.construct_mapping(node, deep=True)


_NoDoubles.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def _case(name: str, kind: str, said: dict[str, Any], file: Path) -> Case:
    place = f"{file.name}: {name}"
    values = dict(said)
    if "name" in values:
        values["student"] = values.pop("name")
    for key in ("only", "lost", "remove"):
        if key in values:
            values[key] = tuple(values[key])
    try:
        case = Case(name=name, kind=kind, **values)
    except TypeError as error:
        raise ValueError(f"{place}: {error}") from None
    if case.must not in OUTCOMES or case.door not in DOORS:
        raise ValueError(f"{place}: must is one of {OUTCOMES}, door one of {DOORS}")
    if not case.tries.endswith("."):
        raise ValueError(f"{place}: `tries` is a sentence")
    if case.must != "contained" and not case.word:
        raise ValueError(f"{place}: a word of the reason is missing")
    return case
