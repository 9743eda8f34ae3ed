"""The first run on an engine: an exercise is graded as soon as the images that it needs are there.

The images of the first exercise are made first, as a set of their own (a *part*). That exercise,
and each one that needs no other images, is graded from it while the whole set is made. The others
wait.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path, PurePosixPath
from threading import Event
from typing import TYPE_CHECKING

from grader.engine import images
from grader.engine.images import catalogue
from grader.errors import Stopped
from grader.files.submitted_path import read_below
from grader.grading.exercise import FREE, Admission, Free
from grader.grading.progress import Progress
from grader.lab.model import Exercise, Lab
from grader.modules import packages, probe
from grader.submission import files as submission
from grader.targets import providers
from grader.targets.providers import Provider, Sandboxes

if TYPE_CHECKING:
    from grader.engine.client import Engine
    from grader.engine.images import ImageSet
    from grader.engine.images.catalogue import Catalogue


def provide(
    engine_url: str | None, lab: Lab, workspace: Path, exercises: Sequence[Exercise]
) -> Provider:
    """Sandboxes for these exercises of a workspace; on an engine without images a FirstRun."""

    def sandboxes(engine: Engine) -> Sandboxes:
        if not images.none(engine):
            # Those of a run that was killed.
            images.remove_parts(engine)
            return Sandboxes(engine, images.ensure(engine))
        needs = {exercise.id: needed(lab, exercise, workspace) for exercise in exercises}
        part = needs[exercises[0].id]
        image_set = images.ensure(engine, only=part)
        return FirstRun(engine, image_set, needs) if part.is_part else Sandboxes(engine, image_set)

    return providers.provide_targets(engine_url, sandboxes)


def needed(lab: Lab, exercise: Exercise, workspace: Path) -> Catalogue:
    """The part of the catalogue with all images that grading the exercise may use.

    These are the images that lab.yaml allows, those that the kit's own containers run, and those
    that the submission's files or the exercise's checks mention anywhere: an image too many costs
    some seconds, a missing one could change the result.
    """
    entries = catalogue.load()
    if not {*exercise.images} <= {*entries.tags}:
        return entries
    checks = lab.folder / "checks"
    texts = [
        path.read_bytes() for path in (*checks.glob("*.py"), *(checks / exercise.id).rglob("*.py"))
    ]
    uses_probe = any(probe.__name__.encode() in text for text in texts)
    for name in submission.read(workspace, exercise.folders).files:
        with contextlib.suppress(OSError):  # Then it is not graded either.
            texts.append(read_below(workspace, PurePosixPath(name), submission.MAX_BYTES))
    wanted = {*exercise.images, *(image for image, _ in packages.SOURCES.values())}
    if uses_probe:
        wanted.add(probe.IMAGE)
    for text in texts:
        wanted |= entries.mentioned(text.decode("utf-8", errors="replace"))
    return entries.part(wanted)


class FirstRun(Sandboxes, Free):
    """Gives sandboxes with a part of the image set until the whole set is there.

    It is also the admission of its exercises. `needs` {exercise: part of the catalogue}.
    """

    def __init__(self, engine: Engine, part: ImageSet, needs: Mapping[str, Catalogue]) -> None:
        super().__init__(engine, part)
        self._needs = needs
        self._whole: Future[ImageSet] | None = None
        self._progress = Progress()
        self._latest = ""

    def missing(self, exercise: Exercise) -> list[str]:
        """The images that the exercise needs and the part does not have, by name."""
        return [
            name for name in self._needs[exercise.id].names if name not in self.image_set.images
        ]

    @contextlib.contextmanager
    def making(self, progress: Progress) -> Iterator[None]:
        """Make the whole set while the block runs, if an exercise needs it; then remove the part.

        A block that fails ends that work; the next run continues it.
        """
        self._progress = progress
        stop = Event()
        with ThreadPoolExecutor(1) as pool:
            if any({*part.names} - {*self.image_set.images} for part in self._needs.values()):
                self._whole = pool.submit(images.ensure, self.engine, stop=stop, told=self._tell)
            try:
                yield
            except BaseException:
                stop.set()
                raise
        if self._whole is not None and self._whole.exception() is None:
            images.remove_parts(self.engine)

    def _tell(self, line: str) -> None:
        self._latest = line

    @contextlib.contextmanager
    def sandbox(self, exercise: Exercise, student: str, stop: Event) -> Iterator[None]:
        """Wait until a set that holds the exercise's images is there; see Admission."""
        names = self.missing(exercise)
        if names and self._whole is not None:
            self._progress.waiting(exercise, f"the images: {', '.join(names)}")
            while wait([self._whole], timeout=0.5).not_done:
                if stop.is_set():
                    raise Stopped
                self._progress.doing(exercise, self._latest)
        yield

    def set_for(self, exercise: Exercise) -> ImageSet:
        if self._whole is None:
            return self.image_set
        # What went wrong while the whole set was made is raised here, unless the part is enough.
        if self.missing(exercise) or (self._whole.done() and self._whole.exception() is None):
            return self._whole.result()
        return self.image_set


@contextlib.contextmanager
def making(provider: Provider, progress: Progress) -> Iterator[Admission]:
    """Let a FirstRun make its images while the block runs; yields who admits the exercises."""
    if not isinstance(provider, FirstRun):
        yield FREE
        return
    with provider.making(progress):
        yield provider
