"""What exercises use, read from what an engine says of its containers."""

from __future__ import annotations

from typing import Any

import pytest

from grader.classroom.batch.capacity import MIB, Sample
from grader.classroom.batch.usage_sampler import UsageSampler


class Api:
    """docker-py's low-level client, of an engine whose nodes use what they are told to."""

    def __init__(self) -> None:
        self.nodes: dict[str, tuple[str, float, int]] = {}
        """By ID: run, CPU seconds, bytes."""

    def containers(self, **_options: Any) -> list[dict[str, Any]]:
        return [
            {"Id": name, "Labels": {"drydock.run": run}} for name, (run, *_) in self.nodes.items()
        ]

    def stats(self, node: str, **_options: Any) -> dict[str, Any]:
        _, cpu, memory = self.nodes[node]
        if memory < 0:
            return {"memory_stats": {}, "cpu_stats": {}}
        return {
            "memory_stats": {"usage": memory + 5 * MIB, "stats": {"total_inactive_file": 5 * MIB}},
            "cpu_stats": {"cpu_usage": {"total_usage": int(cpu * 1e9)}},
        }


@pytest.fixture
def sampler() -> UsageSampler:
    return UsageSampler(lambda: None)


def test_a_sandbox_that_is_gone_is_a_sample_of_its_mean_and_its_peak(sampler: UsageSampler) -> None:
    api = Api()
    for second, cpu, memory in ((0, 0, 50), (10, 6, 300), (20, 10, 100)):
        api.nodes = {"a": ("r1", cpu, memory * MIB), "b": ("r1", cpu / 2, 20 * MIB)}
        sampler.look(api, second)
        assert sampler.nodes == 2
        assert sampler.samples == []
    api.nodes = {}
    sampler.look(api, 22)
    assert sampler.samples == [Sample(cpus=(10 + 5) / 20, memory=300 * MIB, disk=0)]
    assert sampler.nodes == 0


def test_one_that_was_hardly_seen_says_nothing(sampler: UsageSampler) -> None:
    api = Api()
    api.nodes = {"a": ("r1", 1, MIB)}
    sampler.look(api, 0)
    sampler.look(api, 2)
    api.nodes = {}
    sampler.look(api, 4)
    assert sampler.samples == []


def test_one_that_just_ended_while_it_was_looked_at_does_no_harm(sampler: UsageSampler) -> None:
    api = Api()
    api.nodes = {"a": ("r1", 1, MIB)}
    sampler.look(api, 0)
    sampler.look(api, 8)
    api.nodes = {"a": ("r1", 0, -1)}
    sampler.look(api, 10)
    api.nodes = {}
    sampler.look(api, 12)
    assert [sample.memory for sample in sampler.samples] == [MIB]
