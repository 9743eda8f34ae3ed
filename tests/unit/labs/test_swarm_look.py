"""What a student's own swarm proves of steps that were typed by hand."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from grader.modules.service import Service

NUMBERS = {"count": 4, "scaled_up": 6, "scaled_down": 2}
SPEC = {"ContainerSpec": {"Image": "alpine:3"}}


@pytest.fixture(scope="module")
def checks() -> Any:
    """Gives modules of the lab's checks by name."""
    return lambda name: importlib.import_module(f"labs.lab4.checks.{name}")


def service(now: int | None, before: int | None = None, state: str = "") -> Service:
    """A service that has a number of tasks, and had another one (None: it was never changed)."""

    def spec(number: int | None) -> dict[str, Any]:
        mode = {"Global": {}} if number is None else {"Replicated": {"Replicas": number}}
        return {"Name": "otter", "Mode": mode}

    return Service(
        {
            "Spec": spec(now),
            "PreviousSpec": None if before is None else spec(before),
            "UpdateStatus": {"State": state},
        }
    )


@pytest.mark.parametrize(
    ("now", "before", "reached", "wrong"),
    [
        (4, None, "count", ""),
        (6, 4, "scaled_up", ""),
        (2, 6, "scaled_down", ""),
        (4, 6, "count", ""),
        (6, 6, "scaled_up", ""),  # Something else was changed last.
        (2, 4, "scaled_down", ""),
        (6, None, "", "count"),  # It was made with that many.
        (3, None, "", "count"),
        (9, 4, "", "scaled_up"),
        (5, 4, "", "scaled_up"),
        (5, 6, "", "scaled_down"),
        (1, 6, "", "scaled_down"),
        (3, 4, "", "scaled_down"),
    ],
)
def test_which_number_of_tasks_stands(
    checks: Any, now: int, before: int | None, reached: str, wrong: str
) -> None:
    live = checks("swarm.look")
    assert live.standing(service(now, before), NUMBERS) == (reached, wrong)


def test_a_global_service_has_no_number(checks: Any) -> None:
    assert checks("swarm.look").standing(service(None), NUMBERS) == ("", "count")


def test_a_rollback_forgets_what_was_before(checks: Any) -> None:
    changed = service(6, None, "rollback_completed")
    assert checks("swarm.look").standing(changed, NUMBERS) == ("scaled_up", "")


def task(slot: int, node: str, state: str, spec: Any = SPEC) -> dict[str, Any]:
    desired = "running" if state == "running" else "shutdown"
    return {
        "ServiceID": "s",
        "Slot": slot,
        "NodeID": node,
        "DesiredState": desired,
        "Status": {"State": state},
        "Spec": spec,
    }


def test_a_task_that_had_to_leave_its_node_shows_that_it_was_drained(checks: Any) -> None:
    moved_off = checks("swarm.look").moved_off
    there, elsewhere = task(1, "w1", "shutdown"), task(1, "m1", "running")
    assert moved_off([there, elsewhere], "w1")
    assert not moved_off([there, elsewhere], "w2"), "another node"
    assert not moved_off([there, task(2, "m1", "running")], "w1"), "another slot"
    assert not moved_off([there, task(1, "w1", "running")], "w1"), "it was started again there"
    assert not moved_off([task(1, "w1", "failed"), elsewhere], "w1"), "it ended by itself"


def test_a_task_that_an_update_replaced_shows_nothing(checks: Any) -> None:
    newer = task(1, "m1", "running", {"ContainerSpec": {"Image": "alpine:3"}, "ForceUpdate": 1})
    assert not checks("swarm.look").moved_off([task(1, "w1", "shutdown"), newer], "w1")


def test_what_cannot_be_seen_says_what_would_show_it(checks: Any) -> None:
    found = vars(checks("swarm.check_swarm")).values()
    steps = [each.step_check for each in found if hasattr(each, "step_check")]
    unseen = {each.check for each in steps if isinstance(each.read_only, str)}
    assert unseen == {"demoted", "removed"}
    assert all(each.read_only for each in steps), (
        "each says how it is looked at, or why it cannot be"
    )
