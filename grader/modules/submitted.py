"""A submission's compose file or stack on a node: resolved there, vetted, and only then run.

    file = vetting.compose.read(Path("counter"), "counter")
    placed = place_compose(node, Path("counter"), "counter", file, {"redis:7", "python:3.11"})
    placed.project.up().ok  # True

The node resolves the file with its own Compose, in an empty environment. The result is compared
with the allow-list (grader.vetting.resolved), and `up` and `deploy` get only that document. On a
sandbox's node every path in it is pinned first: a container's later changes to its folder cannot
lead another container out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from grader.errors import EngineFault, Refused
from grader.files.submitted_path import kind_below, read_below
from grader.modules.compose import ComposeProject
from grader.modules.confined import confined
from grader.vetting import dockerfile, resolved
from grader.vetting.compose import ComposeFile, Service
from grader.vetting.stack import StackFile

if TYPE_CHECKING:
    from grader.nodes.node import Completed, Node

ROOT = "/drydock"
"""The folder on the node with submitted folders."""
VETTED = f"{ROOT}/.vetted"
"""The folder with documents and Dockerfiles that run; no container can reach it."""
PINNED = f"{ROOT}/.pinned"

DOCUMENT = "compose.json"
CONFIG_SECONDS = 60
MAX_DOCKERFILE = 256 * 1024
"""The limit for a Dockerfile in bytes."""
NO_PROGRAM = 127


@dataclass(frozen=True)
class PlacedCompose:
    """A compose application on a node. `file` is Compose's reading of it."""

    project: ComposeProject
    file: ComposeFile
    unreadable: Completed | None = None
    """What Compose said, where it cannot read the file: then there is nothing to run."""
    read_again: Callable[[], Completed | None] = lambda: None
    """Lets Compose read the files of `env_file:` as they are now, as each `up` does: a container
    may have changed them. What Compose said, where it cannot any more. Raises Refused."""


def dockerfiles(folder: Path, file: ComposeFile, allowed: Collection[str]) -> dict[str, bytes]:
    """The Dockerfiles that a compose file builds, by path, as they are built.

    Their `# syntax=` lines are removed, because the engine would pull an image for them. Raises
    Refused if one uses an image that is not in `allowed`, or cannot be read.
    """
    found: dict[str, bytes] = {}
    for service in file.entries:
        build = service.build
        if build is None:
            continue
        if build.dockerfile is None:
            text, name = build.inline or "", f"build of {service.name}"
        else:
            name = build.dockerfile.as_posix()
            text = _dockerfile(folder, build.dockerfile, service)
        vetted = dockerfile.vet(text, allowed, build.args)
        if vetted.problems:
            problem = vetted.problems[0]
            place = f"{folder.name}/{name}" + (f", line {problem.line}" if problem.line else "")
            raise Refused(problem.reason, where=place, remedy=problem.hint)
        if build.dockerfile is None and vetted.text != text:
            raise Refused(
                "The Dockerfile in the compose file has a `# syntax=` line, and the engine would "
                "fetch an image for it.",
                where=service.where("build", "dockerfile_inline"),
                remedy="Remove the line: nothing here needs it.",
            )
        if build.dockerfile is not None:
            found[name] = vetted.text.encode("utf-8")
    return found


def _dockerfile(folder: Path, path: PurePosixPath, service: Service) -> str:
    try:
        raw = read_below(folder, path, MAX_DOCKERFILE)
    except OSError as error:
        raise Refused(
            f"The Dockerfile `{path}` cannot be read: {error.strerror or error}.",
            where=service.where("build"),
            remedy="It must be an ordinary file in your folder.",
        ) from None
    if len(raw) > MAX_DOCKERFILE:
        raise Refused(
            f"The Dockerfile `{path}` is larger than {MAX_DOCKERFILE // 1024} KB.",
            where=service.where("build"),
            remedy="COPY large files instead of writing them into it.",
        )
    return raw.decode("utf-8", errors="replace")


