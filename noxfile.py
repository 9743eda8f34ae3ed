"""Sessions that call `python -m grader`; `nox -l` lists them."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import nox

HERE = Path(__file__).parent
KIT = HERE / ".nox" / "kit"
TESTING = "[tests,cluster]"
LABS = sorted(file.parent.name for file in (HERE / "labs").glob("*/lab.yaml"))
nox.options.reuse_existing_virtualenvs = True
nox.options.default_venv_backend = "venv"
nox.options.sessions = ["lab4"]


session = nox.session(venv_backend="none")
"""A session of the kit: all of them share one environment."""


def python(session: nox.Session, extras: str = "") -> str:
    """The Python of the kit's environment, made and filled unless just that was done before."""
    found = KIT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not found.is_file():
        session.run(sys.executable, "-m", "venv", str(KIT), external=True, silent=True)
    wanted = hashlib.sha256((HERE / "pyproject.toml").read_bytes() + extras.encode()).hexdigest()
    stamp = KIT / "drydock-installed"
    done = stamp.read_text(encoding="utf-8").split() if stamp.is_file() else []
    if wanted not in done:
        session.log("Installing the kit (once)")
        install = ("-m", "pip", "install", "--disable-pip-version-check", "-e", f".{extras}")
        session.run(str(found), *install, external=True, silent=True)
        stamp.write_text("\n".join([*done, wanted]), encoding="utf-8")
    return str(found)


def install(session: nox.Session, extras: str = "") -> None:
    """Install the kit into the session's environment, unless just that was done before."""
    wanted = hashlib.sha256((HERE / "pyproject.toml").read_bytes() + extras.encode()).hexdigest()
    stamp = Path(session.virtualenv.location) / "drydock-installed"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return
    session.log("Installing the kit (once)")
    session.install("-e", f".{extras}", silent=True)
    stamp.write_text(wanted, encoding="utf-8")


def kit(
    session: nox.Session,
    *args: str,
    ok: tuple[int, ...] = (0,),
    interrupt_seconds: float = 0.3,
    extras: str = "",
) -> None:
    """Run a command of the kit; `interrupt_seconds` after Ctrl-C it is killed."""
    session.run(
        *(python(session, extras), "-m", "grader", *args),
        external=True,
        success_codes=list(ok),
        silent=False,
        interrupt_timeout=interrupt_seconds,
    )


def named(words: list[str]) -> list[str]:
    """The words with a lab in front: lab4 unless the first one is another lab's name."""
    return words if words[:1] and words[0] in LABS else ["lab4", *words]


def practical(lab: str) -> Callable[[nox.Session], None]:
    """The session that students call by their lab's name."""

    def graded(session: nox.Session) -> None:
        # Ctrl-C is the usual end of --watch.
        interrupt_seconds = 60 if "--watch" in session.posargs else 0.3
        kit(session, "check", lab, *session.posargs, ok=(0, 1), interrupt_seconds=interrupt_seconds)

    graded.__doc__ = f"Hand out and grade your {lab}: nox -s {lab} [-- --exercise NAME --watch]."
    return graded


for each in LABS:
    nox.session(name=each, venv_backend="none")(practical(each))


@session
def demo(session: nox.Session) -> None:
    """Grade the demo student's finished lab: what full marks look like: nox -s demo [-- LAB]."""
    kit(session, "check", *named(session.posargs), "--demo")


@session
def submit(session: nox.Session) -> None:
    """Pack your work to hand it in: nox -s submit [-- LAB --student ID]."""
    kit(session, "submit", *named(session.posargs))


@session
def grade(session: nox.Session) -> None:
    """Grade a class: nox -s grade -- SUBMISSIONS [--lab LAB --roster CSV --out DIR]."""
    clustered = any(word.startswith("--cluster") for word in session.posargs)
    extras = "[cluster]" if clustered else ""
    # After Ctrl-C all sandboxes are removed before it ends.
    kit(session, "grade", *session.posargs, interrupt_seconds=120, extras=extras)


@session
def worker(session: nox.Session) -> None:
    """Grade submissions for another machine's batch: nox -s worker -- ADDRESS (or --scheduler)."""
    kit(session, "worker", *session.posargs, interrupt_seconds=120, extras="[cluster]")


@session
def handout(session: nox.Session) -> None:
    """Write a workspace, or restore a file: nox -s handout -- lab4 [--restore FILE]."""
    kit(session, "handout", *named(session.posargs))


