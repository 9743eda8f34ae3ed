"""How many exercises run at the same time: their needs compared with the machine.

Pure functions; `grader.classroom.batch.machine` reads the machine,
`grader.classroom.batch.usage_sampler` measures the need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grader.text.words import count

MIB = 1024**2
GIB = 1024**3

SPARE_MEMORY = 1 * GIB
"""Left to the system and to the tutor."""

SPARE_DISK = 2 * GIB

BUSY = 0.9
"""Which part of the processors may be planned for: checks watch the clock, too."""

FIRST_WEIGHT = 4
"""The estimate counts as much as so many measured exercises."""


@dataclass(frozen=True)
class Machine:
    """What is there: `cpus` (may be a fraction), bytes of `memory` and `disk` that are free now
    (and of the disk promised to no node), and how many more `networks` the engine has addresses
    for."""

    cpus: float
    memory: int
    disk: int
    networks: int


@dataclass(frozen=True)
class Need:
    """What one exercise needs: `cpus` on average while its checks run, and for each of its nodes
    bytes of `memory` and `disk`; `samples` is how many exercises that was measured on.

    Where nodes' disks are limited, `disk` is what each is promised, however little it uses: a full
    disk of the machine would be felt by all."""

    cpus: float
    memory: int
    disk: int
    samples: int = 0


FIRST = Need(cpus=0.6, memory=450 * MIB, disk=400 * MIB)
"""Before anything is measured, on the safe side: lab 4's exercises took 0.3 processors on average
(most of their time they wait) and kept to 300 MiB a node in nine of ten."""


@dataclass(frozen=True)
class Sample:
    """What one exercise used: mean of CPUs, and its largest node's bytes."""

    cpus: float
    memory: int
    disk: int = 0


@dataclass(frozen=True)
class Decision:
    """`side_by_side` exercises, on `nodes` nodes at most; `because` says why in one line."""

    side_by_side: int
    nodes: int
    because: str


def learn(first: Need, samples: Sequence[Sample]) -> Need:
    """The need as measured: for CPUs the mean, since they are shared out; for memory and disk
    what nine of ten nodes keep to, since one that is too large takes from all."""
    if not samples:
        return first
    count = len(samples)
    total = sum(sample.cpus for sample in samples)
    cpus = (first.cpus * FIRST_WEIGHT + total) / (FIRST_WEIGHT + count)
    if count < FIRST_WEIGHT:
        # The first ones to end are the quick ones: they say too little of what is to come.
        memory = max(first.memory, max(sample.memory for sample in samples))
        disk = max(first.disk, max(sample.disk for sample in samples))
    else:
        memory = _ninth_decile([sample.memory for sample in samples])
        disk = _ninth_decile([sample.disk for sample in samples])
    return Need(cpus=max(cpus, 0.05), memory=max(memory, MIB), disk=max(disk, MIB), samples=count)


def _ninth_decile(values: Sequence[int]) -> int:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * 9 // 10)]


def decide(
    machine: Machine, need: Need, widest: int, wanted: int | None = None, used: int = 0
) -> Decision:
    """How much fits on `machine`, where the widest exercise has `widest` nodes.

    `wanted` is the tutor's own number (`--jobs`), which is kept to as far as the disk bears it;
    `used` is how many nodes of this batch are there already, whose memory and disk are not free
    any more. At least one exercise is always let in: nothing would ever be graded otherwise.
    """
    by_memory = used + max(0, machine.memory - SPARE_MEMORY) // need.memory
    by_disk = used + max(0, machine.disk - SPARE_DISK) // need.disk
    by_networks = machine.networks
    nodes = max(widest, int(min(by_memory, by_disk)))
    if wanted is not None:
        roomy = max(nodes, wanted * widest)
        borne = max(widest, int(by_disk))
        because = f"{_exercises(wanted)} side by side, as --jobs says"
        if roomy > borne:
            because += f", limited by the disk: {borne} nodes at once"
        return Decision(wanted, min(roomy, borne), f"{because}.")
    limits = {
        f"{machine.cpus:g} CPUs at {need.cpus:.1f} each": int(machine.cpus * BUSY / need.cpus),
        f"{machine.memory / GIB:.1f} GiB of free memory at {need.memory / MIB:.0f} MiB a node": int(
            by_memory // widest
        ),
        f"{machine.disk / GIB:.0f} GiB of free disk at {need.disk / MIB:.0f} MiB a node": int(
            by_disk // widest
        ),
        "the engine's free networks": by_networks - 1,
    }
    reason, least = min(limits.items(), key=lambda item: item[1])
    number = max(1, least)
    how = f"measured on {_exercises(need.samples)}" if need.samples else "an estimate at first"
    return Decision(
        number, nodes, f"{_exercises(number)} side by side: the limit is {reason} ({how})."
    )


def next_step(wanted: int, now: int, idle: float | None) -> int:
    """How many to let in when `now` are, and `wanted` would fit: down at once, up one by one, since
    what was just begun is not measured yet.

    And not up while the processors are busy (`idle` is the part of them that was not; None where
    no one knows): exercises that wait for a processor seem to need little of it, and ever more of
    them would be let in on a machine that has other work, until their checks run out of time.
    """
    if wanted <= now:
        return wanted
    return now if idle is not None and idle < 1 - BUSY else now + 1


def _exercises(number: int) -> str:
    return count(number, "exercise")
