"""The programs that build the box, and running them."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from grader.engine import packages
from grader.errors import EngineFault, KitError

TOOLS = {"mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs", "qemu-img": "qemu-utils"}


def prepare(why: str = "to build the box") -> None:
    """All tools are there afterwards; KitError where this machine cannot build a box."""
    if not sys.platform.startswith("linux") or packages.program("apt-get") is None:
        raise KitError(
            "The box is built on Debian or Ubuntu.",
            remedy="Build it there and copy it, or use the public box in vagrant/nodes.yaml.",
        )
    if not packages.may_be_root():
        raise KitError(
            "Root owns the files in the box, so only root can build it.",
            remedy="Run: sudo python -m grader box FOLDER",
        )
    wanted = [TOOLS[tool] for tool in packages.missing(TOOLS)]
    if wanted:
        packages.apt_install(wanted, why)


ALONE = """
trap 'exit 130' HUP INT TERM
exec 3<&0
(cat <&3 >/dev/null; kill -TERM 1) &
"$@" </dev/null 3<&- &
wait $!
"""
"""The first process of the namespaces: all that is in them ends when its input does."""
SECONDS = 60
"""How long what is no longer wanted may take to end."""


def alone(argv: Sequence[str], *more: str) -> list[str]:
    """`argv` as root, with mounts and processes of its own, which end with it; unshare's `more`."""
    own = ["unshare", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child", *more]
    return packages.as_root([*own, "--", *argv])


@contextlib.contextmanager
def ended(process: subprocess.Popen[Any]) -> Iterator[None]:
    """No process is left at the end of the block, so that what it works on can be removed.

    The end of its input ends it, too: root's processes cannot always be ended otherwise.
    """
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if process.stdin is not None:
                process.stdin.close()
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def run_alone(
    argv: Sequence[str], detail: Callable[[str], None] | None = None
) -> tuple[int, list[str]]:
    """Run as root, hand each line to `detail`; exit code and all lines."""
    lines: list[str] = []
    process = subprocess.Popen(
        alone(["bash", "-c", ALONE, "bash", *argv]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    assert process.stdout is not None
    with ended(process), process.stdout as output:
        for line in output:
            lines.append(line.rstrip())
            if detail is not None:
                detail(lines[-1])
        return process.wait(), lines


def run_as_root(argv: Sequence[str]) -> None:
    _fail(argv, *run_alone(argv))


def run(argv: Sequence[str]) -> None:
    _fail(argv, *packages.run_lines(argv, None))


def _fail(argv: Sequence[str], rc: int, lines: Sequence[str]) -> None:
    if rc != 0:
        raise EngineFault(f"{shlex.join(argv)} failed:\n" + "\n".join(lines[-8:]))


def remove(path: Path) -> None:
    """A folder that may belong to root; what is mounted in it, if ever, stays."""
    packages.run_lines(packages.as_root(["rm", "-rf", "--one-file-system", str(path)]), None)
