"""What a student waits for: the first run, a sandbox, an exercise, an unchanged workspace.

The comparison with a bare dockerd needs root.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from grader.console import say
from grader.engine.packages import program
from grader.engine.sandbox import Sandbox
from grader.grading import examples
from grader.lab import labfile
from tests.bench.command import kit
from tests.bench.setting import Setting, took
from tests.by_hand import type_commands

GRADED = re.compile(r"([a-z0-9_]+): [\d.]+ of [\d.]+ points, in ")
"""What `check` prints, without a terminal, when an exercise has its result."""


def first_run(setting: Setting) -> None:
    """From no engine and no images to a graded workspace, in a data directory of its own."""
    lab = labfile.load("lab4")
    known = {exercise.id for exercise in lab.exercises}
    graded: dict[str, float] = {}

    def line(text: str, seconds: float) -> None:
        found = GRADED.match(text)
        if found and found[1] in known and found[1] not in graded:
            if not graded:
                what = f"first run: the first feedback ({found[1]})"
                setting.row(what, f"{seconds:.0f} s", "90 s")
            graded[found[1]] = seconds

    with tempfile.TemporaryDirectory(prefix="drydock-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder, "home")
        where = ("--workspace", f"{folder}/ws", "--out", f"{folder}/out")
        try:
            ran = kit(
                *("check", lab.id, "--student", lab.demo_student, *where),
                ok=(0, 1),
                home=home,
                line=line,
            )
        finally:
            kit("engine", "stop", home=home)
    setting.row("first run: all exercises are graded", f"{ran.seconds:.0f} s", "180 s")


def sandbox(setting: Setting) -> None:
    """Seconds until the Engine API answers, of a seeded node and of a bare dockerd, in turns."""
    nodes: dict[int, list[float]] = {1: [], 3: []}
    removals: list[float] = []
    bare: list[float] = []
    volume = setting.image_set.volume
    for _ in range(setting.repeat):
        bare.append(bare_dockerd())
        for count, times in nodes.items():
            began = time.monotonic()
            with Sandbox.create(setting.engine, nodes=count, image_set=volume):
                times.append(time.monotonic() - began)
                began = time.monotonic()
            removals.append(time.monotonic() - began)
    setting.row("a bare dockerd answers", took(bare))
    setting.row("sandbox of one node, image set in place", took(nodes[1], bare))
    setting.row("sandbox of three nodes", took(nodes[3], bare), "3.5 s, 1.5 ×")
    setting.row("removal of a sandbox", took(removals))


def bare_dockerd() -> float:
    """Start a dockerd with an empty data root, a network of its own and its own default bridge.

    Seconds until it answers.
    """
    import docker

    folder = Path(tempfile.mkdtemp(prefix="drydock-bench-"))
    dockerd = program("dockerd")
    if dockerd is None or os.geteuid() != 0:
        raise SystemExit("The bench compares with a bare dockerd: it needs root and dockerd.")
    socket = folder / "s"
    started = time.monotonic()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                "unshare",
                "--mount",
                "--net",
                "--propagation",
                "private",
                dockerd,
                f"--data-root={folder}/data",
                f"--exec-root={folder}/exec",
                f"--pidfile={folder}/pid",
                f"--host=unix://{socket}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        while True:
            try:
                docker.DockerClient(base_url=f"unix://{socket}", timeout=5).ping()
                return time.monotonic() - started
            except Exception:
                if process.poll() is not None or time.monotonic() - started > 60:
                    raise SystemExit(f"A bare dockerd does not start: {folder}/log") from None
                time.sleep(0.02)
    finally:
        process.terminate()
        process.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def compose(setting: Setting) -> None:
    """The solution of the compose exercise graded, and its docker commands typed without pause."""
    lab = labfile.load("lab4")
    (solution,) = examples.find(lab, ["compose/solution"])
    graded: list[float] = []
    typed: list[float] = []
    for _ in range(max(1, setting.repeat - 2)):
        graded.append(setting.solve("compose")[0])
        with tempfile.TemporaryDirectory(prefix="drydock-bench-") as folder:
            began = time.monotonic()
            examples.render(lab, solution, lab.demo_student, Path(folder))
            volume = setting.image_set.volume
            with Sandbox.create(setting.engine, image_set=volume) as made:
                made.nodes[0].put(Path(folder), "/work")
                type_commands(lab, made.nodes[0])
            typed.append(time.monotonic() - began)
    setting.row("compose exercise, the docker commands by hand", took(typed))
    setting.row("compose exercise, graded", took(graded, typed), "1.15 × or less")


def unchanged(setting: Setting) -> None:
    """`check` of a workspace in which nothing has changed."""
    lab = labfile.load("lab4")
    with tempfile.TemporaryDirectory(prefix="drydock-bench-") as folder:
        words = ["check", lab.id, "--student", lab.demo_student]
        words += ["--workspace", f"{folder}/workspace", "--out", f"{folder}/out"]
        say("unchanged: the workspace is graded once first")
        kit(*words, ok=(0, 1))
        times = []
        for _ in range(setting.repeat):
            ran = kit(*words, ok=(0, 1))
            if "Nothing has changed" not in ran.said:
                raise SystemExit(f"It was graded again:\n{ran.said}")
            times.append(ran.seconds)
    setting.row("an unchanged workspace, checked again", took(times), "1 s")
