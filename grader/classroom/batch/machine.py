"""The resources that this machine has left, as the system reports them now."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from grader.classroom.batch.capacity import GIB, Machine

if TYPE_CHECKING:
    from grader.engine.client import Engine

UNKNOWN_MEMORY = 4 * GIB
"""Assumed if the system does not report free memory."""

ORDINARY_NETWORKS = 30
"""An engine without special settings has addresses for about this many networks."""

GROUPS = Path("/sys/fs/cgroup")

FEWEST_TICKS = 500
"""Hundredths of a second, over all processors: the shortest time that shows how busy they are."""


def read(engine: Engine | None, out: Path) -> Machine:
    """Read the machine's resources. `engine`, if given, adds its networks and the limits of its
    machine."""
    cpus, memory = float(os.cpu_count() or 1), free_memory()
    with contextlib.suppress(AttributeError, OSError):
        cpus = float(len(os.sched_getaffinity(0)))
    cpus = min(cpus, _cpu_limit() or cpus)
    networks = ORDINARY_NETWORKS
    if engine is not None:
        cpus, networks = _of_engine(engine, cpus)
    return Machine(cpus, memory, free_disk(out), networks)


class Idle:
    """The share of the processors that was idle recently, whoever used the rest."""

    def __init__(self, stat: Path = Path("/proc/stat")) -> None:
        self._stat = stat
        self._last = _ticks(stat)
        self._share: float | None = None

    def share(self) -> float | None:
        """Between 0 and 1; None if the system does not report it, or has not been watched for
        long enough."""
        now = _ticks(self._stat)
        if now is None or self._last is None:
            return None
        total, idle = (new - old for new, old in zip(now, self._last, strict=True))
        if total >= FEWEST_TICKS:
            self._share, self._last = idle / total, now
        return self._share


def _ticks(stat: Path) -> tuple[int, int] | None:
    """(All, idle) ticks of all processors since the machine was started."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        words = stat.read_text(encoding="utf-8").splitlines()[0].split()
        # user, nice, system, idle, iowait, irq, softirq, steal; what guests had is in `user`.
        ticks = [int(word) for word in words[1:9]]
        return sum(ticks), ticks[3] + ticks[4]
    return None


def free_memory(proc: Path = Path("/proc/meminfo"), groups: Path = GROUPS) -> int:
    """Bytes that new processes can have: what the system has, limited by this control group."""
    free = UNKNOWN_MEMORY
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in proc.read_text(encoding="utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                free = int(line.split()[1]) * 1024
    for limit_file, usage_file in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        limit, usage = _number(groups / limit_file), _number(groups / usage_file)
        if limit is not None and usage is not None and limit < 1 << 60:
            free = min(free, max(0, limit - usage))
    return free


def free_disk(*places: Path) -> int:
    """Free bytes on the fullest disk of the places (and of the data directory), without what is
    promised to nodes."""
    from grader import paths
    from grader.engine import disk

    free = []
    for place in (*places, paths.data_dir()):
        while not place.exists() and place != place.parent:
            place = place.parent
        free.append(shutil.disk_usage(place).free)
    return max(0, min(free) - disk.promised())


def _cpu_limit(groups: Path = GROUPS) -> float | None:
    """CPUs that the control group allows; None if it does not limit them."""
    with contextlib.suppress(OSError, ValueError):
        quota, period = (groups / "cpu.max").read_text(encoding="utf-8").split()
        return int(quota) / int(period) if quota != "max" else None
    quota_us = _number(groups / "cpu/cpu.cfs_quota_us")
    period_us = _number(groups / "cpu/cpu.cfs_period_us")
    if quota_us and period_us and quota_us > 0:
        return quota_us / period_us
    return None


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text(encoding="utf-8").strip())
    except (OSError, ValueError):
        return None


def _of_engine(engine: Engine, cpus: float) -> tuple[float, int]:
    """(CPUs, free networks), as far as the engine reports them."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        with contextlib.closing(engine.client()) as client:
            info = client.info()
            used = len(client.api.networks())
    except (DockerException, RequestException):
        return cpus, ORDINARY_NETWORKS
    pools = info.get("DefaultAddressPools") or []
    total = 0
    for pool in pools:
        with contextlib.suppress(KeyError, ValueError, IndexError):
            total += 1 << (int(pool["Size"]) - int(str(pool["Base"]).split("/")[1]))
    return min(cpus, float(info.get("NCPU") or cpus)), (total or ORDINARY_NETWORKS) - used
