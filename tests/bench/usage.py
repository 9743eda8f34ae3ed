"""What a machine's processors and network do while something is graded, and for whom.

CPU seconds come from control groups (version 1 or 2) and, where nested engines make none, from the
processes of each PID namespace; bytes from the class mirror's network. Containers and processes
come and go, so a thread looks often, and what was seen last of each one counts.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

PROC = Path("/proc")
GROUPS = Path("/sys/fs/cgroup")
LOOK_SECONDS = 0.08
TICKS = os.sysconf("SC_CLK_TCK")

CPU = ("kit", "dockerd", "nested", "containers", "mirror", "machine")
"""CPU seconds of the kit with its checks; the host's dockerd and containerd; the nested engines,
with the docker commands in nodes; the student's containers and builds; the mirror; the machine."""

SUMS = (*CPU, "fetched", "served", "waiting")
"""Besides, bytes that the mirror fetched from outside and sent to sandboxes; seconds of waiting."""

QUIET = 0.5
"""With fewer processors than this at work, and nothing fetched, the machine waits for a clock."""
FETCHING = 10_000
"""Bytes a second from which on something is fetched."""

Sums = Mapping[str, float]
"""Each of SUMS, since the sampler began."""


@dataclass(frozen=True)
class Process:
    """A line of /proc: CPU seconds of its `own`, and of its `children` that have ended."""

    pid: int
    parent: int
    started: int
    name: str
    own: float
    children: float

    @property
    def key(self) -> tuple[int, int]:
        """Tells it from a later process with the same number."""
        return self.pid, self.started


def read_process(text: str) -> Process:
    """From /proc/PID/stat. The name may hold spaces and brackets."""
    pid, _, rest = text.partition(" (")
    name, _, rest = rest.rpartition(") ")
    words = rest.split()
    own, children = (int(words[i]) + int(words[i + 1]) for i in (11, 13))
    return Process(int(pid), int(words[1]), int(words[19]), name, own / TICKS, children / TICKS)


def cpu_seconds(group: Path) -> float | None:
    """CPU seconds of a control group of either version, with those below it; None without it."""
    with contextlib.suppress(OSError, ValueError):
        return int((group / "cpuacct.usage").read_text()) / 1e9
    with contextlib.suppress(OSError, ValueError, KeyError):
        lines = (group / "cpu.stat").read_text().splitlines()
        return int(dict(line.split() for line in lines)["usage_usec"]) / 1e6
    return None


def machine_seconds(stat: str) -> tuple[float, float]:
    """(At work, waiting for a disk) in seconds of all processors, from /proc/stat."""
    user, nice, system, _idle, disk, irq, softirq = map(int, stat.split(maxsplit=8)[1:8])
    return (user + nice + system + irq + softirq) / TICKS, disk / TICKS


def others(seconds: float = 2.0, stat: Path = PROC / "stat") -> float:
    """How many processors are at work now, before anything is measured; 0 where it is not told."""
    try:
        before, _ = machine_seconds(stat.read_text())
        time.sleep(seconds)
        after, _ = machine_seconds(stat.read_text())
    except (OSError, ValueError):
        return 0.0
    return (after - before) / seconds


def interfaces(text: str) -> dict[str, tuple[int, int]]:
    """Bytes (received, sent) of each network interface but the loopback, from /proc/PID/net/dev."""
    found = {}
    for line in text.splitlines()[2:]:
        name, _, numbers = line.partition(":")
        words = numbers.split()
        if name.strip() != "lo":
            found[name.strip()] = int(words[0]), int(words[8])
    return found


class Tree:
    """CPU seconds of processes that come and go; what a parent among them has inherited counts
    once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._ended = 0.0
        self._last: dict[tuple[int, int], tuple[float, int]] = {}

    def look(self, members: Sequence[Process], own_only: bool = False) -> None:
        """`members` are those that run now. With `own_only` they inherit nothing."""
        pids = set() if own_only else {process.pid for process in members}
        now = {
            process.key: (process.own + (0 if own_only else process.children), process.parent)
            for process in members
        }
        above = {} if own_only else {pid: parent for (pid, _), (_, parent) in self._last.items()}

        def inherited(pid: int) -> bool:
            """Whether a process above it is still there: what it waited for is in `children`."""
            while pid in above:
                pid = above[pid]
                if pid in pids:
                    return True
            return False

        self._ended += sum(
            seconds
            for key, (seconds, _) in self._last.items()
            if key not in now and not inherited(key[0])
        )
        self._last = now
        self.seconds = max(self.seconds, self._ended + sum(s for s, _ in now.values()))


@dataclass
class Container:
    """A container of the host's engine; `role` as in its label, `pid` 0 if it is not known yet."""

    role: str = ""
    pid: int = 0


