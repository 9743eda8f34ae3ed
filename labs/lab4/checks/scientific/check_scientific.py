"""Exercise scientific: Python for science, with Jupyter, in an image (15 points).

Nothing here is had for nothing: all checks need an image in which the packages are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from grader.checks import check, fail
from grader.errors import EngineFault
from grader.modules.explain import Explained
from grader.modules.http import Answer, get, post
from grader.modules.image import Build, Image, Running
from grader.modules.outcomes import must_have_worked
from grader.vetting.dockerfile import SCRATCH, Vetted
from grader.waiting import wait_until

from .data import wrong
from .picture import NoPicture, decode
from .pins import is_pinned, stated
from .run import GIVEN, JUPYTER_PORT, Analysis, Inside, Rebuilt
from .says import EXPLAINER, TOO_SLOW

LIBRARIES = ("numpy", "scipy", "pandas", "matplotlib")
JUPYTERS = ("jupyterlab", "notebook", "jupyter-server", "jupyter", "nbclassic")
"""Packages of PyPI, any of which brings a Jupyter that answers its API."""
DEBIAN_JUPYTERS = ("jupyter-notebook", "jupyter", "python3-notebook", "python3-jupyter-server")

SMALLEST, FEWEST_COLOURS, MOST_OF_ONE = (320, 240), 8, 0.995
"""A plot has so many pixels and colours at least, and so large a share of one colour at most."""


@check(points=2)
def check_image_builds(build: Build, build_seconds: float, request: Any) -> None:
    """scientific/Dockerfile builds on an image of this lab and has Python with numpy, scipy,
    pandas, matplotlib and Jupyter."""
    must_have_worked(
        build.done,
        "docker build",
        build_seconds,
        "Read the end of the output: it repeats the step that failed.",
        EXPLAINER,
        TOO_SLOW,
    )
    inside: Inside = request.getfixturevalue("inside")
    missing = [name for name in LIBRARIES if name not in inside.modules]
    if not inside.modules & {"notebook", "jupyter_server", "nbclassic"}:
        missing.append("Jupyter")
    if missing:
        fail(
            f"The image builds, but Python has no {', '.join(missing)} there.",
            expected="numpy, scipy, pandas, matplotlib and Jupyter",
            actual="of these: " + (", ".join(sorted(inside.modules)) or "none"),
            hint="RUN pip install --no-cache-dir numpy==… scipy==… pandas==… matplotlib==…"
            " jupyterlab==…",
        )


@check(points=1.5, needs=["image_builds"])
def check_not_root(inside: Inside) -> None:
    """Programs in a container of the image run as a user other than root."""
    if inside.user == 0:
        fail(
            "python3 runs as root in the container.",
            expected="a user ID other than 0",
            actual="user ID 0",
            hint="RUN useradd --create-home NAME, and USER NAME after everything that needs root.",
        )


@check(points=2.5, needs=["image_builds"])
def check_results_right(analysis: Analysis) -> None:
    """`python3 analysis.py` finds what is in data that you have not seen: a signal's frequencies,
    a system's solution, a table's means, a curve's parameters."""
    must_have_worked(
        analysis.done,
        f"python3 {GIVEN}",
        analysis.done.seconds,
        "Run it with the data in the folder data/, as in the Dockerfile's first lines.",
        EXPLAINER,
        TOO_SLOW,
    )
    if analysis.results is None:
        fail(
            f"python3 {GIVEN} ended well, but left no results.json in /results.",
            expected="what analysis.py writes",
            actual=analysis.done.tail(3) or "no output",
            hint='The image\'s ENTRYPOINT must run the given command. End a script with: exec "$@"',
            log=analysis.done.tail(40),
        )
    try:
        found = json.loads(analysis.results)
    except (ValueError, RecursionError):
        found = None
    differences = wrong(found, analysis.data.expected)
    if differences:
        fail(
            f"Not right: {'; '.join(what for what, _, _ in differences)}.",
            expected="\n".join(expected for _, expected, _ in differences),
            actual="\n".join(actual for _, _, actual in differences),
            hint="The kit's own analysis.py lies beside your Dockerfile when it is built. Copy "
            "it, and choose versions that work together.",
            log=analysis.done.tail(40),
        )


