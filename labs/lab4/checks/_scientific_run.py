"""What is done with a submission of the exercise scientific, each once, for all its checks."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

import pytest
from _scientific_data import DataSet, data_set
from _scientific_pins import plain
from _scientific_says import EXPLAINER

from grader.checks import fail
from grader.errors import EngineFault
from grader.modules.explain import Explained
from grader.modules.files import text_of
from grader.modules.image import Build, Image, Running, build_image
from grader.modules.outcomes import must_have_worked
from grader.modules.packages import blame_the_network
from grader.nodes.node import Completed
from grader.vetting.dockerfile import Vetted, vet
from grader.waiting import wait_until

CONTEXT = "/drydock/scientific"
DATA = "/drydock/scientific-data"
RESULTS = "/drydock/scientific-results"
"""Folders on the node: the student's, where the image is built; what the analysis reads, writes."""

TAG, AGAIN = "submission/scientific", "submission/scientific:again"
GIVEN = "analysis.py"
GIVEN_SHA256 = "3af0e2d06ab77af0b95330cc71c9d9174ed10119290b03d34ff10327c29f5f72"
"""Of the file that is handed out. It stands here so that another analysis grades anew."""

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


@pytest.fixture(scope="session")
def folder(submission: Path) -> Path:
    return submission / "scientific"


@pytest.fixture(scope="session")
def build_seconds(lab: Any, target: Any) -> float:
    return float(lab.limits["build_seconds"] * target.timeout_factor)


@pytest.fixture(scope="session")
def vetted(folder: Path, lab: Any) -> Vetted:
    """The Dockerfile, whose images are all the lab's; the check that asks for it fails if not."""
    from grader.engine.images import catalogue

    allowed = catalogue.load().all_names(lab.exercise("scientific").images)
    vetted = vet(text_of(folder, "Dockerfile"), allowed)
    if vetted.problems:
        fail(
            vetted.problems[0].reason,
            expected="FROM python:3.11, or another image of the lab",
            actual="; ".join(p.reason for p in vetted.problems),
            hint=vetted.problems[0].hint,
        )
    return vetted


@pytest.fixture(scope="session")
def given(lab: Any) -> bytes:
    return bytes((lab.templates / "scientific" / GIVEN).read_bytes())


@pytest.fixture(scope="session")
def build(
    node: Any,
    lab: Any,
    folder: Path,
    vetted: Vetted,
    given: bytes,
    build_seconds: float,
    stage: Callable[[str], Any],
) -> Build:
    """The build of the folder, with the kit's own analysis.py in it."""
    node.put(folder, CONTEXT)
    node.put({"Dockerfile": vetted.text.encode(), GIVEN: given}, CONTEXT)
    with stage("build"):
        build = _build(node, lab, TAG, build_seconds)
    blame_the_network(node, build.done)
    return build


@pytest.fixture(scope="session")
def image(build: Build) -> Image:
    assert build.image is not None
    return build.image


@dataclass(frozen=True)
class Rebuilt:
    """The build with a changed analysis.py; `mark` is the change."""

    build: Build
    mark: str


@pytest.fixture(scope="session")
def rebuilt(
    node: Any,
    lab: Any,
    image: Image,
    given: bytes,
    build_seconds: float,
    stage: Callable[[str], Any],
) -> Rebuilt:
    mark = f"changed-{secrets.token_hex(8)}"
    node.put({GIVEN: given + f"# {mark}\n".encode()}, CONTEXT)
    try:
        with stage("build again"):
            build = _build(node, lab, AGAIN, build_seconds)
    finally:
        node.put({GIVEN: given}, CONTEXT)
    blame_the_network(node, build.done)
    return Rebuilt(build, mark)


def _build(node: Any, lab: Any, tag: str, seconds: float) -> Build:
    return build_image(node, CONTEXT, tag, seconds=seconds, keep=lab.limits["output_kb"] * 1000)