@dataclass
class _Node:
    """A node while it runs, and what was seen last of it."""

    group: Path
    container: Container
    namespace: str
    seconds: float = 0.0
    trees: dict[str, Tree] = field(default_factory=dict)
    nested: dict[Path, float] = field(default_factory=dict)


class Sampler:
    """`samples` has (time, sums) from its start on.

    `who` says what the container with an ID is (None: not of this run). `engine` is a text in the
    command line of each process of the host's engine; without it, all of this machine's count.
    """

    def __init__(
        self,
        who: Callable[[str], Container | None],
        engine: str = "",
        proc: Path = PROC,
        groups: Path = GROUPS,
    ) -> None:
        self.samples: list[tuple[float, Sums]] = []
        self._who = who
        self._engine = engine
        self._proc = proc
        self._groups = groups
        self._known: dict[str, _Node | None] = {}
        self._kit, self._dockerd, self._shims = Tree(), Tree(), Tree()
        self._namespaces: dict[tuple[int, int], str] = {}
        self._is_engine: dict[tuple[int, int], bool] = {}
        self._network: dict[str, tuple[int, int]] = {}
        self._fetched = self._served = 0.0
        self._first: Sums | None = None
        self._disk = self._waiting = self._own = 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, name="sampler", daemon=True)

    def __enter__(self) -> Sampler:
        self.look(time.monotonic())
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join(timeout=30)
        self.look(time.monotonic())

    def _work(self) -> None:
        while not self._end.wait(LOOK_SECONDS):
            self.look(time.monotonic())
            # The sampler's own work counts for no one.
            self._own = time.thread_time()

    def look(self, now: float) -> None:
        """Take a sample."""
        processes = self._processes()
        sums = dict.fromkeys(SUMS, 0.0)
        sums["kit"] = self._of_kit(processes) - self._own
        sums["dockerd"] = self._of_engine(processes)
        for node in self._nodes():
            node.seconds = max(node.seconds, cpu_seconds(node.group) or 0.0)
            if node.container.role == "mirror":
                sums["mirror"] += node.seconds
                self._look_at_network(node.container.pid)
            else:
                inside = min(self._inside(node, processes), node.seconds)
                sums["containers"] += inside
                sums["nested"] += node.seconds - inside
        busy, disk = machine_seconds((self._proc / "stat").read_text())
        sums["machine"] = busy - self._own
        sums["fetched"], sums["served"] = self._fetched, self._served
        if self._first is None:
            self._first = sums
        elif self.samples:
            before, last = self.samples[-1]
            worked = sums["machine"] - self._first["machine"] - last["machine"]
            quiet = worked + disk - self._disk < QUIET * (now - before)
            fetched = self._fetched - self._first["fetched"] - last["fetched"]
            if quiet and fetched < FETCHING * (now - before):
                self._waiting += now - before
        self._disk = disk
        since = {name: sums[name] - self._first[name] for name in SUMS}
        self.samples.append((now, {**since, "waiting": self._waiting}))

    def _processes(self) -> dict[int, Process]:
        found = {}
        for name in os.listdir(self._proc):  # noqa: PTH208 - a hundred times for each exercise
            if name.isdigit():
                # It may have ended.
                with (
                    contextlib.suppress(OSError, ValueError, IndexError),
                    open(f"{self._proc}/{name}/stat", errors="replace") as stat,  # noqa: PTH123
                ):
                    process = read_process(stat.read())
                    found[process.pid] = process
        return found

    def _of_kit(self, processes: Mapping[int, Process]) -> float:
        """This process and all below it, but for an engine that it has started."""
        below: dict[int, list[Process]] = {}
        for process in processes.values():
            below.setdefault(process.parent, []).append(process)
        members = [processes[os.getpid()]] if os.getpid() in processes else []
        for process in members:
            children = below.get(process.pid, [])
            members += [one for one in children if not self._of_hosts_engine(one)]
        self._kit.look(members)
        return self._kit.seconds

    def _of_engine(self, processes: Mapping[int, Process]) -> float:
        """dockerd and containerd with the children that they waited for; shims without: what they
        waited for are the containers."""
        members = [one for one in processes.values() if self._of_hosts_engine(one)]
        shims = [one for one in members if one.name.startswith("containerd-shim")]
        self._dockerd.look([one for one in members if one not in shims])
        self._shims.look(shims, own_only=True)
        return self._dockerd.seconds + self._shims.seconds

    def _of_hosts_engine(self, process: Process) -> bool:
        if not process.name.startswith(("dockerd", "containerd")):
            return False
        if process.key not in self._is_engine:
            folder = self._proc / str(process.pid)
            try:
                command = (folder / "cmdline").read_text(errors="replace")
            except OSError:
                return False
            own = self._namespace(process) == self._link(self._proc / "self" / "ns" / "pid")
            self._is_engine[process.key] = own and self._engine in command
        return self._is_engine[process.key]

    def _nodes(self) -> list[_Node]:
        """Nodes and the mirror, those that have ended as well."""
        tree = self._groups / "cpuacct"
        tree = tree if tree.is_dir() else self._groups
        places = {
            **{group.name: group for group in tree.glob("docker/*")},
            **{g.name[7:-6]: g for g in tree.glob("system.slice/docker-*.scope")},
        }
        for name in places.keys() - self._known.keys():
            container = self._who(name) if len(name) == 64 else None
            if container is None:
                self._known[name] = None
            elif container.pid:
                namespace = self._link(self._proc / str(container.pid) / "ns" / "pid")
                self._known[name] = _Node(places[name], container, namespace)
        return [node for node in self._known.values() if node is not None]

    def _inside(self, node: _Node, processes: Mapping[int, Process]) -> float:
        """CPU seconds of the containers in a node: of their control groups, or of the namespaces
        that have processes in the node's group."""
        for group in node.group.glob("docker/*"):
            if group.is_dir():
                node.nested[group] = max(node.nested.get(group, 0.0), cpu_seconds(group) or 0.0)
        if node.nested:
            return sum(node.nested.values())
        members: dict[str, list[Process]] = {name: [] for name in node.trees}
        with contextlib.suppress(OSError):
            for pid in map(int, (node.group / "cgroup.procs").read_text().split()):
                if pid in processes:
                    namespace = self._namespace(processes[pid])
                    if namespace not in ("", node.namespace):
                        members.setdefault(namespace, []).append(processes[pid])
        for namespace, found in members.items():
            node.trees.setdefault(namespace, Tree()).look(found)
        return sum(tree.seconds for tree in node.trees.values())

    def _look_at_network(self, pid: int) -> None:
        """The mirror's first interface leads outside; the others are its legs in sandboxes."""
        try:
            found = interfaces((self._proc / str(pid) / "net" / "dev").read_text())
        except OSError:
            return
        for name, (received, sent) in found.items():
            before = self._network.get(name, (0, 0))
            # Another sandbox's leg may have the same name, and begins at 0.
            new = received < before[0] or sent < before[1]
            if name == "eth0":
                self._fetched += received - (0 if new else before[0])
            else:
                self._served += sent - (0 if new else before[1])
        self._network = found

    def _namespace(self, process: Process) -> str:
        if process.key not in self._namespaces:
            found = self._link(self._proc / str(process.pid) / "ns" / "pid")
            if not found:
                return ""
            self._namespaces[process.key] = found
        return self._namespaces[process.key]

    def _link(self, path: Path) -> str:
        try:
            return os.readlink(path)  # noqa: PTH115 - it leads to no file
        except OSError:
            return ""


def at(samples: Sequence[tuple[float, Sums]], when: float) -> Sums:
    """The sums at a time, between two samples in proportion."""
    place = bisect_right([time for time, _ in samples], when)
    if place == 0:
        return samples[0][1]
    if place == len(samples):
        return samples[-1][1]
    (begin, before), (end, after) = samples[place - 1 : place + 1]
    share = (when - begin) / (end - begin)
    return {name: before[name] + share * (after[name] - before[name]) for name in before}
