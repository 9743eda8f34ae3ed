"""A worker of a cluster: grades submissions that a batch on another machine sends it.

The unit of work is one submission. It arrives as text (JSON) and bytes (a tar file of ordinary
files), and the result returns as text, so neither side must trust objects of the other. A worker
stores nothing; the batch writes the records.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import os
import platform
import secrets
import shutil
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from grader import paths, record
from grader.classroom.batch import lock
from grader.classroom.batch.job import Job
from grader.classroom.batch.local_executor import LocalExecutor
from grader.console import say
from grader.errors import KitError
from grader.grading import submission
from grader.grading.exercise import Stopped
from grader.lab import labfile
from grader.submission.files import MAX_BYTES, MAX_FILES
from grader.targets import providers

ATTEMPTS = 2
"""How often a submission is graded here if the engine was not healthy during grading."""

LOOPBACK = "127.0.0.1:0"
"""No one else needs Dask's own web pages."""

DEATHS = 1
"""A submission may stop one worker; if it stops a second, it is set aside."""

UNANSWERED = (OSError, ValueError, RuntimeError, TypeError, asyncio.TimeoutError)
"""What Dask raises, in its versions, if there is no scheduler, or no longer one."""


@dataclass
class Place:
    """What this process grades with; `work` makes it before the first submission arrives."""

    here: LocalExecutor
    folder: Path
    lock: threading.Lock = field(default_factory=threading.Lock)


_place: Place | None = None


def pack(workspace: Path, names: list[str]) -> bytes:
    """A tar file of these files, relative to the workspace. Raises KitError if it is too large."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in names:
            path = workspace / name
            member = tarfile.TarInfo(name)
            content = path.read_bytes()
            member.size = len(content)
            member.mode = 0o755 if os.access(path, os.X_OK) else 0o644
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def unpack(files: bytes, folder: Path, most_bytes: int, most_files: int) -> None:
    """The inverse of `pack`. It trusts no content: it writes only ordinary files below `folder`."""
    taken = 0
    with tarfile.open(fileobj=io.BytesIO(files), mode="r:") as tar:
        for number, member in enumerate(tar):
            path = PurePosixPath(member.name)
            taken += member.size
            if not member.isreg() or path.is_absolute() or ".." in path.parts:
                raise KitError(f"{member.name!r} is not a file of a submission.")
            if taken > most_bytes or number >= most_files:
                raise KitError("This is too large for a submission.")
            content = tar.extractfile(member)
            assert content is not None
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.read())
            target.chmod(0o755 if member.mode & 0o100 else 0o644)


def order(job: Job, lab: str) -> tuple[str, list[str]]:
    """The message that tells `grade` about a job, and the workspace files that it needs (see
    `pack`).

    `lab` is how the worker finds the lab.
    """
    planned = job.planned
    told = {
        "kit": submission.kit_digest(),
        "lab": lab,
        "student": job.student,
        "exercises": [exercise.id for exercise in planned.to_run],
        "keys": {exercise.id: planned.keys[exercise.id] for exercise in planned.to_run},
    }
    return json.dumps(told), sorted({n for files in planned.files.values() for n in files.files})


def grade(job: str, files: bytes) -> str:
    """The unit of work: JSON of {"record": …}, or of {"refused": why} or {"stopped": true}."""
    assert _place is not None, "this process is not a worker of the kit"
    try:
        return json.dumps(_grade(json.loads(job), files, _place), ensure_ascii=False)
    except Stopped:
        return json.dumps({"stopped": True})
    except (KitError, OSError) as error:
        return json.dumps({"refused": f"{platform.node()}: {error}"})


def _grade(job: dict[str, Any], files: bytes, place: Place) -> dict[str, Any]:
    if job["kit"] != submission.kit_digest():
        raise KitError(OTHER_KIT)
    lab = labfile.load(str(job["lab"]))
    student = lab.check_student(str(job["student"]))
    with tempfile.TemporaryDirectory(dir=place.folder, ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        many = len(lab.exercises)
        unpack(files, root / "submission", MAX_BYTES * many, MAX_FILES * many)
        request = submission.Request(
            lab=lab,
            student=student,
            workspace=root / "submission",
            record_file=root / "record.json",
            exercises=[str(exercise) for exercise in job["exercises"]],
            jobs=many,
            fresh=True,
            scratch=root,
        )
        request.workspace.mkdir(exist_ok=True)
        planned = submission.plan(request)
        if planned.keys != job["keys"]:
            raise KitError(OTHER_KIT)
        for attempt in range(1, ATTEMPTS + 1):
            found, ill = _follow(place, Job(request, planned, rank=0))
            if found.gradable or not ill or attempt == ATTEMPTS:
                break
    say(f"{student}: {'graded' if found.gradable else 'not gradable'}")
    return {"record": found.to_json()}


OTHER_KIT = "This worker has another version of the kit, the lab or the image set than the batch."


def _follow(place: Place, job: Job) -> tuple[record.Record, bool]:
    """Grade, and check the engine if something fails. Returns (record, was the engine
    unhealthy)."""
    future = place.here.submit(job)
    ill = False
    while not future.done():
        for event in place.here.events(0.3):
            if event.result is not None and not event.result.gradable:
                with place.lock:
                    trouble = place.here.ill()
                    if trouble is not None:
                        ill = True
                        say(f"{trouble.what} {trouble.remedy}")
                        place.here.recover(trouble)
                    place.here.go_on()
    return future.result(), ill or place.here.ill() is not None


def end() -> None:
    """Stop everything that this worker is grading (called through the cluster, and when it
    stops)."""
    if _place is not None:
        _place.here.end()


def kit() -> str:
    """The version of this worker's kit."""
    return submission.kit_digest()