def place_compose(
    node: Node, folder: Path, name: str, file: ComposeFile, allowed: Collection[str]
) -> PlacedCompose:
    """Put a vetted compose application on a node as the project `name`, without starting it.

    `allowed` are the images it may use. Raises Refused if Compose's reading of the file is not
    allowed, EngineFault if the node fails.
    """
    file.refuse_images(allowed)
    dockerfiles(folder, file, allowed)
    place, vetted = f"{ROOT}/{name}", f"{VETTED}/{name}"
    node.put(folder, place)
    names = [*file.files, *filter(None, [file.env_file])]
    node.put({each: (folder / each).read_bytes() for each in names}, f"{vetted}/text")
    env_file = file.env_file and f"{vetted}/text/{file.env_file}"
    written = ComposeProject(
        node, name, place, [f"{vetted}/text/{each}" for each in file.files], env_file
    )

    def read() -> resolved.ComposeDocument | Completed:
        answer = f"{vetted}/answer.json"
        done = written.run("config", "--format", "json", "--output", answer, timeout=CONFIG_SECONDS)
        _refuse_boundless(done, file.files[0])
        if not done.ok:
            return done
        document = resolved.compose(_content(node, answer), file, place)
        document.file.refuse_images(allowed)
        return document

    document = read()
    if not isinstance(document, resolved.ComposeDocument):
        return PlacedCompose(written, file, unreadable=document)
    builds = dockerfiles(folder, document.file, allowed)
    _refuse_files_as_folders(folder, document)
    ignores = {
        f"{each}.dockerignore": read_below(folder, PurePosixPath(f"{each}.dockerignore"), 65536)
        for each in builds
        if (folder / f"{each}.dockerignore").is_file()
    }
    node.put({f"build/{each}": content for each, content in {**builds, **ignores}.items()}, vetted)
    pinned = _pinned(node, name, document.paths)

    def write(document: resolved.ComposeDocument) -> None:
        text = document.text(
            pinned, {PurePosixPath(each): f"{vetted}/build/{each}" for each in builds}
        )
        node.put({DOCUMENT: text.encode("utf-8")}, vetted)

    def read_again() -> Completed | None:
        now = read()
        if not isinstance(now, resolved.ComposeDocument):
            return now
        # Variables of containers name no path: what is mounted stays pinned as it was.
        if not set(now.paths) <= pinned.keys():
            raise EngineFault("Compose reads other paths than before.", where=node.name)
        write(now)
        return None

    write(document)
    project = ComposeProject(node, name, place, [f"{vetted}/{DOCUMENT}"], env_file)
    placed = PlacedCompose(project, document.file)
    if any(b"env_file" in (folder / each).read_bytes() for each in file.files):
        placed = replace(placed, read_again=read_again)
    return placed


def place_stack(
    node: Node, folder: Path, name: str, file: StackFile, allowed: Collection[str]
) -> tuple[str, StackFile] | Completed:
    """Put a vetted stack on a manager: (path of the document to deploy, Docker's reading of it).

    If the docker CLI cannot read the file, its message is returned. Raises like `place_compose`.
    """
    file.refuse_images(allowed)
    place, vetted = f"{ROOT}/{name}", f"{VETTED}/{name}"
    node.put(folder, place)
    written, answer = file.file.name.rpartition("/")[2], f"{vetted}/answer.yaml"
    node.put({"answer.yaml": b""}, vetted)
    # Warnings come beside the document: it goes to a file, what is said comes back.
    config = ["docker", "stack", "config", "--compose-file", written]
    done = confined(
        node, ["sh", "-c", 'exec "$@" > "$0"', answer, *config], timeout=CONFIG_SECONDS, cwd=place
    )
    _refuse_boundless(done, written)
    if not done.ok:
        return replace(done, argv=tuple(config))
    document = resolved.stack(_content(node, answer), file, folder, place)
    document.file.refuse_images(allowed)
    node.put({f"{written}.json": document.text.encode("utf-8")}, vetted)
    return f"{vetted}/{written}.json", document.file


def _refuse_boundless(done: Completed, name: str) -> None:
    """Docker says why it cannot read a file; without a message, it was ended from outside."""
    if not done.ok and (done.timed_out or not done.out.strip()):
        raise Refused(
            f"Docker needs too much {'time' if done.timed_out else 'memory'} to read the file.",
            where=name,
            remedy="Look for variables that contain other variables many times, and write the "
            "values instead.",
        )


def _refuse_files_as_folders(folder: Path, document: resolved.ComposeDocument) -> None:
    for path in document.paths:
        for parent in path.parents:
            if parent.parts and kind_below(folder, parent) == "file":
                raise Refused(
                    f"`{parent}` is a file, so there can be no `{path}` in it.",
                    where=document.file.files[0],
                    remedy="Correct the path.",
                )


def _content(node: Node, path: str) -> str:
    done = node.run(["cat", "--", path], timeout=CONFIG_SECONDS, keep=2 * resolved.MAX_BYTES)
    if not done.ok:
        raise EngineFault(f"The output of Compose cannot be read: {done.tail(3)}", where=node.name)
    return done.out


def _pinned(node: Node, name: str, paths: Collection[PurePosixPath]) -> dict[PurePosixPath, str]:
    """Where each path is on the node: the pinned place, or its own place on a user's own
    machine."""
    own = {path: str(PurePosixPath(ROOT, name, path)) for path in paths}
    if not paths:
        return own
    done = node.run(
        ["drydock-pin", f"{ROOT}/{name}", f"{PINNED}/{name}", *map(str, paths)],
        timeout=CONFIG_SECONDS,
    )
    if done.rc == NO_PROGRAM:
        return own
    places = done.out.splitlines()
    if not done.ok or len(places) != len(own):
        raise EngineFault(
            f"The submission's files cannot be held in place: {done.tail(3)}", where=node.name
        )
    return dict(zip(own, places, strict=True))
