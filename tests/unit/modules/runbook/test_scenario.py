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
from grader.modules.runbook import scenario as playing
from grader.modules.runbook import vetted
from grader.modules.runbook.scenario import Judge, Ran
from grader.modules.runbook.vetted import Allowed, Part
from grader.nodes.node import Completed
from grader.vetting.commandline import NotAllowed


@dataclass
class Scene(playing.Scene[str]):
    """Knows which words were typed before its step."""

    before: list[str]
    typed: list[str]


class Play(playing.Play[str, Scene]):
    """Types on nothing: a command is its last word."""

    def __init__(self, book: Any, judges: Sequence[Judge[Scene]]) -> None:
        super().__init__(book, judges, self.timed, "laptop$")
        self.typed: list[str] = []
        self.stages: list[str] = []

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        self.stages.append(name)
        yield

    def scene(self, part: Part[str], judges: Sequence[Judge[Scene]]) -> Scene:
        return Scene(part, list(self.typed), self.typed)

    def run(self, allowed: Allowed[str]) -> Ran[str]:
        if allowed.vetted == "nothing":
            return Ran(allowed, None, "it has no value")
        self.typed.append(allowed.vetted)
        code = None if allowed.vetted == "for-ever" else 0
        return Ran(allowed, Completed((), code, "done\n", 0.1))


def vet(words: Sequence[str]) -> str:
    if words[-1] == "evil":
        raise NotAllowed("Evil is not done.", "Be good.")
    return words[-1]


def wants(word: str) -> Any:
    """A judge's decision: this word was typed by now."""

    def decide(scene: Scene) -> None:
        if word not in scene.typed:
            scene.fail(f"There is no {word}.", hint="Type it.")

    return decide


def broken(scene: Scene) -> None:
    raise EngineFault("The engine is gone.")


JUDGES = (
    Judge("one", "first", wants("one")),
    Judge("two", "second", wants("two"), ("one",)),
    Judge("three", "third", wants("three"), ("broken",)),
    Judge("broken", "second", broken),
)


@pytest.fixture
def play(tmp_path: Path) -> Any:
    def made(*steps: tuple[str, str]) -> Play:
        lines = [
            f"# step: {name}\n" + "".join(f"laptop$ {w}\n" for w in words.split())
            for name, words in steps
        ]
        (tmp_path / "runbook.txt").write_text("\n".join(lines), encoding="utf-8")
        return Play(vetted.read(tmp_path, "runbook.txt", ["laptop"], vet), JUDGES)

    return made


def test_it_is_played_no_further_than_a_check_asks_for(play: Any) -> None:
    playing = play(("first", "one"), ("second", "two"), ("third", "three"))
    playing.see("one")
    assert playing.typed == ["one"]
    playing.see("two")
    playing.see("one")
    assert playing.typed == ["one", "two"]
    assert playing.stages == ["commands", "observing"] * 2


def test_the_order_is_the_runbooks(play: Any) -> None:
    playing = play(("second", "two"), ("first", "one two"))
    playing.see("one")
    assert playing.typed == ["two", "one", "two"]
    with pytest.raises(NeedsFirst):
        playing.see("two")


def test_a_step_may_be_repeated_until_it_has_passed_and_keeps_that(play: Any) -> None:
    playing = play(("first", "other"), ("First", "one"), ("first", "other"), ("second", "two"))
    with pytest.raises(CheckFailed, match="There is no one"):
        playing.see("one")
    playing.see("two")
    assert playing.passed("one")
    playing.see("one")


def test_a_missing_step_is_named_and_nothing_is_typed(play: Any) -> None:
    playing = play(("fist", "one"), ("second", "two"))
    with pytest.raises(CheckFailed, match="no step “first”") as caught:
        playing.see("one")
    assert "“fist” may be meant" in (caught.value.hint or "")
    assert playing.typed == []


def test_a_step_without_a_command_says_where_commands_stand(play: Any) -> None:
    with pytest.raises(CheckFailed, match="no command that could be run") as caught:
        play(("first", "")).see("one")
    assert "each behind laptop$" in (caught.value.hint or "")


def test_a_refused_command_is_the_first_hint(play: Any) -> None:
    with pytest.raises(CheckFailed) as caught:
        play(("first", "other evil")).see("one")
    assert caught.value.hint == "Line 3 was not run: Evil is not done. Be good."
    log = caught.value.log or ""
    assert log == "laptop$ other\ndone\n\nline 3, not run: Evil is not done."


def test_the_log_says_what_did_not_end_and_what_was_not_run(play: Any) -> None:
    with pytest.raises(CheckFailed) as caught:
        play(("first", "for-ever nothing")).see("one")
    log = caught.value.log or ""
    assert "for-ever\ndone\n(it did not end, and was stopped)" in log
    assert "nothing\n(not run: it has no value)" in log


def test_what_waits_for_a_check_that_broke_breaks_with_it(play: Any) -> None:
    """A fault of the grader is told as such, not as something the student has to do first."""
    playing = play(("first", "one"), ("second", "two"), ("third", "three"))
    with pytest.raises(EngineFault, match="The engine is gone"):
        playing.see("three")
