"""How many exercises run at the same time: compares what they need with what the machine has.

Pure functions; `grader.classroom.batch.machine` reads the machine,
`grader.classroom.batch.usage_sampler` measures what exercises need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grader.text.words import count

MIB = 1024**2
GIB = 1024**3

SPARE_MEMORY = 1 * GIB
"""Left for the system and the tutor."""

SPARE_DISK = 2 * GIB

BUSY = 0.9
"""The share of the processors that may be planned for: checks also have time limits."""

FIRST_WEIGHT = 4
"""The first estimate counts as much as this many measured exercises."""


@dataclass(frozen=True)
class Machine:
    """What the machine has: `cpus` (may be a fraction), bytes of `memory` and `disk` that are
    free now (without disk space that is promised to nodes), and for how many more `networks` the
    engine has addresses."""

    cpus: float
    memory: int
    disk: int
    networks: int


@dataclass(frozen=True)
class Need:
    """What one exercise needs: `cpus` on average while its checks run, and bytes of `memory` and
    `disk` for each of its nodes. `samples` is how many exercises were measured.

    If nodes' disks are limited, `disk` is the limit that each node is promised, however little it
    uses: a full disk of the machine would affect everyone.
    """

    cpus: float
    memory: int
    disk: int
    samples: int = 0


FIRST = Need(cpus=0.6, memory=450 * MIB, disk=400 * MIB)
"""The estimate before anything is measured, on the safe side: lab 4's exercises used 0.3
processors on average (they wait most of the time), and nine of ten used at most 300 MiB per
node."""


@dataclass(frozen=True)
class Sample:
    """What one exercise used: the mean of CPUs, and the bytes of its largest node."""

    cpus: float
    memory: int
    disk: int = 0


@dataclass(frozen=True)
class Decision:
    """`side_by_side` exercises, on at most `nodes` nodes; `because` says why in one line."""

    side_by_side: int
    nodes: int
    because: str


def learn(first: Need, samples: Sequence[Sample]) -> Need:
    """The need as measured. For CPUs it is the mean, because they are shared. For memory and
    disk it is what nine of ten nodes stay below, because a node that is too large affects all
    others."""
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
    """How many exercises fit on `machine`, if the widest exercise has `widest` nodes.

    `wanted` is the tutor's own number (`--jobs`), which is used as far as the disk allows. `used`
    is how many nodes this batch already has; their memory and disk are no longer free. At least one
    exercise is always allowed: otherwise nothing would ever be graded.
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
    """How many exercises to let in when `now` are in and `wanted` would fit. The number goes down
    at once but up one by one, because a new exercise is not measured yet.

    It does not go up while the processors are busy. (`idle` is the share of them that is not busy,
    None if unknown.) Exercises that wait for a processor seem to need little of it, so on a machine
    with other work more and more would be let in, until their checks run out of time.
    """
    if wanted <= now:
        return wanted
    return now if idle is not None and idle < 1 - BUSY else now + 1


def _exercises(number: int) -> str:
    return count(number, "exercise")
