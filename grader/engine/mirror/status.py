"""The state of the mirror, for people."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.engine.mirror import making
from grader.nodes import commands

if TYPE_CHECKING:
    from grader.engine.client import Engine

OUTSIDE = ("MISS", "EXPIRED", "REVALIDATED", "BYPASS", "STALE")
"""What nginx calls answers for which a server was asked."""


@dataclass(frozen=True)
class Status:
    """The mirror's data for a person. Requests are those that are still in the log."""

    running: bool
    cache_bytes: int
    sandboxes: int
    from_cache: int
    from_outside: int
    refused: int
    names: tuple[str, ...]


def look(engine: Engine) -> Status:
    """Its state, without starting it."""
    with contextlib.closing(engine.client()) as client:
        found = making.find(client)
        size = 0
        for volume in client.api.df().get("Volumes") or []:
            if volume["Name"] == making.CACHE:
                size = max(0, int((volume.get("UsageData") or {}).get("Size", 0)))
        if found is None:
            return Status(False, size, 0, 0, 0, 0, ())
        told = commands.log(client, found["Id"], lines="all", keep=commands.LOG_READ)
        said = told.decode("utf-8", errors="replace")
        running = bool(found["State"]["Running"])
        networks = len(found["NetworkSettings"]["Networks"]) - 1
        names = tuple(json.loads(found["Config"]["Labels"]["drydock.names"]))
        return Status(running, size, networks if running else 0, *counts(said), names)


def counts(log: str) -> tuple[int, int, int]:
    """(answered from the cache, asked outside, refused) in the mirror's log."""
    hits = outside = refused = 0
    for line in log.splitlines():
        words = line.split()
        if len(words) == 4 and words[0].isdigit():
            source = words[1].rstrip("-")
            hits += source == "HIT"
            outside += source in OUTSIDE
            refused += words[0] == "403" and not source
    return hits, outside, refused
