"""Where exercises run: new sandboxes, or existing machines or engines."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from grader.console import say
from grader.errors import EngineFault, KitError, NoEngine
from grader.lab.model import Exercise
from grader.record import Unavailable

if TYPE_CHECKING:
    from grader.engine.client import Engine
    from grader.engine.images import ImageSet
    from grader.nodes.node import Target


class Provider(Protocol):
    """Gives a target for one exercise of one submission, and takes it away again."""

    unavailable: Unavailable | None

    def target(
        self, exercise: Exercise, student: str
    ) -> contextlib.AbstractContextManager[Target]: ...


class Sandboxes:
    """Targets that are made for one exercise and thrown away.

    `timeout_factor` is how many times the usual time their checks get: an emulated machine is slow.
    """

    unavailable: Unavailable | None = None
    timeout_factor: float = 1.0

    def __init__(self, engine: Engine, image_set: ImageSet, limits: Any = None) -> None:
        self.engine = engine
        self.image_set = image_set
        self.limits = limits

    def set_for(self, exercise: Exercise) -> ImageSet:
        """The image set for the exercise's sandbox."""
        return self.image_set

    @contextmanager
    def target(self, exercise: Exercise, student: str) -> Iterator[Target]:
        from grader.engine.sandbox import Sandbox
        from grader.engine.sandbox_target import SandboxTarget

        sandbox = Sandbox.create(
            self.engine,
            nodes=exercise.nodes,
            submission=student,
            image_set=self.set_for(exercise).volume,
            **({"limits": self.limits} if self.limits else {}),
        )
        try:
            yield SandboxTarget(sandbox, timeout_factor=self.timeout_factor)
        finally:
            sandbox.remove()


class NoTargets:
    """There is no engine: checks that need one are not graded, the others are."""

    unavailable: Unavailable | None

    def __init__(self, error: KitError) -> None:
        self.error = error
        self.unavailable = Unavailable("engine", error.what, error.remedy)

    def target(self, exercise: Exercise, student: str) -> contextlib.AbstractContextManager[Target]:
        raise self.error


class Machines:
    """Someone's own machines: found once, and used by one exercise at a time.

    `read_only` looks at what runs there; otherwise the machines are given up to the exercise.
    """

    unavailable: Unavailable | None = None

    def __init__(self, kind: str, options: dict[str, Any], *, read_only: bool) -> None:
        from grader import machines

        self.source = machines.provider(kind, **options)
        self.read_only = read_only
        self._turn = threading.Lock()

    @contextmanager
    def target(self, exercise: Exercise, student: str) -> Iterator[Target]:
        with self._turn:
            target = self.source.target(exercise.nodes, read_only=self.read_only)
            try:
                # Exercises that need a clean target ask for it (`Target.prepare`).
                yield target
            finally:
                target.close()


Pulse = Callable[[], object]


class Local:
    """The student's own engine, as it is: each exercise looks at what runs of it there."""

    unavailable: Unavailable | None = None

    def __init__(self, engine: Engine, workspace: Path) -> None:
        self.engine = engine
        self.workspace = workspace.resolve()

    @contextmanager
    def target(self, exercise: Exercise, student: str) -> Iterator[Target]:
        from grader.targets.local import LocalTarget

        target = LocalTarget(self.engine, self.workspace)
        try:
            yield target
        finally:
            target.close()

    def pulse(self) -> object:
        """What changes when a Compose project of that engine does: its containers' states.

        None where the engine does not answer just now.
        """
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        from grader.modules.compose_projects import states

        try:
            with contextlib.closing(self.engine.client(timeout=10)) as client:
                return states(client)
        except (DockerException, RequestException):
            return None


def provide_local(engine_url: str | None, workspace: Path) -> Provider:
    """The student's own engine, found as their docker command finds it; none is started."""
    from grader.engine import user_engine

    try:
        return Local(user_engine.find_personal(engine_url), workspace)
    except (NoEngine, EngineFault) as error:
        return NoTargets(error)


def provide_targets(
    engine_url: str | None, sandboxes: Callable[[Engine], Sandboxes] | None = None
) -> Provider:
    """Find or start the engine and see that the image set is there, saying what is done.

    `sandboxes` decides otherwise which images have to be there.
    """
    from grader.engine import find

    try:
        return (sandboxes or _sandboxes)(find.ensure(engine_url))
    except (NoEngine, EngineFault) as error:
        return NoTargets(error)


def provide_for_class(engine_url: str | None, trust: bool = False) -> Provider:
    """As `provide_targets`, for submissions of strangers: root in a sandbox is not root here.

    Where the engine that is found does not remap users, the kit's own one is taken instead, if it
    may be started. KitError where there is none, unless `trust` says that it does not matter.
    """
    from grader.engine import find, packages

    try:
        engine = find.ensure(engine_url)
        if not trust and engine.isolation != "userns":
            where = f"{engine.version} at {engine.url}"
            if engine_url is not None or not packages.may_be_root():
                raise _weak(where)
            say(
                f"The engine {where} does not remap users, so the class is graded on the kit's "
                f"own engine."
            )
            engine = find.ensure(find.EMBEDDED)
        return _sandboxes(engine)
    except (NoEngine, EngineFault) as error:
        return NoTargets(error)


def _sandboxes(engine: Engine) -> Sandboxes:
    from grader.engine import images

    return Sandboxes(engine, images.ensure(engine))


def _weak(where: str) -> KitError:
    return KitError(
        "This engine does not remap users: a submission that breaks out of its sandbox is root on"
        " this machine.",
        where=where,
        remedy="Grade on Linux as root (or with sudo) with --engine embedded, or in a virtual"
        " machine that holds nothing else. If you trust every submission, add --trust.",
    )