@check(points=1.5, needs=["results_right"])
def check_plot_drawn(analysis: Analysis) -> None:
    """Its plot.png is a picture with something on it."""
    if analysis.plot is None:
        fail(
            "There is no plot.png in /results, or it is too large.",
            expected="a PNG file",
            actual="none",
            log=analysis.done.tail(40),
        )
    try:
        picture = decode(analysis.plot)
    except NoPicture as error:
        fail(f"plot.png {error}.", expected="a PNG file", actual=f"{len(analysis.plot)} bytes")
    large = picture.width >= SMALLEST[0] and picture.height >= SMALLEST[1]
    if not large or picture.colours < FEWEST_COLOURS or picture.most > MOST_OF_ONE:
        fail(
            "plot.png is blank or nearly blank.",
            expected=f"{SMALLEST[0]} x {SMALLEST[1]} pixels or more, {FEWEST_COLOURS} colours or"
            " more",
            actual=f"{picture.width} x {picture.height} pixels, {picture.colours} colours, one of"
            f" them on {picture.most:.1%} of it",
            hint="Do not change analysis.py and matplotlib's settings.",
        )


@check(points=2, needs=["image_builds"])
def check_versions_pinned(folder: Path, inside: Inside) -> None:
    """The files name the versions that are installed of numpy, scipy, pandas, matplotlib and
    Jupyter: with pip's ==, in the Dockerfile, a requirements, constraints or lock file, or with
    apt's =. An apt-get install without a version does not count."""
    said = stated(folder)
    loose = [
        name
        for name in LIBRARIES
        if not (
            is_pinned(name, said, inside.python)
            or is_pinned(f"python3-{name}", said, inside.debian)
        )
    ]
    if not (
        any(is_pinned(name, said, inside.python) for name in JUPYTERS)
        or any(is_pinned(name, said, inside.debian) for name in DEBIAN_JUPYTERS)
    ):
        loose.append("Jupyter")
    if loose:
        has = [f"{n} {inside.python[n]}" for n in (*LIBRARIES, *JUPYTERS) if n in inside.python]
        named = [
            f"{n} {', '.join(sorted(said[n]))}"
            for package in (*LIBRARIES, *JUPYTERS)
            for n in (package, f"python3-{package}")
            if n in said
        ]
        fail(
            f"Another build may bring other versions of {', '.join(loose)}.",
            expected="the whole version of each: numpy==1.2.3, not numpy, numpy>=1.2 or numpy==1.*",
            actual=f"named: {'; '.join(named) or 'none'}; installed: {', '.join(has)}",
            hint="docker run IMAGE pip freeze shows the installed versions: write these. For apt: "
            "apt-get install NAME=VERSION, as apt-cache policy NAME shows it.",
        )


@check(points=1.5, needs=["image_builds"])
def check_rebuilds_from_cache(rebuilt: Rebuilt, image: Image, build_seconds: float) -> None:
    """After a change of analysis.py a build copies it into the image and installs nothing again."""
    must_have_worked(
        rebuilt.build.done,
        "docker build after a change of analysis.py",
        build_seconds,
        "analysis.py has one comment line more than before, and nothing else has changed.",
        EXPLAINER,
        TOO_SLOW,
    )
    assert rebuilt.build.image is not None
    again = rebuilt.build.image
    fresh = [path for digest, path in again.layers.items() if digest not in image.layers]
    again_installed = _packages_in(again, fresh)
    if again_installed:
        fail(
            f"{', '.join(again_installed)} are installed again although only analysis.py has "
            f"changed.",
            expected="the installing steps from the build's cache",
            actual=f"{len(fresh)} layers recreated, packages among them",
            hint="If the files of a COPY have changed, all steps after it run again: install "
            "first (with only requirements.txt copied, if you have one), and COPY analysis.py "
            "afterwards.",
            log=rebuilt.build.done.tail(60),
        )
    search = ["grep", "-r", "-l", "-F", "-e", rebuilt.mark, "--", *fresh]
    if not fresh or not again.node.run(search, timeout=60).ok:
        fail(
            "The change is not in the image.",
            expected="the analysis.py of the folder scientific/",
            actual=f"{len(fresh)} layers recreated, none with the new line in it",
            hint="COPY analysis.py … takes it from your folder.",
            log=rebuilt.build.done.tail(60),
        )