@session
def swarm(session: nox.Session) -> None:
    """A three-node swarm of your own: nox -s swarm -- up|status|join|ssh|watch|env|down."""
    words = session.posargs or ["status"]
    ok: tuple[int, ...] = (0,)
    if words[0] == "status":
        ok = (0, 1)  # 1: problems were found
    elif words[0] == "ssh" and "--" not in words:
        ok = tuple(range(256))  # a login ends with the code of whatever was typed last
    # Ctrl-C is the usual end of `watch`: what was seen is drawn then.
    kit(session, "swarm", *words, ok=ok, interrupt_seconds=60 if words[0] == "watch" else 0.3)


@session
def marks(session: nox.Session) -> None:
    """Write the page of answers to mark and marks.csv: nox -s marks -- RESULTS [--anonymous]."""
    kit(session, "marks", *session.posargs)


@session
def export(session: nox.Session) -> None:
    """Export a class's points to an LMS: nox -s export -- FORMAT RESULTS [--worksheet FILE]."""
    kit(session, "export", *session.posargs)


@session
def release(session: nox.Session) -> None:
    """Make the zip that students get: nox -s release [-- LAB --out FILE]."""
    kit(session, "release", *named(session.posargs))


@session
def doctor(session: nox.Session) -> None:
    """Show what is installed, what is missing, and how to fix it."""
    kit(session, "doctor", *session.posargs)


@session
def box(session: nox.Session) -> None:
    """Build the Vagrant box, images in it: nox -s box [-- FOLDER --exercise NAME --no-images]."""
    kit(session, "box", *session.posargs)


def run_tests(session: nox.Session, which: str) -> None:
    """Run the chosen tests side by side where that is possible, file by file in the order of
    tests/lanes.py; pytest arguments choose others."""
    lanes = ("--numprocesses=auto", "--dist=loadfile", "--no-loadscope-reorder")
    chosen = session.posargs or ["-m", which]
    # After Ctrl-C the sandboxes and engines of the tests are removed.
    session.run(
        *(python(session, TESTING), "-m", "pytest", *lanes, *chosen),
        external=True,
        interrupt_timeout=60,
    )


@session
def tests(session: nox.Session) -> None:
    """Run the project's tests: all without an engine, and one whole way through each part."""
    run_tests(session, "not engine or smoke")


@session
def tests_all(session: nox.Session) -> None:
    """Run the tests that `tests` leaves out; nox -s tests_all -- PYTEST ARGUMENTS for any."""
    run_tests(session, "engine and not smoke")


@session
def hostile(session: nox.Session) -> None:
    """Grade hostile submissions beside canaries: nox -s hostile [-- CASE --kind KIND --jobs N]."""
    testing = python(session, TESTING)

    def run(*words: str, seconds: float = 0.3) -> None:
        session.run(testing, "-m", *words, external=True, interrupt_timeout=seconds)

    # After Ctrl-C the submissions under way, their sandboxes and the canaries are removed.
    run("tests.hostile", *session.posargs, seconds=180)
    if not session.posargs:
        # Then the readings of generated compose files, and faults of the grader itself.
        run("tests.hostile.differential", "5000", seconds=60)
        run("pytest", "tests/engine/test_grader_faults.py")


@session
def vm_tests(session: nox.Session) -> None:
    """Build the box and run the tests on three real virtual machines (Linux, root)."""
    session.run(
        *(python(session, TESTING), "-m", "tests.vms", *session.posargs),
        external=True,
        interrupt_timeout=120,
    )


@session
def examples(session: nox.Session) -> None:
    """Run every example of the lab and compare each result with the expected one."""
    kit(session, "examples", *named(session.posargs))


@nox.session
def lint(session: nox.Session) -> None:
    """Check the code: Ruff, mypy, and the order of imports."""
    install(session, "[lint,tests]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation as a site, every link checked: build/site/index.html."""
    install(session, "[docs]")
    session.run("mkdocs", "build", "--strict", "--quiet")


@nox.session
def coverage(session: nox.Session) -> None:
    """Measure which branches of grader/ the unit and engine tests run: nox -s coverage."""
    install(session, "[tests,cluster,coverage]")
    session.run("python", "-m", "pytest", "--cov", "tests/unit", "tests/engine", *session.posargs)


@session
def bench(session: nox.Session) -> None:
    """Measure the kit: nox -s bench [-- --only PART --profile --growth]; docs/performance.md."""
    # After Ctrl-C the sandboxes of what is being measured are removed.
    session.run(
        *(python(session, TESTING), "-m", "tests.bench", *session.posargs),
        external=True,
        interrupt_timeout=240,
    )
