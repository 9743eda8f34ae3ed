"""Builds and runs a submission of the exercise scientific, each step once, for all its checks."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from grader.checks import fail
from grader.errors import EngineFault
from grader.modules.explain import Explained
from grader.modules.image import Build, Running, build_image
from grader.nodes.node import Completed

from .data import DataSet
from .pins import plain
from .says import EXPLAINER

CONTEXT = "/drydock/scientific"
DATA = "/drydock/scientific-data"
RESULTS = "/drydock/scientific-results"
"""Folders on the node: the student's, where the image is built; what the analysis reads, writes."""

TAG, AGAIN = "submission/scientific", "submission/scientific:again"
GIVEN = "analysis.py"
GIVEN_SHA256 = "3af0e2d06ab77af0b95330cc71c9d9174ed10119290b03d34ff10327c29f5f72"
"""Of the file that is handed out. It stands here so that another analysis grades again."""

JUPYTER_PORT = 8888
ANALYSIS_SECONDS = 120
MOST_BYTES = 4_000_000
"""Of results.json and of plot.png."""

ASK = """
import importlib.metadata, importlib.util, json, subprocess, time
dpkg = ["dpkg-query", "-W", "-f", "${Package} ${Version}\\n"]
try:
    debian = subprocess.run(dpkg, capture_output=True, text=True).stdout
except OSError:
    debian = ""
names = ["numpy", "scipy", "pandas", "matplotlib", "notebook", "jupyter_server", "nbclassic"]
print("@" + json.dumps({
    "modules": [name for name in names if importlib.util.find_spec(name)],
    "python": {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()},
    "debian": dict(line.split(" ") for line in debian.splitlines()),
}), flush=True)
time.sleep(600)
"""
"""Asked of the image's Python: what is installed. It then waits, so that it can be looked at."""


@dataclass(frozen=True)
class Rebuilt:
    """The build with a changed analysis.py; `mark` is the change."""

    build: Build
    mark: str


def build_on(node: Any, lab: Any, tag: str, seconds: float) -> Build:
    return build_image(node, CONTEXT, tag, seconds=seconds, keep=lab.limits["output_kb"] * 1000)


@dataclass(frozen=True)
class Inside:
    """What is in the image: modules that its Python finds, versions by package, and who runs it."""

    modules: frozenset[str]
    python: dict[str, str]
    debian: dict[str, str]
    user: int


def no_python(said: str) -> NoReturn:
    """End the check: there is no Python in it that could be asked."""
    known = EXPLAINER.explain(said) or Explained(
        "The image runs no Python 3.",
        "docker run --rm IMAGE python3 --version shows what is wrong.",
    )
    fail(
        known.reason,
        expected="an image whose python3 runs",
        actual=said.strip()[-300:],
        hint=known.hint,
    )


Told = tuple[frozenset[str], dict[str, str], dict[str, str]]
"""Modules, and versions by package of Python and of Debian."""


def answer_of(container: Running) -> Told | Literal["ended"] | None:
    """What ASK printed; 'ended' if it will not print any more, None if it may."""
    for line in container.log(err=False).splitlines():
        if line.startswith("@"):
            return told(line[1:]) or "ended"
    return None if container.now().running else "ended"


def told(text: str) -> Told | None:
    """What ASK's line says; None for anything else, as the image's python3 may be any program."""
    try:
        said = json.loads(text)
        python = {plain(str(name)): str(version) for name, version in said["python"].items()}
        debian = {str(name): str(version) for name, version in said["debian"].items()}
        modules = frozenset(map(str, said["modules"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return modules, {name: version for name, version in python.items() if name}, debian


def user(node: Any, container: Running) -> int:
    """The number of the user who runs python3 in there, as the node's kernel has it."""
    found = [p.pid for p in container.processes() if p.program == "python"]
    asked = node.run(["ps", "-o", "uid=", "-p", str(max(found, default=0))], timeout=30)
    if not (asked.ok and asked.out.strip().isdigit()):
        raise EngineFault("The node does not say who runs a process.")
    return int(asked.out)


@dataclass(frozen=True)
class Analysis:
    """A run of analysis.py: how it ended, what it left (None: nothing that can be read)."""

    done: Completed
    data: DataSet
    results: bytes | None
    plot: bytes | None


def left(node: Any, path: str) -> bytes | None:
    """A regular file that a container left on the node, None if there is none of fair size."""
    seen = node.run(["stat", "--printf", "%F %s", path], timeout=30)
    kind, _, size = seen.out.rpartition(" ")
    if not (seen.ok and kind == "regular file" and int(size) <= MOST_BYTES):
        return None
    coded = node.run(["base64", "--wrap=0", path], timeout=30, keep=2 * MOST_BYTES)
    try:
        return base64.b64decode(coded.out, validate=True)
    except (ValueError, binascii.Error):
        return None


def start(node: Any, options: Sequence[str], command: Sequence[str]) -> Running | Completed:
    """`docker run --detach`; what it said where there is no container that runs."""
    name = f"scientific-{secrets.token_hex(4)}"
    labels = ["--name", name, "--label", "drydock.role=submission"]
    done = node.run(["docker", "run", "--detach", *labels, *options, TAG, *command], timeout=60)
    lines = done.out.split()
    if done.ok and lines:
        return Running(node, lines[-1])
    node.run(["docker", "rm", "--force", name], timeout=60)
    return Completed(done.argv, done.rc or 1, done.out, done.seconds)