def _packages_in(image: Image, layers: list[str]) -> list[str]:
    """Which of the libraries have their files in these layers."""
    if not layers:
        return []
    pattern = r".*/\(site\|dist\)-packages/\(" + r"\|".join(LIBRARIES) + r"\)"
    search = ["find", *layers, "-type", "d", "-regex", pattern, "-printf", "%f\\n"]
    listed = image.node.run(search, timeout=60)
    if not listed.ok:
        raise EngineFault(f"The node cannot look into an image's layers: {listed.tail(2)}")
    return [name for name in LIBRARIES if name in listed.out.split()]


@check(points=1, needs=["image_builds"])
def check_no_caches(image: Image, vetted: Vetted) -> None:
    """No layer of the image has files from pip's or apt's caches."""
    base = vetted.base
    left = image.left_in_layers(None if base == SCRATCH else base, *_caches(image))
    if left:
        fail(
            f"{len(left)} files of pip's or apt's caches are left in the image.",
            expected="no files in /var/lib/apt/lists, /var/cache/apt and ~/.cache/pip",
            actual=", ".join(left[:3]) + (" …" if len(left) > 3 else ""),
            hint="pip install --no-cache-dir …; apt-get … && rm -rf /var/lib/apt/lists/* in the "
            "same RUN, because a later one only hides them.",
        )


def _caches(image: Image) -> list[str]:
    """Folders where apt, pip and uv keep what they fetched, for root and for the image's users."""
    environment = image.environment
    homes = ["root", *(f"home/{name}" for name in _homes(image)), environment.get("HOME", "")]
    own = [environment.get(name, "") for name in ("PIP_CACHE_DIR", "UV_CACHE_DIR")]
    kept = [environment.get("XDG_CACHE_HOME", ""), *(f"{home}/.cache" for home in homes if home)]
    tools = [f"{folder}/{tool}" for folder in kept if folder for tool in ("pip", "uv")]
    folders = ["var/lib/apt/lists", "var/cache/apt", *own, *tools]
    return list(dict.fromkeys(f.strip("/") for f in folders if f.strip("/")))


def _homes(image: Image) -> list[str]:
    """Names of the folders in /home, in any layer."""
    places = [f"{layer}/home" for layer in image.layers.values()]
    search = ["find", *places, "-mindepth", "1", "-maxdepth", "1", "-type", "d", "-printf", "%p\\n"]
    listed = image.node.run(search, timeout=60)
    # It also says that most layers have no such folder.
    lines = [line for line in listed.out.splitlines() if line.startswith("/")]
    return sorted({line.rpartition("/")[2] for line in lines})


