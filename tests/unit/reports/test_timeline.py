"""Pictures and words of rollouts: whole, safe, and telling what is in the trace."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from grader import cli, record
from grader.modules.rollout import proofs
from grader.modules.rollout.trace import Event, Proof, Trace
from grader.reports import feedback, rollout_words, timeline
from tests.unit import made_trace as made
from tests.unit import sample_record as sample
from tests.unit.modules.rollout.test_trace import NAMES

HOSTILE = "<script>alert(1)</script>\u202e&\"'"


def with_rollouts(*traces: Trace) -> record.Record:
    whole = sample.typical()
    rollouts = tuple(trace.to_json() for trace in traces)
    last = dataclasses.replace(whole.exercises[-1], rollouts=rollouts)
    return dataclasses.replace(whole, exercises=(*whole.exercises[:-1], last))


def drawn(trace: Trace) -> timeline.Drawn:
    found = timeline.drawn(trace.to_json(), "r")
    assert found is not None
    return found


@pytest.mark.parametrize("name", NAMES)
def test_pictures_are_well_formed_and_inside_their_box(name: str) -> None:
    for picture in drawn(made.recorded(name)).pictures:
        root = ElementTree.fromstring(str(picture))
        width, height = map(float, root.attrib["viewBox"].split()[2:])
        for box in root.iter("rect"):
            x, y = float(box.attrib["x"]), float(box.attrib["y"])
            assert -0.1 <= x <= width
            assert x + float(box.attrib["width"]) <= width + 2.1
            assert -0.1 <= y <= height
            assert float(box.attrib["height"]) >= 0
        for text in root.iter("text"):
            assert 0 <= float(text.attrib["x"]) <= width
            assert 0 <= float(text.attrib["y"]) <= height


@pytest.mark.parametrize("name", NAMES)
def test_text_tells_every_slot_and_the_summary(name: str) -> None:
    trace = made.recorded(name)
    lines = rollout_words.lines(trace)
    assert rollout_words.summary(trace) in lines
    assert sum(line.startswith("slot ") for line in lines) == 4


def test_every_bar_of_a_task_that_counted_is_there() -> None:
    trace = made.good()
    picture = str(drawn(trace).pictures[0])
    assert len(re.findall(r'class="ro-v0"[^>]*height="15"', picture)) == 4
    assert len(re.findall(r'class="ro-v1"[^>]*height="15"', picture)) == 4


def test_a_broken_promise_has_a_letter_and_a_band() -> None:
    trace = made.recorded("stop_first")
    broken = proofs.never_below(trace, 4)
    kept = proofs.final_version_and_count(trace, "2.0", 4)
    found = drawn(dataclasses.replace(trace, proofs=(kept, broken)))
    assert found.letters == {1: "A"}
    assert 'class="ro-broken"' in found.pictures[0]
    assert 'class="ro-broken"' not in drawn(trace).pictures[0]
    assert any("broken (at " in line for line in found.lines)


def test_hostile_words_stay_words() -> None:
    trace = made.good()
    tasks = (dataclasses.replace(trace.tasks[0], node=HOSTILE, image=f"a:{HOSTILE}"),)
    proof = Proof("x", False, HOSTILE, HOSTILE, 1.0)
    evil = dataclasses.replace(
        trace,
        title=HOSTILE,
        tasks=(*tasks, *trace.tasks[1:]),
        events=(Event(1.0, "mark", HOSTILE),),
        proofs=(proof,),
    )
    page = feedback.render(with_rollouts(evil))
    assert "<script" not in page
    assert "\u202e" not in page
    for picture in drawn(evil).pictures:
        ElementTree.fromstring(str(picture))


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        [],
        {**made.good().to_json(), "seconds": float("nan")},
        {**made.good().to_json(), "seconds": -1},
        {**made.good().to_json(), "tasks": [{}]},
        {**made.good().to_json(), "gaps": [[1]]},
        {**made.good().to_json(), "requests": [{"node": "x"}]},
    ],
    ids=str,
)
def test_what_is_no_trace_is_not_drawn(data: Any) -> None:
    assert timeline.drawn(data, "r") is None


def test_page_holds_each_rollout_and_ids_are_unique() -> None:
    page = feedback.render(with_rollouts(made.recorded("update"), made.recorded("failover")))
    assert page.count('<figure class="rollout"') == 2
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for named in re.findall(r'aria-labelledby="([^"]+)"', page):
        assert named in ids


def test_same_record_gives_the_same_page() -> None:
    one = with_rollouts(made.recorded("automatic"))
    assert feedback.render(one) == feedback.render(one)


def test_report_prints_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "record.json"
    record.save(with_rollouts(made.recorded("automatic")), file)
    assert cli.main(["report", str(file), "--rollout"]) == 0
    told = capsys.readouterr().out
    assert "the swarm rolled it back by itself" in told
    page = tmp_path / "rollouts.html"
    assert told.rstrip().endswith(str(page))
    assert page.read_text(encoding="utf-8").count('<svg class="ro ro-') == 2


def test_report_says_that_there_is_no_rollout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "record.json"
    record.save(sample.typical(), file)
    assert cli.main(["report", str(file), "--rollout"]) == 2
    assert "no recorded rollout" in capsys.readouterr().err
