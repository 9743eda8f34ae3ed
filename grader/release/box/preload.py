"""Images in the box's own engine, so that a machine has them at its first start.

The engine is the one that the box's files have; it runs in namespaces of its own, where its
mounts and processes end with it. Root's work is done by `vagrant/box/preload.sh`.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from grader.errors import EngineFault
from grader.release.box.recipe import FOLDER
from grader.release.box.tools import alone, ended


@dataclass(frozen=True)
class Images:
    """`ids` {tag: ID}; `stream` opens them in the form of `docker save`."""

    ids: Mapping[str, str]
    stream: Callable[[], AbstractContextManager[Iterable[bytes]]]


def fill(
    root: Path,
    images: Images,
    detail: Callable[[str], None],
    state: str = "/var/lib/docker",
    options: Sequence[str] = (),
) -> None:
    """Load `images` into the engine's data `state` below `root`; EngineFault unless just they are
    in it then. `options` are more ones for dockerd."""
    with images.stream() as chunks, tempfile.TemporaryFile("w+") as output:
        rc = _run(_command(root, state, *options), chunks, output.fileno(), detail)
        output.seek(0)
        lines = output.read().splitlines()
    if rc != 0:
        raise EngineFault(
            "The box's engine could not load the images:\n" + "\n".join(lines[-8:]),
            remedy="Build the box in a folder on an ordinary disk (ext4, xfs), or without images: "
            "--no-images.",
        )
    pairs = [line.split(" ", 1) for line in lines if line.startswith("sha256:")]
    found = {tag: image for image, tag in pairs}
    if wrong := sorted(found.items() ^ images.ids.items()):
        raise EngineFault(f"The box's engine has other images than it was given: {wrong[0][0]}.")


def _command(root: Path, *more: str) -> list[str]:
    return alone(["bash", str(FOLDER / "preload.sh"), str(root), *more], "--net")


def _run(
    argv: list[str], chunks: Iterable[bytes], output: int, detail: Callable[[str], None]
) -> int:
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT)
    assert process.stdin is not None
    written = 0
    with ended(process):
        # Whoever closes the pipe early says why in its output.
        with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
            for chunk in chunks:
                written += pipe.write(chunk)
                detail(f"{written >> 20} MB of images")
        return process.wait()
