"""A runbook that is played: what is decided when, and by what, without an engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from grader.checks import CheckFailed, NeedsFirst
from grader.errors import EngineFault
from grader.modules.runbook import scenario as scenarios
from grader.modules.runbook import vetted
from grader.modules.runbook.scenario import Ran, StepCheck, step_check
from grader.modules.runbook.vetted import Allowed, Part
from grader.nodes.node import Completed
from grader.vetting.refusal import Refusal


@dataclass
class Scene(scenarios.Scene[str]):
    """Knows which words were typed before its step."""

    before: list[str]
    typed: list[str]


class Scenario(scenarios.Scenario[str, Scene]):
    """Types on nothing: a command is its last word."""

    def __init__(self, book: Any, checks: Sequence[StepCheck[Scene]]) -> None:
        super().__init__(book, checks, self.timed, "laptop$")
        self.typed: list[str] = []
        self.stages: list[str] = []

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        self.stages.append(name)
        yield

    def scene(self, part: Part[str], checks: Sequence[StepCheck[Scene]]) -> Scene:
        return Scene(part, list(self.typed), self.typed)

    def run(self, allowed: Allowed[str]) -> Ran[str]:
        if allowed.vetted == "nothing":
            return Ran(allowed, None, "it has no value")
        self.typed.append(allowed.vetted)
        code = None if allowed.vetted == "for-ever" else 0
        return Ran(allowed, Completed((), code, "done\n", 0.1))


def vet(words: Sequence[str]) -> str:
    if words[-1] == "evil":
        raise Refusal("Evil is not done.", "Be good.")
    return words[-1]


def wants(word: str) -> Any:
    """A check's decision: this word was typed by now."""

    def decide(scene: Scene) -> None:
        if word not in scene.typed:
            scene.fail(f"There is no {word}.", hint="Type it.")

    return decide


def broken(scene: Scene) -> None:
    raise EngineFault("The engine is gone.")


CHECKS = (
    StepCheck("one", "first", wants("one")),
    StepCheck("two", "second", wants("two"), ("one",)),
    StepCheck("three", "third", wants("three"), ("broken",)),
    StepCheck("broken", "second", broken),
)


@pytest.fixture
def play(tmp_path: Path) -> Any:
    def made(*steps: tuple[str, str]) -> Scenario:
        lines = [
            f"# step: {name}\n" + "".join(f"laptop$ {w}\n" for w in words.split())
            for name, words in steps
        ]
        (tmp_path / "runbook.txt").write_text("\n".join(lines), encoding="utf-8")
        return Scenario(vetted.read(tmp_path, "runbook.txt", ["laptop"], vet), CHECKS)

    return made


def test_it_is_played_no_further_than_a_check_asks_for(play: Any) -> None:
    scenario = play(("first", "one"), ("second", "two"), ("third", "three"))
    scenario.verdict("one")
    assert scenario.typed == ["one"]
    scenario.verdict("two")
    scenario.verdict("one")
    assert scenario.typed == ["one", "two"]
    assert scenario.stages == ["commands", "observing"] * 2


def test_the_order_is_the_runbooks(play: Any) -> None:
    scenario = play(("second", "two"), ("first", "one two"))
    scenario.verdict("one")
    assert scenario.typed == ["two", "one", "two"]
    with pytest.raises(NeedsFirst):
        scenario.verdict("two")


def test_a_step_may_be_repeated_until_it_has_passed_and_keeps_that(play: Any) -> None:
    scenario = play(("first", "other"), ("First", "one"), ("first", "other"), ("second", "two"))
    with pytest.raises(CheckFailed, match="There is no one"):
        scenario.verdict("one")
    scenario.verdict("two")
    assert scenario.passed("one")
    scenario.verdict("one")


def test_a_missing_step_is_named_and_nothing_is_typed(play: Any) -> None:
    scenario = play(("fist", "one"), ("second", "two"))
    with pytest.raises(CheckFailed, match="no step “first”") as caught:
        scenario.verdict("one")
    assert "“fist” may be meant" in (caught.value.hint or "")
    assert scenario.typed == []


def test_a_step_without_a_command_says_where_commands_stand(play: Any) -> None:
    with pytest.raises(CheckFailed, match="no command that could be run") as caught:
        play(("first", "")).verdict("one")
    assert "each after laptop$" in (caught.value.hint or "")


def test_a_refused_command_is_the_first_hint(play: Any) -> None:
    with pytest.raises(CheckFailed) as caught:
        play(("first", "other evil")).verdict("one")
    assert caught.value.hint == "Line 3 was not run: Evil is not done. Be good."
    log = caught.value.log or ""
    assert log == "laptop$ other\ndone\n\nline 3, not run: Evil is not done."


def test_the_log_says_what_did_not_end_and_what_was_not_run(play: Any) -> None:
    with pytest.raises(CheckFailed) as caught:
        play(("first", "for-ever nothing")).verdict("one")
    log = caught.value.log or ""
    assert "for-ever\ndone\n(it did not end, and was stopped)" in log
    assert "nothing\n(not run: it has no value)" in log


def test_what_waits_for_a_check_that_broke_breaks_with_it(play: Any) -> None:
    """A fault of the grader is told as such, not as something the student has to do first."""
    scenario = play(("first", "one"), ("second", "two"), ("third", "three"))
    with pytest.raises(EngineFault, match="The engine is gone"):
        scenario.verdict("three")


def test_a_step_check_is_a_check_that_asks_the_scenario() -> None:
    @step_check("first", points=2, needs=["one"], change="more")
    def check_two(scene: Scene) -> None:
        """Two: it was typed."""
        raise AssertionError("it is the scenario that decides")

    made: Any = check_two
    assert (made.__name__, made.__doc__) == ("check_two", "Two: it was typed.")
    assert made.check_spec.points == 2
    found = made.step_check
    assert (found.check, found.step, found.needs) == ("two", "first", ("one",))
    assert found.options == {"change": "more"}
    asked: list[str] = []

    class Known:
        verdict = staticmethod(asked.append)

    made(Known)
    assert asked == ["two"]
