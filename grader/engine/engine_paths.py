"""The paths of the kit's own engine."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from grader import paths

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class EnginePaths:
    """The paths of the embedded engine of one data directory."""

    home: Path

    @property
    def key(self) -> str:
        """Distinguishes the engines (and objects) of different data directories."""
        return sha256(str(self.home).encode()).hexdigest()[:8]

    @property
    def run(self) -> Path:
        """Short, because the path of a Unix socket can have only about 100 characters."""
        return Path("/run") / f"drydock-{self.key}"

    @property
    def socket(self) -> Path:
        return self.run / "engine.sock"

    @property
    def state(self) -> Path:
        return self.run / "state.json"

    @property
    def nodes(self) -> Path:
        """Links to the folders with nested engines' sockets, a folder of links per run."""
        return self.run / "nodes"

    @property
    def data(self) -> Path:
        return self.home / "engine" / "data"

    @property
    def log(self) -> Path:
        return self.home / "engine" / "engine.log"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"


def current() -> EnginePaths:
    return EnginePaths(paths.data_dir().expanduser().resolve())
