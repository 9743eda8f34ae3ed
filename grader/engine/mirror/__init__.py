"""The class mirror: the only thing that a sandbox can reach.

A container that stands for the servers of Debian and Python packages and keeps what it has
fetched. It has a network with a way out and one leg in the network of each sandbox, which has
none. Started with the first sandbox, found again by later runs; its cache, a volume, stays.
"""

from __future__ import annotations

from grader.engine.mirror.container import (
    Leg,
    attach,
    detach,
    ensure,
    remove,
    remove_cache,
    runs,
)
from grader.engine.mirror.origins import Unusable

__all__ = [
    "Leg",
    "Unusable",
    "attach",
    "detach",
    "ensure",
    "remove",
    "remove_cache",
    "runs",
]
