"""CPU seconds and bytes, read from folders that look like /proc and /sys/fs/cgroup."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.bench import usage
from tests.bench.usage import Container, Process, Sampler, Tree

NODE, MIRROR, FOREIGN = "a" * 64, "b" * 64, "c" * 64
TICKS = usage.TICKS


def process(
    pid: int, parent: int, own: float, children: float = 0.0, name: str = "python"
) -> Process:
    return Process(pid, parent, 1, name, own, children)


def test_a_process_is_read_whatever_its_name() -> None:
    fields = ["S", "7", *["0"] * 9, "150", "50", "20", "5", "0", "0", "1", "0", "4242", "0"]
    found = usage.read_process(f"12 (a) b (c) {' '.join(fields)}\n")
    assert found == Process(12, 7, 4242, "a) b (c", 200 / TICKS, 25 / TICKS)


def test_cpu_seconds_of_a_control_group_of_either_version(tmp_path: Path) -> None:
    assert usage.cpu_seconds(tmp_path) is None
    (tmp_path / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 2000000\n")
    assert usage.cpu_seconds(tmp_path) == 2.5
    (tmp_path / "cpuacct.usage").write_text("1500000000\n")
    assert usage.cpu_seconds(tmp_path) == 1.5


def test_what_the_machine_does_is_apart_from_waiting_for_a_disk() -> None:
    stat = "cpu  100 20 30 9999 400 5 6 7 0 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n"
    assert usage.machine_seconds(stat) == (161 / TICKS, 400 / TICKS)


def test_a_machine_that_tells_nothing_or_stands_still_is_quiet(tmp_path: Path) -> None:
    assert usage.others(0.01, tmp_path / "stat") == 0
    (tmp_path / "stat").write_text("cpu  100 20 30 9999 400 5 6 7 0 0\n")
    assert usage.others(0.01, tmp_path / "stat") == 0


def test_interfaces_without_the_loopback() -> None:
    text = (
        "Inter-|   Receive                            |  Transmit\n"
        " face |bytes packets errs drop fifo frame compressed multicast|bytes packets\n"
        "    lo:  99 1 0 0 0 0 0 0 99 1 0 0 0 0 0 0\n"
        "  eth0: 500 1 0 0 0 0 0 0 70 1 0 0 0 0 0 0\n"
    )
    assert usage.interfaces(text) == {"eth0": (500, 70)}


def test_a_child_that_ended_counts_once_whether_it_was_waited_for_or_not() -> None:
    tree = Tree()
    tree.look([process(1, 0, 1.0), process(2, 1, 4.0)])
    tree.look([process(1, 0, 1.0, children=4.0)])
    assert tree.seconds == 5.0
    tree.look([process(1, 0, 1.0, children=4.0), process(3, 1, 2.0)])
    tree.look([])
    assert tree.seconds == 7.0, "both ended between two looks"


def test_a_family_that_ended_counts_once_for_the_ancestor_who_is_left() -> None:
    tree = Tree()
    tree.look([process(1, 0, 1.0), process(2, 1, 0.5), process(3, 2, 4.0)])
    tree.look([process(1, 0, 1.0, children=4.5)])
    assert tree.seconds == 5.5


def test_what_comes_from_elsewhere_and_ends_stays_in_the_sum() -> None:
    tree = Tree()
    tree.look([process(1, 0, 1.0), process(5, 99, 3.0)])
    tree.look([process(1, 0, 2.0)])
    assert tree.seconds == 5.0


def test_a_shim_does_not_inherit_its_container() -> None:
    tree = Tree()
    tree.look([process(1, 0, 0.1, children=50.0)], own_only=True)
    assert tree.seconds == 0.1


class Made:
    """A /proc and a /sys/fs/cgroup; control groups of version 1 have `cpuacct`."""

    def __init__(self, folder: Path, version: int) -> None:
        self.proc, self.groups = folder / "proc", folder / "groups"
        self.tree = self.groups / "cpuacct" if version == 1 else self.groups
        self.tree.mkdir(parents=True)
        (self.proc / "self" / "ns").mkdir(parents=True)
        (self.proc / "self" / "ns" / "pid").symlink_to("pid:[1]")
        self.version = version
        self.machine(0)

    def machine(self, ticks: int, disk: int = 0) -> None:
        (self.proc / "stat").write_text(f"cpu  {ticks} 0 0 0 {disk} 0 0 0 0 0\n")

    def process(
        self,
        pid: int,
        parent: int,
        ticks: int,
        namespace: str = "1",
        name: str = "x",
        command: str = "",
    ) -> None:
        folder = self.proc / str(pid)
        if not folder.exists():
            (folder / "ns").mkdir(parents=True)
            (folder / "ns" / "pid").symlink_to(f"pid:[{namespace}]")
        words = ["S", str(parent), *["0"] * 9, str(ticks), *["0"] * 7, "77", "0"]
        (folder / "stat").write_text(f"{pid} ({name}) {' '.join(words)}")
        (folder / "cmdline").write_text(command)

    def group(self, place: str, seconds: float, pids: list[int]) -> None:
        group = self.tree / place
        group.mkdir(parents=True, exist_ok=True)
        if self.version == 1:
            (group / "cpuacct.usage").write_text(str(int(seconds * 1e9)))
        else:
            (group / "cpu.stat").write_text(f"usage_usec {int(seconds * 1e6)}\n")
        (group / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in pids))

    def network(self, pid: int, **interfaces: tuple[int, int]) -> None:
        (self.proc / str(pid) / "net").mkdir(exist_ok=True)
        lines = [f"{n}: {r} 0 0 0 0 0 0 0 {s} 0\n" for n, (r, s) in interfaces.items()]
        (self.proc / str(pid) / "net" / "dev").write_text("\n\n" + "".join(lines))

    def sampler(self) -> Sampler:
        known = {NODE: Container("node", 100), MIRROR: Container("mirror", 200)}
        return Sampler(known.get, "/run/own", self.proc, self.groups)


@pytest.mark.parametrize("version", [1, 2])
def test_a_nodes_containers_are_told_apart_by_their_namespaces(
    tmp_path: Path, version: int
) -> None:
    made = Made(tmp_path, version)
    place = f"docker/{NODE}" if version == 1 else f"system.slice/docker-{NODE}.scope"
    sampler = made.sampler()
    sampler.look(0.0)
    made.process(100, 1, 0, namespace="2", name="dockerd")
    made.process(101, 100, 3 * TICKS, namespace="3")
    made.group(place, 5.0, [100, 101])
    made.group(f"docker/{FOREIGN}", 100.0, [])
    sampler.look(1.0)
    (tmp_path / "proc" / "101" / "stat").unlink()
    made.group(place, 6.0, [100])
    sampler.look(2.0)
    sums = [sample for _, sample in sampler.samples]
    assert [one["containers"] for one in sums] == [0, 3, 3]
    assert [one["nested"] for one in sums] == [0, 2, 3]


@pytest.mark.parametrize("version", [1, 2])
def test_nested_control_groups_count_where_there_are_some(tmp_path: Path, version: int) -> None:
    made = Made(tmp_path, version)
    sampler = made.sampler()
    sampler.look(0.0)
    made.process(100, 1, 0, namespace="2")
    made.group(f"docker/{NODE}", 5.0, [100])
    made.group(f"docker/{NODE}/docker/{FOREIGN}", 4.0, [])
    sampler.look(1.0)
    _, sums = sampler.samples[-1]
    assert (sums["containers"], sums["nested"]) == (4, 1)


def test_a_node_that_has_ended_keeps_its_seconds(tmp_path: Path) -> None:
    made = Made(tmp_path, 1)
    sampler = made.sampler()
    sampler.look(0.0)
    made.process(100, 1, 0, namespace="2")
    made.group(f"docker/{NODE}", 5.0, [100])
    sampler.look(1.0)
    for file in (made.tree / "docker" / NODE).iterdir():
        file.unlink()
    (made.tree / "docker" / NODE).rmdir()
    sampler.look(2.0)
    assert sampler.samples[-1][1]["nested"] == 5


def test_the_kit_and_the_hosts_engine(tmp_path: Path) -> None:
    made = Made(tmp_path, 1)
    own = os.getpid()

    def all_of(ticks: int) -> None:
        made.process(own, 1, ticks)
        made.process(11, own, ticks)
        # The kit has started its engine; another engine is not its own.
        made.process(12, own, ticks, name="dockerd", command="dockerd\0--exec-root=/run/own/exec")
        made.process(13, 12, ticks, name="containerd", command="containerd\0/run/own/x")
        made.process(14, 1, ticks, name="dockerd", command="dockerd\0--exec-root=/run/other")

    all_of(0)
    sampler = made.sampler()
    sampler.look(0.0)
    all_of(TICKS)
    sampler.look(1.0)
    _, sums = sampler.samples[-1]
    assert sums["kit"] == pytest.approx(2)
    assert sums["dockerd"] == pytest.approx(2)


def test_bytes_of_the_mirror(tmp_path: Path) -> None:
    made = Made(tmp_path, 1)
    made.process(200, 1, 0, namespace="4")
    made.group(f"docker/{MIRROR}", 1.0, [200])
    made.network(200, eth0=(1000, 10))
    sampler = made.sampler()
    sampler.look(0.0)
    made.network(200, eth0=(6000, 20), eth1=(5, 700))
    sampler.look(1.0)
    made.network(200, eth0=(6000, 20), eth1=(1, 300))
    sampler.look(2.0)
    assert [sums["fetched"] for _, sums in sampler.samples] == [0, 5000, 5000]
    assert [sums["served"] for _, sums in sampler.samples] == [0, 700, 1000]


def test_the_machine_waits_while_it_has_little_to_do_and_fetches_nothing(tmp_path: Path) -> None:
    made = Made(tmp_path, 1)
    made.process(200, 1, 0, namespace="4")
    made.group(f"docker/{MIRROR}", 1.0, [200])
    made.network(200, eth0=(0, 0))
    sampler = made.sampler()
    sampler.look(0.0)
    made.machine(TICKS // 10)
    sampler.look(1.0)  # waits
    made.machine(TICKS)
    sampler.look(2.0)  # works
    made.machine(TICKS, disk=TICKS)
    sampler.look(3.0)  # waits for a disk, and no clock
    made.network(200, eth0=(1_000_000, 0))
    sampler.look(4.0)  # fetches
    sampler.look(5.0)  # waits
    assert [sums["waiting"] for _, sums in sampler.samples] == [0, 1, 1, 1, 1, 2]


def test_a_container_that_has_no_process_yet_is_asked_for_again(tmp_path: Path) -> None:
    made = Made(tmp_path, 1)
    made.process(100, 1, 0, namespace="2")
    made.group(f"docker/{NODE}", 1.0, [100])
    answers = [Container(), Container("node", 100)]
    sampler = Sampler(lambda _: answers.pop(0), "", made.proc, made.groups)
    sampler.look(0.0)
    sampler.look(1.0)
    assert sampler.samples[-1][1]["nested"] == 1
    assert answers == []


def test_between_two_samples_sums_grow_evenly() -> None:
    samples = [(1.0, {"kit": 2.0}), (3.0, {"kit": 6.0})]
    times = (0.0, 1.0, 2.0, 3.0, 9.0)
    assert [usage.at(samples, when)["kit"] for when in times] == [2, 2, 4, 6, 6]


def test_this_machine_can_be_looked_at() -> None:
    with Sampler(lambda _: None) as sampler:
        pass
    assert len(sampler.samples) >= 2
    assert sampler.samples[-1][1].keys() == set(usage.SUMS)
