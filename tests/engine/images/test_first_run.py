"""On an engine without images an exercise is graded before the whole set is there."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grader import record
from grader.engine import images
from grader.engine.images import catalogue
from grader.grading import first_run, submission
from grader.grading.first_run import FirstRun
from grader.grading.progress import Progress
from grader.lab import labfile
from grader.lab.model import Exercise
from grader.waiting import wait_until
from tests.engine.images.recipes import Recipes, built, volumes
from tests.unit import toy_lab

pytestmark = pytest.mark.engine

STUDENT = "s1234567"
CHECKS = '''
from grader.checks import check, fail


@check(points=2)
def check_runs(node, submission):
    """The image that the file names can be run."""
    image = (submission / "{name}/image.txt").read_text(encoding="utf-8").strip()
    done = node.run(["docker", "run", "--rm", image, "/bin/cat", "/note"], timeout=60)
    if not done.ok:
        fail("It does not run.", actual=done.out)


@check(points=1)
def check_says(node, submission):
    """It says that it is the second."""
    image = (submission / "{name}/image.txt").read_text(encoding="utf-8").strip()
    said = node.run(["docker", "run", "--rm", image, "/bin/cat", "/note"], timeout=60).out
    if said != "second":
        fail("It says something else.", actual=said)
'''


@pytest.fixture
def request_(tmp_path: Path, engine: Any, recipes: Recipes) -> submission.Request:
    """Exercise `words` needs image one, `numbers` image two."""
    lab = toy_lab.make(tmp_path)
    file = lab.folder / "lab.yaml"
    text = file.read_text(encoding="utf-8").replace("points: 2", "points: 3")
    text = text.replace("[a]", '["one:1"]', 1).replace("[a]", '["two:1"]')
    file.write_text(text, encoding="utf-8")
    workspace = tmp_path / "workspace"
    for name, image in (("words", "one:1"), ("numbers", "two:1")):
        checks = lab.folder / "checks" / name / f"check_{name}.py"
        checks.write_text(CHECKS.replace("{name}", name), encoding="utf-8")
        (workspace / name).mkdir(parents=True)
        (workspace / name / "image.txt").write_text(f"{image}\n", encoding="utf-8")
    out = tmp_path / "results" / "record.json"
    lab = labfile.load(lab.folder)
    return submission.Request(lab, STUDENT, workspace, out, engine_url=engine.url)


class Followed:
    """What a run tells, in order; `then` {event: what to do at it, in the thread that tells it}."""

    def __init__(self, **then: Callable[[], object]) -> None:
        self.events: list[str] = []
        self.doing = ""
        self._then = then
        self.progress = Progress(
            waiting=lambda exercise, what: self._note(f"{exercise.id}_waits", what),
            started=lambda exercise: self._note(f"{exercise.id}_starts"),
            doing=self._doing,
            finished=lambda result: self._note(f"{result.id}_ends"),
        )

    def _doing(self, _exercise: Exercise, what: str) -> None:
        self.doing = what

    def _note(self, event: str, what: str = "") -> None:
        self.events.append(f"{event} {what}".strip())
        self._then.get(event, lambda: None)()


def grade(request: submission.Request, provider: Any, followed: Followed) -> record.Record:
    planned = submission.plan(request)
    with first_run.making(provider, followed.progress) as admission:
        return submission.grade(
            request, planned, provider, followed.progress, submission.Stop(), admission
        )


def provided(request: submission.Request) -> Any:
    return submission.provide(request, submission.plan(request).to_run)


@contextlib.contextmanager
def no_set_is_made() -> Iterator[Callable[[], None]]:
    """Yields a function that lets sets be made again."""
    with contextlib.ExitStack() as held:
        held.enter_context(images.locked())
        yield held.close


def without_times(found: record.Record) -> Any:
    def plain(part: Any) -> Any:
        if isinstance(part, dict):
            times = ("seconds", "graded_at", "started", "finished")
            return {key: plain(value) for key, value in part.items() if key not in times}
        return [plain(item) for item in part] if isinstance(part, list | tuple) else part

    return json.loads(json.dumps(plain(dataclasses.asdict(found)), default=str))


def test_the_first_exercise_is_graded_before_the_whole_set_is_there(
    engine: Any, request_: submission.Request, capsys: pytest.CaptureFixture[str]
) -> None:
    provider = provided(request_)
    assert isinstance(provider, FirstRun)
    assert built(capsys.readouterr().err) == ["one:1"]
    assert images.none(engine)
    with no_set_is_made() as release:
        followed = Followed(words_ends=release)
        found = grade(request_, provider, followed)
    assert sorted(followed.events[:2]) == ["numbers_waits the images: two", "words_starts"]
    assert followed.events[2:] == ["words_ends", "numbers_starts", "numbers_ends"]
    assert built(capsys.readouterr().err) == ["two:1"]
    whole = images.find(engine)
    assert whole is not None
    assert volumes(engine) == {whole.volume, f"{whole.volume}-complete"}, "the part is removed"

    again = dataclasses.replace(request_, fresh=True)
    provider = provided(again)
    assert not isinstance(provider, FirstRun)
    assert without_times(found) == without_times(grade(again, provider, Followed()))
    assert (found.score, found.max_score) == (5, 6)


def test_an_exercise_that_needs_no_more_makes_no_more(
    engine: Any, request_: submission.Request
) -> None:
    alone = dataclasses.replace(request_, exercises=["words"])
    grade(alone, provided(alone), Followed())
    assert images.none(engine)
    other = dataclasses.replace(request_, exercises=["numbers"])
    found = grade(other, provided(other), Followed())
    assert found.score == 5


def test_what_was_stopped_leaves_no_sandbox_and_goes_on(
    engine: Any,
    request_: submission.Request,
    recipes: Recipes,
    left: Callable[[], set[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = left()
    recipes.write("two/Dockerfile", 'FROM one:1\nRUN ["/bin/sleep", "600"]\n')

    def press() -> None:
        assert wait_until(lambda: "sleep" in followed.doing, within=120), "it is being built"
        raise KeyboardInterrupt

    followed = Followed(words_ends=press)
    with pytest.raises(KeyboardInterrupt):
        grade(request_, provided(request_), followed)
    assert followed.events[-1] == "words_ends"
    assert left() == before
    assert images.none(engine)
    kept = record.load(request_.record_file)
    assert kept is not None
    assert [exercise.id for exercise in kept.exercises] == ["words"]

    recipes.write("two/Dockerfile", "FROM one:1\nCOPY note /note\n")
    capsys.readouterr()
    grade(request_, provided(request_), Followed())
    assert built(capsys.readouterr().err) == ["two:1"], "the first image is there"
    whole = images.find(engine)
    assert whole is not None
    assert volumes(engine) == {whole.volume, f"{whole.volume}-complete"}


def test_an_image_that_only_the_submission_names_is_there(
    engine: Any, request_: submission.Request
) -> None:
    file = request_.workspace / "words" / "image.txt"
    file.write_text("two:1\n", encoding="utf-8")
    part = first_run.needed(request_.lab, request_.lab.exercises[0], request_.workspace)
    assert part.names == ("one", "two")
    assert catalogue.load().names == ("one", "two", "same")
    found = grade(request_, provided(request_), Followed())
    assert [check.outcome for check in found.checks] == ["passed"] * 4
