"""The class mirror: the only server that a sandbox can reach.

It is a container that replaces the servers of Debian and Python packages and stores what it has
fetched. It has one network with a way out and is connected to the network of each sandbox, which
has none. The first sandbox starts it, and later runs find it. Its cache, a volume, stays.
"""

from __future__ import annotations

from grader.engine.mirror.container import (
    Leg,
    attach,
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
    "ensure",
    "remove",
    "remove_cache",
    "runs",
]
