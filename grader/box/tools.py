"""The programs that build the box, and running them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence

from grader.engine import packages
from grader.errors import EngineFault, KitError

TOOLS = {"mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs", "qemu-img": "qemu-utils"}


def prepare() -> None:
    """All tools are there afterwards; KitError where this machine cannot build a box."""
    if not sys.platform.startswith("linux") or packages.program("apt-get") is None:
        raise KitError(
            "The box is built on Debian or Ubuntu.",
            remedy="Build it there and copy it, or use the public box in vagrant/nodes.yaml.",
        )
    if not packages.may_be_root():
        raise KitError(
            "The box's files belong to its root, so it is built as root.",
            remedy="Try: sudo python -m grader box FOLDER",
        )
    wanted = [TOOLS[tool] for tool in packages.missing(TOOLS)]
    if wanted:
        packages.apt_install(wanted, "to build the box")


def run(argv: Sequence[str], detail: Callable[[str], None] | None = None) -> None:
    rc, lines = packages.run_lines(argv, detail)
    if rc != 0:
        raise EngineFault(f"{shlex.join(argv)} failed:\n" + "\n".join(lines[-8:]))


def run_as_root(argv: Sequence[str]) -> None:
    run(packages.as_root(argv))