@dataclass(frozen=True)
class Inside:
    """What is in the image: modules that its Python finds, versions by package, and who runs it."""

    modules: frozenset[str]
    python: dict[str, str]
    debian: dict[str, str]
    user: int


@pytest.fixture(scope="session")
def inside(node: Any, image: Image, target: Any) -> Inside:
    """Asked as `docker run IMAGE python3 …`; past an ENTRYPOINT that runs no such thing."""
    said = ""
    for before, after in (([], ["python3"]), (["--entrypoint", "python3"], [])):
        options = ["--network", "none", *before]
        container = _start(node, options, [*after, "-c", ASK])
        if isinstance(container, Completed):
            said = container.out
            continue
        try:
            answer = wait_until(
                lambda running=container: _answer(running), within=30 * target.timeout_factor
            )
            if answer and answer != "ended":
                modules, python, debian = answer
                return Inside(modules, python, debian, _user(node, container))
            said = container.log()
        finally:
            container.remove()
    return _no_python(said)


def _no_python(said: str) -> NoReturn:
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


def _answer(container: Running) -> Told | Literal["ended"] | None:
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


def _user(node: Any, container: Running) -> int:
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


@pytest.fixture(scope="session")
def analysis(
    node: Any, image: Image, variant: Mapping[str, Any], student: str, target: Any
) -> Analysis:
    """analysis.py run on data made from the student's values."""
    data = data_set("\0".join([student, *(f"{k}={v}" for k, v in sorted(variant.items()))]))
    node.put(data.files, DATA)
    # Whoever the image runs as may write here, and read there.
    node.run(["chmod", "-R", "a+rX", DATA], timeout=30)
    node.run(["rm", "-rf", RESULTS], timeout=30)
    made = node.run(["mkdir", "-p", "-m", "0777", RESULTS], timeout=30)
    if not made.ok:
        raise EngineFault(f"The node makes no folder: {made.out}")
    name = f"analysis-{secrets.token_hex(4)}"
    options = ["--rm", "--name", name, "--network", "none", "--label", "drydock.role=submission"]
    mounts = ["--volume", f"{DATA}:/data:ro", "--volume", f"{RESULTS}:/results"]
    done = node.run(
        ["docker", "run", *options, *mounts, TAG, "python3", GIVEN],
        timeout=ANALYSIS_SECONDS * target.timeout_factor,
    )
    if done.timed_out:
        node.run(["docker", "rm", "--force", name], timeout=60)
    return Analysis(
        done,
        data,
        _left(node, f"{RESULTS}/results.json"),
        _left(node, f"{RESULTS}/plot.png"),
    )


def _left(node: Any, path: str) -> bytes | None:
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


@pytest.fixture(scope="session")
def jupyter(node: Any, image: Image, variant: Mapping[str, Any]) -> Iterator[Running]:
    """The image, run as it is, with the student's token; its port 8888 is the student's port."""
    port, token = variant["jupyter_port"], variant["jupyter_token"]
    options = ["--publish", f"{port}:{JUPYTER_PORT}", "--env", f"JUPYTER_TOKEN={token}"]
    container = _start(node, options, [])
    if isinstance(container, Completed):
        must_have_worked(
            container, "docker run", 60, "docker run says the same: try it.", EXPLAINER
        )
        raise EngineFault("docker run did not tell which container it started.")
    yield container
    container.remove()


def _start(node: Any, options: Sequence[str], command: Sequence[str]) -> Running | Completed:
    """`docker run --detach`; what it said where there is no container that runs."""
    name = f"scientific-{secrets.token_hex(4)}"
    labels = ["--name", name, "--label", "drydock.role=submission"]
    done = node.run(["docker", "run", "--detach", *labels, *options, TAG, *command], timeout=60)
    lines = done.out.split()
    if done.ok and lines:
        return Running(node, lines[-1])
    node.run(["docker", "rm", "--force", name], timeout=60)
    return Completed(done.argv, done.rc or 1, done.out, done.seconds)
