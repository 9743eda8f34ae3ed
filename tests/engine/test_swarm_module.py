"""A swarm of three real nodes as its managers and its nodes tell of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from grader.engine.client import Engine
from grader.engine.sandbox import Sandbox
from grader.engine.sandbox_target import SandboxTarget
from grader.modules.swarm import TASK_HISTORY, NoManager, Swarm
from grader.waiting import wait_until

pytestmark = [pytest.mark.engine, pytest.mark.smoke]

NAMES = ["manager1", "worker1", "worker2"]
WITHIN = 60


@pytest.fixture(scope="module")
def apart(engine: Engine, image_set: Any) -> Iterator[Swarm]:
    """Three nodes of which none is in a swarm."""
    with Sandbox.create(engine, nodes=3, image_set=image_set.volume) as sandbox:
        yield Swarm(SandboxTarget(sandbox))


@pytest.fixture(scope="module")
def swarm(apart: Swarm) -> Swarm:
    assert apart.member(apart.target.nodes[0]).state == "inactive"
    with pytest.raises(NoManager):
        apart.nodes()
    apart.form()
    return apart


def docker(swarm: Swarm, *words: str) -> str:
    done = swarm.target.nodes[0].run(["docker", *words], timeout=2 * WITHIN)
    assert done.ok, done.out
    return done.out


@pytest.fixture(scope="module")
def app(swarm: Swarm) -> str:
    """A service of three tasks, without the stability wait of `docker service create`."""
    create = ["service", "create", "--detach", "--no-resolve-image", "--endpoint-mode", "dnsrr"]
    publish = ["--publish", "mode=host,published=8080,target=80"]
    docker(swarm, *create, *publish, "--name", "app", "--replicas", "3", "drydock/demo:1.0")
    assert wait_until(lambda: swarm.converged("app"), within=WITHIN)
    return "app"


def test_managers_name_their_nodes(swarm: Swarm) -> None:
    nodes = swarm.nodes()
    assert [(n.name, n.role, n.availability, n.state) for n in nodes] == [
        ("manager1", "manager", "active", "ready"),
        ("worker1", "worker", "active", "ready"),
        ("worker2", "worker", "active", "ready"),
    ]
    assert [node.leader for node in nodes] == [True, False, False]
    assert [node.address for node in nodes] == [node.address for node in swarm.target.nodes]
    assert nodes[0].in_words == "manager1: manager, leader, active, ready"


def test_each_node_tells_of_its_part(swarm: Swarm) -> None:
    members = [swarm.member(node) for node in swarm.target.nodes]
    assert [member.manager for member in members] == [True, False, False]
    assert {member.state for member in members} == {"active"}
    assert [member.node_id for member in members] == [node.id for node in swarm.nodes()]


def test_tokens_differ_by_role(swarm: Swarm) -> None:
    worker, manager = swarm.join_token("worker"), swarm.join_token("manager")
    assert worker.startswith("SWMTKN-")
    assert manager.startswith("SWMTKN-")
    assert worker != manager


def test_ended_tasks_are_kept(swarm: Swarm) -> None:
    said = swarm.manager().docker.api.inspect_swarm()
    assert said["Spec"]["Orchestration"]["TaskHistoryRetentionLimit"] == TASK_HISTORY


def test_a_service_and_its_tasks_are_plain_data(swarm: Swarm, app: str) -> None:
    service = swarm.service(app)
    assert service is not None
    assert (service.image, service.mode, service.replicas) == ("drydock/demo:1.0", "replicated", 3)
    (port,) = service.ports
    assert (port.published, port.target, port.mode) == (8080, 80, "host")
    tasks = swarm.tasks(app)
    assert [task.slot for task in tasks] == [1, 2, 3]
    assert sorted(task.node for task in tasks) == NAMES
    assert all(task.runs for task in tasks)


def test_a_service_is_known_by_its_whole_name(swarm: Swarm, app: str) -> None:
    assert swarm.service("ap") is None
    assert swarm.tasks("ap") == []
    assert not swarm.converged("ap")


def test_the_nodes_own_engines_have_the_containers(swarm: Swarm, app: str) -> None:
    found = swarm.containers(app)
    assert {name: len(containers) for name, containers in found.items()} == dict.fromkeys(NAMES, 1)


def test_more_than_fit_has_not_converged_whatever_number_was_asked_for(
    swarm: Swarm, app: str
) -> None:
    """Each node has its port 8080 once: the fourth task waits."""
    docker(swarm, "service", "scale", "--detach", f"{app}=4")
    assert wait_until(lambda: len(swarm.tasks(app, current=True)) == 4, within=WITHIN)
    service = swarm.service(app)
    assert service is not None
    assert service.replicas == 4
    assert not swarm.converged(app)
    waiting = [task for task in swarm.tasks(app) if not task.runs]
    assert [task.state for task in waiting] == ["pending"]
    assert wait_until(lambda: any(t.fits_nowhere for t in swarm.tasks(app)), within=WITHIN)
    assert [task.slot for task in swarm.tasks(app) if task.fits_nowhere] == [waiting[0].slot]
    docker(swarm, "service", "scale", "--detach", f"{app}=3")
    assert wait_until(lambda: swarm.converged(app), within=WITHIN)


def test_a_promoted_worker_answers_too(swarm: Swarm, app: str) -> None:
    docker(swarm, "node", "promote", "worker1")
    worker = swarm.target.nodes[1]
    assert wait_until(lambda: swarm.member(worker).manager, within=WITHIN)
    node = swarm.node("worker1")
    assert node is not None
    assert node.role == "manager"
    docker(swarm, "node", "demote", "worker1")
    assert wait_until(lambda: not swarm.member(worker).manager, within=WITHIN)


def test_a_drained_node_keeps_no_container(swarm: Swarm, app: str) -> None:
    docker(swarm, "node", "update", "--availability", "drain", "worker2")
    assert wait_until(lambda: not swarm.containers(app)["worker2"], within=WITHIN)
    node = swarm.node("worker2")
    assert node is not None
    assert node.availability == "drain"
    assert all(task.node != "worker2" for task in swarm.tasks(app) if task.meant_to_run)
    docker(swarm, "node", "update", "--availability", "active", "worker2")
    assert wait_until(lambda: swarm.converged(app), within=WITHIN)
