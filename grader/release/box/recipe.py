"""What is in the box: `vagrant/box/recipe.yaml`, and the one time that its files have."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from grader import paths

FOLDER = paths.KIT / "vagrant" / "box"
EPOCH = 1704067200
"""The time that all files of the box have, unless SOURCE_DATE_EPOCH says another."""


@dataclass(frozen=True)
class Recipe:
    name: str
    version: str
    suite: str
    disk: int
    packages: tuple[str, ...]
    offline: tuple[str, ...]

    @classmethod
    def read(cls, path: Path = FOLDER / "recipe.yaml") -> Recipe:
        tree: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
        lists = {name: tuple(tree[name]) for name in ("packages", "offline")}
        return cls(**{**tree, **lists})

    @property
    def file(self) -> str:
        return f"{self.name.replace('/', '-')}-{self.version}.box"

    @property
    def catalogue(self) -> str:
        return f"{self.name.replace('/', '-')}.json"


def epoch() -> int:
    said = os.environ.get("SOURCE_DATE_EPOCH", "")
    return int(said) if said.isdigit() else EPOCH
