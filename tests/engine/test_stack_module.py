"""A stack on three real nodes: deployed, updated, cut off a node, removed without a rest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from grader.engine.client import Engine
from grader.engine.images.sets import ImageSet
from grader.engine.sandbox import Sandbox
from grader.engine.sandbox_target import SandboxTarget
from grader.modules.stack import Stack
from grader.modules.swarm import Swarm
from grader.waiting import wait_until

pytestmark = pytest.mark.engine

FILE = b"""\
services:
  page:
    image: drydock/demo:1.0
    configs: [{source: note, target: /note}]
    networks: [town]
    deploy:
      replicas: 3
      endpoint_mode: dnsrr
      restart_policy: {delay: 0s}
      update_config: {parallelism: 0}
configs:
  note: {file: ./note}
networks:
  town:
"""


@pytest.fixture(scope="module")
def swarm(engine: Engine, image_set: ImageSet) -> Iterator[Swarm]:
    with Sandbox.create(engine, nodes=3, image_set=image_set.volume) as sandbox:
        made = Swarm(SandboxTarget(sandbox))
        made.form()
        yield made


@pytest.fixture(scope="module")
def stack(swarm: Swarm) -> Stack:
    manager = swarm.target.nodes[0]
    manager.put({"stack.yaml": FILE, "note": b"well\n"}, "/stack")
    return Stack(manager, "fleet", "/stack", "stack.yaml")


def test_it_is_deployed_and_told_of(swarm: Swarm, stack: Stack) -> None:
    assert stack.services() == []
    assert stack.left(swarm.target.nodes) == []
    done = stack.deploy()
    assert done.ok, done.out
    assert wait_until(lambda: swarm.converged("fleet_page"), within=60)
    assert [service.name for service in stack.services()] == ["fleet_page"]
    assert {task.node for task in swarm.tasks("fleet_page")} == {"manager1", "worker1", "worker2"}
    left = stack.left(swarm.target.nodes)
    assert {"service fleet_page", "config fleet_note", "network fleet_town on worker1"} <= set(left)
    assert len([one for one in left if one.startswith("container fleet_page.")]) == 3


def test_the_same_file_changes_nothing(swarm: Swarm, stack: Stack) -> None:
    before = stack.service("page")
    tasks = {task.id for task in swarm.tasks("fleet_page")}
    assert stack.deploy().ok
    after = stack.service("page")
    assert before is not None
    assert after is not None
    assert after.spec == before.spec
    assert {task.id for task in swarm.tasks("fleet_page")} == tasks


def test_a_file_that_is_wrong_is_told(swarm: Swarm) -> None:
    manager = swarm.target.nodes[0]
    manager.put({"bad.yaml": b"services: {a: {image: x, deplay: 1}}\n"}, "/stack")
    done = Stack(manager, "bad", "/stack", "bad.yaml").deploy()
    assert not done.ok
    assert "deplay" in done.out


def test_an_update_is_taken(swarm: Swarm, stack: Stack) -> None:
    assert stack.update("page", "--image", "drydock/demo:2.0").ok

    def completed() -> bool:
        service = swarm.service("fleet_page")
        assert service is not None
        return service.update_state == "completed"

    assert wait_until(completed, within=60)
    assert [t.image for t in swarm.tasks("fleet_page") if t.runs] == ["drydock/demo:2.0"] * 3


def test_a_node_is_cut_off_and_comes_back(swarm: Swarm, stack: Stack) -> None:
    manager, worker, _ = swarm.target.nodes
    done = manager.run(["docker", "swarm", "update", "--dispatcher-heartbeat", "1s"], timeout=20)
    assert done.ok, done.out

    def state() -> str:
        node = swarm.node(worker.name)
        return node.state if node else ""

    running = {c.id for c in worker.docker.containers.list()}
    assert running
    with worker.cut_off():
        assert wait_until(lambda: state() == "down", within=60)
        assert wait_until(lambda: swarm.converged("fleet_page"), within=60)
        assert worker.name not in {t.node for t in swarm.tasks("fleet_page") if t.runs}
    assert worker.docker.ping()
    assert wait_until(lambda: state() == "ready", within=60)


def test_it_is_removed_without_a_rest(swarm: Swarm, stack: Stack) -> None:
    assert stack.remove().ok
    nodes = swarm.target.nodes
    assert wait_until(lambda: not stack.left(nodes), within=60), stack.left(nodes)
