"""What one node may use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.engine import (
    disk,
)

if TYPE_CHECKING:
    from grader.engine.client import Engine


@dataclass(frozen=True)
class Limits:
    """What one node may use; everything that runs inside it counts.

    `disk_mb` applies if the kit is root on its own engine; None means no limit. It is for the data
    of the node's engine. In addition, a quarter of it is for the submission's folder, which
    containers may write to. `life_seconds` after its start a node ends by itself, even if everyone
    forgot it.
    """

    memory_mb: int = 3072
    pids: int = 2000
    cpus: float = 2.0
    disk_mb: int | None = 4096
    log_mb: int = 50
    life_seconds: int = 4 * 3600

    def disks(self, names: Iterable[str]) -> dict[str, int]:
        """The disks of these nodes, with their sizes in megabytes (see `disk.reserve`)."""
        found: dict[str, int] = {}
        for name in names if self.disk_mb is not None else ():
            found |= {name: self.disk_mb or 0, disk.files(name): (self.disk_mb or 0) // FILES_PART}
        return found


FILES = "/drydock"
"""Where submissions are put on a node."""


FILES_PART = 4


LIMITS = Limits()


def limited(engine: Engine | None) -> bool:
    """Whether nodes of this engine have disks of limited size."""
    return engine is not None and engine.origin == "embedded" and disk.possible()


def promise(engine: Engine | None) -> int | None:
    """Bytes of disk that a sandbox's node is promised; None without a limit."""
    return sum(LIMITS.disks(["node"]).values()) * disk.MIB if limited(engine) else None