@check(points=1.5, needs=["image_builds"])
def check_jupyter_answers(
    jupyter: Running, node: Any, variant: Mapping[str, Any], lab: Any, target: Any
) -> None:
    """Without a command, the image runs Jupyter: it answers its API on your port with your token
    and starts Python."""
    port, token = int(variant["jupyter_port"]), str(variant["jupyter_token"])
    known = {"Authorization": f"token {token}"}
    within = lab.limits["start_seconds"] * target.timeout_factor

    def settled() -> Answer | bool | None:
        return get(node.address, port, "/api", timeout=5) or not jupyter.now().running

    wait_until(settled, within=within, every=0.3)
    answer = get(
        node.address, port, "/api/status", headers=known, timeout=20 * target.timeout_factor
    )
    if answer is None:
        _silent(jupyter, port, within)
    if not answer.ok or "kernels" not in answer.text:
        fail(
            "Jupyter refuses your token."
            if answer.status in (401, 403)
            else "The answer is not from Jupyter's API.",
            expected=f"status 200 for /api/status with the token {token}",
            actual=f"status {answer.status}: {answer.text[:200]}",
            hint="The token comes from docker run --env JUPYTER_TOKEN=…: do not set one in the "
            "image.",
            log=jupyter.log(),
        )
    # A Jupyter that asks for no token wants this instead; its openness is the next check's matter.
    same_site = {"Cookie": "_xsrf=ab", "X-XSRFToken": "ab"}
    started = post(node.address, port, "/api/kernels", {}, headers={**known, **same_site})
    if started is None or started.status != 201:
        fail(
            "Jupyter answers, but starts no Python.",
            expected="status 201 for POST /api/kernels",
            actual=f"status {started.status}: {started.text[:200]}" if started else "no answer",
            hint="It needs ipykernel, and a home folder that the image's user can write to.",
            log=jupyter.log(),
        )


def _silent(jupyter: Running, port: int, within: float) -> NoReturn:
    """Fail: no one answers at the port."""
    state, log = jupyter.now(), jupyter.log()
    heard = jupyter.listening()
    if not state.running:
        known = EXPLAINER.explain(log) or Explained(
            "The container stopped by itself.",
            'CMD must start Jupyter in the foreground: CMD ["jupyter", "lab", "--ip=0.0.0.0"]',
        )
        reason, hint = known.reason, known.hint
    elif any(s.port == JUPYTER_PORT and not s.from_outside for s in heard):
        reason = "Jupyter answers only inside the container."
        hint = "By default it listens on 127.0.0.1. Accept connections from outside: --ip=0.0.0.0"
    else:
        reason = f"No one answered on port {port} within {within:.0f} s."
        hint = f"Jupyter's port in the container is {JUPYTER_PORT}. Check that CMD starts Jupyter."
    fail(
        reason,
        expected=f"Jupyter, on the container's port {JUPYTER_PORT}",
        actual=f"listening: {', '.join(f'{s.address}:{s.port}' for s in heard) or 'no one'}"
        if state.running
        else f"exit code {state.exit_code}",
        hint=hint,
        log=log,
    )


@check(points=0.5, needs=["jupyter_answers"])
def check_jupyter_refuses(jupyter: Running, node: Any, variant: Mapping[str, Any]) -> None:
    """Without the token, or with a wrong one, Jupyter refuses access."""
    port = int(variant["jupyter_port"])
    other = {"Authorization": f"token not-{variant['jupyter_token']}"}
    for headers, how in (({}, "without a token"), (other, "with another token")):
        answer = get(node.address, port, "/api/status", headers=headers, timeout=20)
        if answer is None:
            raise EngineFault("Jupyter answered before, but no longer answers.")
        if answer.ok:
            fail(
                f"Jupyter accepts requests {how}: anyone could run programs there.",
                expected="status 403",
                actual=f"status {answer.status}",
                hint="Leave --IdentityProvider.token='' (or NotebookApp.token) out: the token of"
                " JUPYTER_TOKEN then counts.",
            )


@check(points=1, needs=["image_builds"])
def check_small_enough(image: Image, lab: Any) -> None:
    """The image is at most one and a half times as large as the lab's solution."""
    solution = lab.limits["scientific_solution_mb"]
    size, most = image.size / 1e6, 1.5 * solution
    if size > most:
        fail(
            "The image is too large.",
            expected=f"at most {most:.0f} MB (the solution has {solution} MB)",
            actual=f"{size:.0f} MB",
            hint="docker history IMAGE shows what each step adds. apt-get install"
            " --no-install-recommends; compilers only in a stage of their own; no chown -R of "
            "files from an earlier step, because it copies them.",
        )
