"""How much is graded side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.classroom.batch import machine
from grader.classroom.batch.capacity import (
    FIRST,
    GIB,
    MIB,
    Machine,
    Need,
    Sample,
    decide,
    learn,
    next_step,
)

LAPTOP = Machine(cpus=8, memory=12 * GIB, disk=100 * GIB, networks=200)
NEED = Need(cpus=0.5, memory=400 * MIB, disk=400 * MIB)


def test_processors_are_the_limit_where_there_is_room() -> None:
    large = Machine(cpus=2, memory=64 * GIB, disk=100 * GIB, networks=200)
    found = decide(large, NEED, widest=3)
    assert found.side_by_side == 3
    assert "2 CPUs" in found.because


def test_memory_is_the_limit_where_there_is_little() -> None:
    small = Machine(cpus=16, memory=4 * GIB, disk=100 * GIB, networks=200)
    found = decide(small, NEED, widest=3)
    assert (found.side_by_side, found.nodes) == (2, 7)
    assert "memory" in found.because


def test_disk_and_networks_are_limits_too() -> None:
    assert "disk" in decide(Machine(64, 64 * GIB, 4 * GIB, 200), NEED, widest=1).because
    found = decide(Machine(64, 256 * GIB, 999 * GIB, 5), NEED, widest=1)
    assert found.side_by_side == 4
    assert "networks" in found.because


def test_one_exercise_is_always_let_in() -> None:
    found = decide(Machine(0.5, 100 * MIB, 0, 0), NEED, widest=3)
    assert (found.side_by_side, found.nodes) == (1, 3)
    assert found.because.startswith("1 exercise side by side")


def test_the_tutors_number_is_kept_to() -> None:
    found = decide(LAPTOP, NEED, widest=3, wanted=20)
    assert found.side_by_side == 20
    assert found.nodes >= 60
    assert "--jobs" in found.because


def test_the_tutors_number_takes_no_disk_that_is_not_there() -> None:
    small = Machine(cpus=8, memory=64 * GIB, disk=22 * GIB, networks=200)
    found = decide(small, Need(cpus=0.5, memory=400 * MIB, disk=5 * GIB), widest=3, wanted=20)
    assert (found.side_by_side, found.nodes) == (20, 4)
    assert "limited by the disk: 4 nodes" in found.because
    tiny = Machine(cpus=8, memory=64 * GIB, disk=1 * GIB, networks=200)
    found = decide(tiny, Need(cpus=0.5, memory=400 * MIB, disk=5 * GIB), widest=3, wanted=20)
    assert found.nodes == 3, "one exercise is always let in"


def test_disk_that_is_promised_to_nodes_of_the_batch_is_not_asked_for_again() -> None:
    need = Need(cpus=0.1, memory=100 * MIB, disk=5 * GIB)
    found = decide(Machine(64, 256 * GIB, 2 * GIB, 200), need, widest=3, used=9)
    assert (found.side_by_side, found.nodes) == (3, 9)
    assert "5120 MiB a node" in found.because


def test_what_the_batch_uses_already_is_not_counted_against_it() -> None:
    busy = Machine(64, 1 * GIB, 100 * GIB, 200)
    assert decide(busy, NEED, widest=1, used=5).side_by_side == 5


@pytest.mark.parametrize("count", [1, 4, 50])
def test_what_is_measured_replaces_the_estimate_by_and_by(count: int) -> None:
    found = learn(FIRST, [Sample(cpus=0.1, memory=900 * MIB, disk=50 * MIB)] * count)
    assert 0.1 < found.cpus < FIRST.cpus
    assert found.memory == 900 * MIB
    assert found.samples == count
    if count == 50:
        assert found.cpus == pytest.approx(0.1, abs=0.05)


def test_the_first_ones_to_end_do_not_lower_the_estimate_of_memory() -> None:
    assert learn(FIRST, [Sample(0.2, 60 * MIB)]).memory == FIRST.memory


def test_one_large_node_in_twenty_is_not_everybodys_need() -> None:
    samples = [Sample(0.3, 200 * MIB)] * 19 + [Sample(0.3, 3000 * MIB)]
    assert learn(FIRST, samples).memory == 200 * MIB


def test_nothing_measured_says_that_it_is_an_estimate() -> None:
    assert learn(FIRST, []) == FIRST
    assert "an estimate at first" in decide(LAPTOP, FIRST, widest=1).because
    learnt = learn(FIRST, [Sample(0.3, 200 * MIB)] * 7)
    assert "measured on 7 exercises" in decide(LAPTOP, learnt, widest=1).because


def test_free_memory_is_what_the_system_says_less_what_its_group_may_not(tmp_path: Path) -> None:
    proc = tmp_path / "meminfo"
    proc.write_text("MemTotal: 9000000 kB\nMemAvailable: 4000000 kB\n", encoding="utf-8")
    assert machine.free_memory(proc, tmp_path) == 4000000 * 1024
    (tmp_path / "memory.max").write_text("max\n", encoding="utf-8")
    (tmp_path / "memory.current").write_text("5\n", encoding="utf-8")
    assert machine.free_memory(proc, tmp_path) == 4000000 * 1024
    (tmp_path / "memory.max").write_text(f"{GIB}\n", encoding="utf-8")
    assert machine.free_memory(proc, tmp_path) == GIB - 5


def test_this_machine_can_be_read(tmp_path: Path) -> None:
    found = machine.read(None, tmp_path / "not" / "there")
    assert found.cpus > 0
    assert found.memory > 0
    assert found.disk > 0


def test_it_goes_down_at_once_and_up_one_by_one() -> None:
    assert next_step(wanted=2, now=6, idle=0.5) == 2
    assert next_step(wanted=6, now=2, idle=0.5) == 3
    assert next_step(wanted=6, now=2, idle=None) == 3


def test_on_a_busy_machine_nobody_more_is_let_in() -> None:
    assert next_step(wanted=18, now=3, idle=0.02) == 3
    assert next_step(wanted=2, now=3, idle=0.02) == 2


def test_idle_processors_are_those_between_two_looks(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 1 1 1\n", encoding="utf-8")
    idle = machine.Idle(stat)
    assert idle.share() is None
    stat.write_text("cpu  900 0 250 1000 50 0 0 0 700 0\n", encoding="utf-8")
    assert idle.share() == pytest.approx(250 / 1200)
    stat.write_text("cpu  910 0 250 1000 50 0 0 0 700 0\n", encoding="utf-8")
    assert idle.share() == pytest.approx(250 / 1200), "too short a time to say anything else"
    assert machine.Idle(tmp_path / "not there").share() is None
