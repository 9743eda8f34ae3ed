"""The recorder on a real swarm of one node: an update is seen whole, at little cost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from grader.engine.client import Engine
from grader.engine.sandbox import Sandbox
from grader.engine.sandbox_target import SandboxTarget
from grader.modules.rollout import Recorder, proofs
from grader.modules.rollout.trace import Trace
from grader.modules.rollout.updates import batches

pytestmark = [pytest.mark.engine, pytest.mark.smoke]

WITHIN = 120


@pytest.fixture(scope="module")
def target(engine: Engine, image_set: Any) -> Iterator[SandboxTarget]:
    with Sandbox.create(engine, nodes=1, image_set=image_set.volume) as sandbox:
        target = SandboxTarget(sandbox)
        node = target.nodes[0]
        node.docker.swarm.init(advertise_addr=node.address)
        yield target


def docker(target: SandboxTarget, *words: str) -> None:
    done = target.nodes[0].run(["docker", *words], timeout=WITHIN)
    assert done.ok, done.out


@pytest.fixture(scope="module")
def recorded(target: SandboxTarget) -> tuple[Trace, float]:
    """An update of three replicas, one at a time; and the CPU's share that it cost."""
    docker(target, "network", "create", "-d", "overlay", "back")
    update = ["--update-delay", "1s", "--update-order", "stop-first", "--update-monitor", "1s"]
    service = ["--name", "app", "--replicas", "3", "--network", "back", "--no-resolve-image"]
    quick = ["--endpoint-mode", "dnsrr", "--stop-grace-period", "1s"]
    health = ["--health-cmd", "curl --fail --silent http://127.0.0.1/health"]
    health += ["--health-interval", "500ms"]
    docker(target, "service", "create", *service, *quick, *health, *update, "drydock/demo:1.0")
    docker(
        *(target, "service", "create", "--name", "other", "--no-resolve-image"),
        *("--endpoint-mode", "dnsrr", "--publish", "mode=host,published=8080,target=80"),
        "drydock/demo:1.0",
    )
    port = {"manager1": 8080}
    began = time.process_time()
    with Recorder(target.nodes, "app", title="1.0 to 2.0", ports=port) as recorder:
        recorder.mark("docker service update")
        change = ["--detach", "--no-resolve-image", "--image", "drydock/demo:2.0", "app"]
        docker(target, "service", "update", *change)
        assert recorder.until(recorder.settled, within=WITHIN)
    spent = time.process_time() - began
    return recorder.trace, spent / recorder.trace.seconds


def test_an_update_is_seen_whole(recorded: tuple[Trace, float]) -> None:
    trace, _ = recorded
    assert [batch.rows for batch in batches(trace)] == sorted(
        ((row,) for row in "123"), key=lambda rows: _begun(trace, rows[0])
    )
    assert proofs.final_version_and_count(trace, "2.0", 3).ok is True
    assert proofs.parallelism_kept(trace, 1).ok is True
    assert proofs.delay_kept(trace, 1.0).ok is not False
    assert proofs.order_kept(trace, "start-first").ok is False
    assert proofs.never_below(trace, 3).ok is False
    assert [status.state for status in trace.statuses][-2:] == ["updating", "completed"]
    assert [(spec.version, spec.delay, spec.order) for spec in trace.specs] == [
        ("1.0", 1.0, "stop-first"),
        ("2.0", 1.0, "stop-first"),
    ]
    assert all(spec.health_check for spec in trace.specs)


def _begun(trace: Trace, row: str) -> float:
    return max(task.created for task in trace.tasks if task.row == row)


def test_health_checks_and_events_are_heard(recorded: tuple[Trace, float]) -> None:
    trace, _ = recorded
    new = [task for task in trace.tasks if task.version == "2.0"]
    assert [task.health[0].verdict for task in new] == ["healthy"] * 3
    assert any("updatestate.new completed" in event.text for event in trace.events)


def test_requests_are_sent_and_read_and_bounded(recorded: tuple[Trace, float]) -> None:
    trace, _ = recorded
    (requests,) = trace.requests
    assert 5 < len(requests.sent) <= trace.seconds / requests.every + 1
    assert {(one.status, one.version) for one in requests.sent} == {(200, "1.0")}
    assert all(one.host for one in requests.sent)


def test_it_costs_little(recorded: tuple[Trace, float]) -> None:
    _, share = recorded
    assert share < 0.5, "of one CPU, ten looks and twenty requests a second"


def test_it_comes_back_from_json(recorded: tuple[Trace, float]) -> None:
    trace, _ = recorded
    assert Trace.from_json(trace.to_json()) == trace
