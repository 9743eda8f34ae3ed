"""Traces: there and back, and how looks at an engine become one."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from grader import paths
from grader.modules.rollout.observe import Observed, epoch, terms
from grader.modules.rollout.requests import read_answer
from grader.modules.rollout.trace import Trace, version_of
from tests.unit import made_trace as made

NAMES = sorted(file.stem for file in made.RECORDED.glob("*.json"))


def schema_of_rollout() -> dict[str, Any]:
    schema = json.loads((paths.KIT / "docs" / "record.schema.json").read_text(encoding="utf-8"))
    return {**schema["$defs"]["rollout"], "$defs": schema["$defs"]}


@pytest.mark.parametrize("name", NAMES)
def test_recorded_trace_comes_back_and_is_what_the_schema_says(name: str) -> None:
    text = (made.RECORDED / f"{name}.json").read_text(encoding="utf-8")
    trace = Trace.from_json(json.loads(text))
    assert json.loads(json.dumps(trace.to_json())) == json.loads(text)
    jsonschema.validate(json.loads(text), schema_of_rollout())


def test_made_trace_comes_back() -> None:
    trace = made.good()
    assert Trace.from_json(json.loads(json.dumps(trace.to_json()))) == trace


def test_there_are_traces_of_everything_that_was_tried() -> None:
    wanted = {"update", "stop_first", "automatic", "manual", "set_again", "failover"}
    assert wanted <= set(NAMES)


def raw_task(state: str, desired: str = "running", **other: Any) -> dict[str, Any]:
    return {
        "ID": "t1",
        "Slot": 1,
        "NodeID": "n1",
        "CreatedAt": "5",
        "UpdatedAt": "5",
        "Spec": {"ContainerSpec": {"Image": "registry:5000/app:2.0@sha256:00"}},
        "Status": {"State": state},
        "DesiredState": desired,
        **other,
    }


def test_a_change_lies_between_the_looks_around_it() -> None:
    seen = Observed(0.1)
    seen.look(4.8, 4.85, None, [], float)
    seen.look(5.0, 5.05, None, [raw_task("assigned")], float)
    seen.look(5.1, 5.15, None, [raw_task("running", UpdatedAt="5.12")], float)
    (task,) = seen.tasks()
    assert (task.created, task.version) == (5.0, "2.0")
    first, second = task.changes
    assert (first.state, first.after, first.by) == ("assigned", 5.0, 5.0)
    assert (second.state, second.after, second.by) == ("running", 5.0, 5.12)
    assert seen.gaps == []


def test_a_late_look_is_a_gap() -> None:
    seen = Observed(0.1)
    for asked in (0.0, 0.1, 0.9):
        seen.look(asked, asked + 0.01, None, [], float)
    assert [tuple(gap) for gap in seen.gaps] == [(0.1, 0.91)]


def test_what_was_over_before_is_left_out_and_what_vanishes_is_removed() -> None:
    seen = Observed(0.1)
    over = raw_task("shutdown", "shutdown", ID="t0")
    seen.look(5.0, 5.1, None, [over, raw_task("running")], float)
    seen.look(5.2, 5.3, None, [], float)
    (task,) = seen.tasks()
    assert [change.state for change in task.changes] == ["running", "remove"]


def test_time_stamps_of_the_engine() -> None:
    assert epoch("2026-11-24T06:51:20.457886348Z") == pytest.approx(1795503080.457886)
    assert epoch("2026-11-24T07:51:20+01:00") == 1795503080
    with pytest.raises(ValueError, match="yesterday"):
        epoch("yesterday")


def test_defaults_of_the_engine_are_filled_in() -> None:
    spec = {"TaskTemplate": {"ContainerSpec": {"Image": "a:1"}}, "Mode": {"Global": {}}}
    bare = terms({"Spec": spec}, 0.0)
    assert (bare.parallelism, bare.delay, bare.order, bare.monitor) == (1, 0.0, "stop-first", 5.0)
    assert (bare.failure_action, bare.replicas, bare.health_check) == ("pause", 0, False)
    config = {"Parallelism": 0, "Delay": 2_500_000_000, "Order": "start-first"}
    full = terms({"Spec": {**spec, "UpdateConfig": config}}, 0.0, image_checks=True)
    assert (full.parallelism, full.delay, full.order) == (0, 2.5, "start-first")
    assert full.health_check


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("app", "latest"),
        ("app:2.0", "2.0"),
        ("registry:5000/app", "latest"),
        ("registry:5000/x/app:2.0@sha256:0011", "2.0"),
    ],
)
def test_version_is_the_tag(image: str, version: str) -> None:
    assert version_of(image) == version


def test_answers_tell_version_and_host() -> None:
    assert read_answer({}, "version 2.0 host a1b2\n") == ("2.0", "a1b2")
    assert read_answer({}, '{"version": "2.0", "host": "a1b2"}') == ("2.0", "a1b2")
    assert read_answer({"x-version": "3.0"}, "hello") == ("3.0", "")
    assert read_answer({}, "hello") == ("", "")
