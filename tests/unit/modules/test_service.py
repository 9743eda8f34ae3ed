"""When a service has converged: the docker CLI's rule on made tasks."""

from __future__ import annotations

from typing import Any

from grader.modules.service import Service, Task, by_slot, has_converged, task

ACTIVE = {"n1", "n2", "n3"}


def service(replicas: int | None) -> Service:
    mode: dict[str, Any] = {"Global": {}}
    if replicas is not None:
        mode = {"Replicated": {"Replicas": replicas}}
    return Service({"ID": "s", "Spec": {"Name": "app", "Mode": mode}})


def made(slot: int, state: str, desired: str = "running", node: str = "n1", name: str = "") -> Task:
    return task(
        {
            "ID": name or f"{slot}{state}{desired}{node}",
            "Slot": slot,
            "NodeID": node,
            "DesiredState": desired,
            "Status": {"State": state},
        },
        {"n1": "manager1", "n2": "worker1", "n3": "worker2"},
    )


def test_as_many_slots_as_asked_for_run() -> None:
    tasks = [made(1, "running"), made(2, "running", node="n2")]
    assert has_converged(service(2), tasks, ACTIVE)
    assert not has_converged(service(3), tasks, ACTIVE)
    assert not has_converged(service(1), tasks, ACTIVE)


def test_a_task_that_only_starts_or_has_ended_does_not_count() -> None:
    for state in ("preparing", "starting", "failed", "complete", "shutdown"):
        assert not has_converged(service(1), [made(1, state)], ACTIVE), state


def test_a_running_task_that_is_to_stop_does_not_count() -> None:
    assert not has_converged(service(1), [made(1, "running", "shutdown")], ACTIVE)
    assert has_converged(service(0), [made(1, "running", "remove")], ACTIVE)


def test_a_task_on_a_node_that_is_down_does_not_count_although_it_is_reported_running() -> None:
    tasks = [made(1, "running"), made(2, "running", node="n4")]
    assert not has_converged(service(2), tasks, ACTIVE)
    tasks.append(made(2, "running", node="n3"))
    assert has_converged(service(2), tasks, ACTIVE)


def test_of_a_slots_tasks_the_one_that_is_least_far_counts() -> None:
    old, new = made(1, "running"), made(1, "starting", node="n2")
    assert by_slot([old, new], ACTIVE)[1] == new
    assert by_slot([new, old], ACTIVE)[1] == new
    assert not has_converged(service(1), [old, new], ACTIVE)


def test_ended_ones_before_it_do_not_matter() -> None:
    tasks = [made(1, "failed", "shutdown"), made(1, "running", node="n2")]
    assert has_converged(service(1), tasks, ACTIVE)


def test_states_that_the_cli_does_not_know_are_passed_over() -> None:
    tasks = [made(1, "running"), made(1, "orphaned"), made(1, "dreaming")]
    assert has_converged(service(1), tasks, ACTIVE)


def test_a_global_service_runs_on_every_node_that_has_a_task() -> None:
    tasks = [made(0, "running", node=n) for n in ("n1", "n2")]
    assert has_converged(service(None), tasks, ACTIVE)
    assert not has_converged(service(None), [*tasks, made(0, "starting", node="n3")], ACTIVE)
    assert not has_converged(service(None), [], ACTIVE)
    assert not has_converged(service(None), [made(0, "running", node="n4")], ACTIVE)