def work(address: str, jobs: int | None, engine_url: str | None, trust: bool = False) -> None:
    """Run a worker of the scheduler at `address` until the scheduler ends or Ctrl-C."""
    distributed = load()
    security(address, "worker")  # Before an engine is started for nothing.
    with ready(engine_url, jobs, trust) as place:
        asyncio.run(_serve(distributed, address, place.here.width, place.folder))


@contextlib.contextmanager
def ready(engine_url: str | None, jobs: int | None, trust: bool = False) -> Iterator[Place]:
    """Prepare an engine and its images, so that `grade` can be called in this process."""
    global _place
    provider = providers.provide_for_class(engine_url, trust)
    if provider.unavailable is not None:
        raise supply_error(provider)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(_own_folder(paths.data_dir() / "workers"))
        widest = [exercise for name in labfile.names() for exercise in labfile.load(name).exercises]
        here = stack.enter_context(LocalExecutor(provider, widest, folder, jobs))
        say(here.decision.because)
        _place = Place(here, folder)
        yield _place


@contextlib.contextmanager
def _own_folder(parent: Path) -> Iterator[Path]:
    """A folder for this worker, removed at its end. Folders of killed workers are removed, too."""
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.iterdir():
        with contextlib.suppress(KitError), lock.hold(left):
            shutil.rmtree(left, ignore_errors=True)
    folder = parent / secrets.token_hex(5)
    with lock.hold(folder) as scratch:
        yield scratch
    shutil.rmtree(folder, ignore_errors=True)


def supply_error(provider: providers.Provider) -> KitError:
    assert provider.unavailable is not None
    error = KitError(provider.unavailable.reason, remedy=provider.unavailable.remedy)
    error.exit_code = 3
    return error


async def _serve(distributed: Any, address: str, threads: int, folder: Path) -> None:
    try:
        worker = await distributed.Worker(
            address,
            nthreads=threads,
            name=f"{platform.node()}-{os.getpid()}",
            security=security(address, "worker"),
            local_directory=str(folder),
            # Submissions are weighed by the kit; the objects that Dask could weigh are small.
            memory_limit=0,
            dashboard_address=LOOPBACK,
            death_timeout=60,
        )
    except UNANSWERED as error:
        raise unreachable(address, error) from None
    say(f"Grading for {address} ({threads} submissions at once). Ctrl-C ends it.")
    try:
        await worker.finished()
        say("The scheduler has ended.")
    finally:
        end()
        await worker.close(timeout=60)


def schedule(address: str) -> None:
    """Run the scheduler that listens at `address` until Ctrl-C."""
    distributed = load()
    import dask

    keys = security(address, "scheduler")

    async def serve() -> None:
        with dask.config.set({"distributed.scheduler.allowed-failures": DEATHS}):
            try:
                scheduler = await distributed.Scheduler(
                    host=address, security=keys, dashboard_address=LOOPBACK
                )
            except (OSError, ValueError, RuntimeError, TypeError) as error:
                raise KitError(f"Nothing can listen there: {error}", where=address) from None
            say(f"Scheduler at {scheduler.address}: workers and batches connect there.")
            await scheduler.finished()

    asyncio.run(serve())


def load() -> Any:
    """Dask's module. Raises KitError if it is not installed."""
    try:
        import distributed
    except ImportError:
        raise KitError(
            "Grading on several machines needs Dask, which is not installed.",
            remedy="python -m pip install -e '.[cluster]' (the nox sessions do it themselves).",
        ) from None
    # What it says of itself is for people who look after Dask.
    logging.getLogger("distributed").setLevel(logging.WARNING)
    return distributed


def security(address: str, role: str) -> Any:
    """Keys and certificates from Dask's own settings; `role` is what this process is.

    Raises KitError if the address needs them and none are named, or they cannot be used.
    """
    remedy = (
        "Name files in DASK_DISTRIBUTED__COMM__TLS__CA_FILE,"
        f" …__TLS__{role.upper()}__CERT and …__TLS__{role.upper()}__KEY, or in Dask's own"
        " configuration (distributed.comm.tls). On one machine tcp:// needs none."
    )
    made = load().Security()
    if address.startswith("tls:"):
        try:
            context = made.get_connection_args(role)["ssl_context"]
        except (OSError, ValueError, TypeError) as error:
            raise KitError(
                f"The keys for tls:// cannot be used: {error}", where=address, remedy=remedy
            ) from None
        if context is None:
            raise KitError("tls:// needs keys, and none are named.", where=address, remedy=remedy)
    return made


def unreachable(address: str, error: BaseException) -> KitError:
    trouble = KitError(
        f"No scheduler answers at {address} ({str(error).strip() or type(error).__name__}).",
        remedy="Start one: nox -s worker -- ADDRESS --scheduler. With tls:// all sides need keys.",
    )
    trouble.exit_code = 3
    return trouble
