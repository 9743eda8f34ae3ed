"""What the kit costs, against the bare docker commands, in one run: `nox -s bench`.

Every figure is a ratio or a time of this run on this machine; nothing here is a test. Needs root
(it starts a bare dockerd to compare with).
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from grader.console import say
from grader.engine import find, images
from grader.engine.packages import program
from grader.engine.sandbox import Sandbox
from grader.grading import examples
from grader.lab import labfile
from grader.paths import KIT
from grader.targets import providers
from tests import bench_class, bench_machines, bench_swarm


def main() -> int:
    parser = argparse.ArgumentParser(prog="nox -s bench --", description=__doc__)
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="runs of each figure")
    parser.add_argument(
        "--first-run",
        action="store_true",
        help="also time the first run from nothing, in a data directory of its own (minutes)",
    )
    parser.add_argument(
        "--students",
        type=int,
        default=4,
        metavar="N",
        help="whole labs of the class (minutes each)",
    )
    parser.add_argument(
        "--apart",
        type=int,
        metavar="N",
        help="how many of these are also graded one after the other (all; twice the minutes each)",
    )
    parser.add_argument("--only-class", action="store_true", help="only the figures of a class")
    parser.add_argument(
        "--machines",
        action="store_true",
        help="only the figures of three virtual machines (Linux, root; a quarter of an hour)",
    )
    args = parser.parse_args()
    rows: list[tuple[str, str, str]] = []
    if args.first_run:
        rows.append(first_run())
    engine = find.ensure()
    image_set = images.ensure(engine)
    if args.machines:
        rows += bench_machines.machines(engine, image_set)
    else:
        if not args.only_class:
            rows += one_submission(engine, image_set, args.repeat)
        rows += bench_class.few_and_many()
        rows += bench_class.whole_labs(engine, args.students, args.apart)
    table = Table("measured", "figure", "goal", title="Drydock, against the bare docker commands")
    for row in rows:
        table.add_row(*row)
    Console(width=110).print(table)
    return 0


def one_submission(engine: Any, image_set: Any, repeat: int) -> list[tuple[str, str, str]]:
    """What a student or a teacher waits for."""
    rows = sandbox_against_dockerd(engine, image_set, repeat)
    rows += compose_against_by_hand(engine, image_set, repeat)
    rows += bench_swarm.both_exercises(engine, image_set, max(1, repeat - 3))
    rows += bench_swarm.recorder(engine, image_set)
    rows += bench_swarm.machines(engine, max(1, repeat - 2))
    rows.append(unchanged(repeat))
    return rows


def median(what: Callable[[], float], repeat: int) -> float:
    return statistics.median(what() for _ in range(repeat))


def sandbox_against_dockerd(engine: Any, image_set: Any, repeat: int) -> list[tuple[str, str, str]]:
    """Seconds until the Engine API answers, of a seeded node and of a bare dockerd, in turns."""
    nodes: dict[int, list[float]] = {1: [], 3: []}
    removals: list[float] = []
    bare: list[float] = []
    say("Sandboxes against a bare dockerd")
    for _ in range(repeat):
        bare.append(bare_dockerd())
        for count, times in nodes.items():
            started = time.monotonic()
            sandbox = Sandbox.create(engine, nodes=count, image_set=image_set.volume)
            times.append(time.monotonic() - started)
            started = time.monotonic()
            sandbox.remove()
            removals.append(time.monotonic() - started)
    dockerd = statistics.median(bare)
    one, three = statistics.median(nodes[1]), statistics.median(nodes[3])
    return [
        ("a bare dockerd answers", f"{dockerd:.2f} s", ""),
        ("sandbox of one node, image set in place", f"{one:.2f} s = {one / dockerd:.2f} ×", ""),
        ("sandbox of three nodes", f"{three:.2f} s = {three / dockerd:.2f} ×", "3.5 s, 1.5 ×"),
        ("removal of a sandbox", f"{statistics.median(removals):.2f} s", ""),
    ]


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


def compose_against_by_hand(engine: Any, image_set: Any, repeat: int) -> list[tuple[str, str, str]]:
    """The solution of the compose exercise graded, and its docker commands typed without pause."""
    from tests.by_hand import type_commands

    lab = labfile.load("lab4")
    (solution,) = examples.find(lab, ["compose/solution"])
    provider = providers.Sandboxes(engine, image_set)
    graded: list[float] = []
    typed: list[float] = []
    say("The compose exercise, graded and by hand")
    for _ in range(max(1, repeat - 2)):
        with tempfile.TemporaryDirectory() as folder:
            started = time.monotonic()
            compared = examples.run(lab, solution, provider, Path(folder))
            graded.append(time.monotonic() - started)
            if compared.differences:
                raise SystemExit(f"The solution has not full marks: {compared.differences}")
        with tempfile.TemporaryDirectory() as folder:
            examples.render(lab, solution, lab.demo_student, Path(folder))
            started = time.monotonic()
            with Sandbox.create(engine, image_set=image_set.volume) as sandbox:
                sandbox.nodes[0].put(Path(folder), "/work")
                type_commands(lab, sandbox.nodes[0])
            typed.append(time.monotonic() - started)
    kit, hand = statistics.median(graded), statistics.median(typed)
    return [
        ("compose exercise, the docker commands by hand", f"{hand:.1f} s", ""),
        ("compose exercise, graded", f"{kit:.1f} s = {kit / hand:.2f} ×", "1.15 × or less"),
    ]


def unchanged(repeat: int) -> tuple[str, str, str]:
    """`python -m grader check` of a workspace in which nothing has changed."""
    say("An unchanged workspace, checked again")
    with tempfile.TemporaryDirectory() as folder:
        lab = labfile.load("lab4")
        workspace, out = Path(folder, "workspace"), Path(folder, "out")
        command = [sys.executable, "-m", "grader", "check", "lab4", "--student", lab.demo_student]
        command += ["--workspace", str(workspace), "--out", str(out)]
        subprocess.run(command, cwd=KIT, capture_output=True, check=False)

        def again() -> float:
            started = time.monotonic()
            done = subprocess.run(command, cwd=KIT, capture_output=True, text=True, check=False)
            if "Nothing has changed" not in done.stderr:
                raise SystemExit(f"It was graded again:\n{done.stdout}{done.stderr}")
            return time.monotonic() - started

        return ("an unchanged workspace, checked again", f"{median(again, repeat):.2f} s", "1 s")


def first_run() -> tuple[str, str, str]:
    """From no engine and no images to a graded workspace, in a data directory of its own."""
    say("The first run from nothing (minutes)")
    home = tempfile.mkdtemp(prefix="drydock-bench-")
    environment = {**os.environ, "DRYDOCK_HOME": home}
    grader = [sys.executable, "-m", "grader"]
    command = [*grader, "check", "lab4", "--workspace", f"{home}/ws", "--out", f"{home}/out"]
    started = time.monotonic()
    try:
        done = subprocess.run(command, cwd=KIT, env=environment, check=False)
        seconds = time.monotonic() - started
        if done.returncode not in (0, 1):
            raise SystemExit("The first run failed.")
    finally:
        subprocess.run([*grader, "engine", "stop"], cwd=KIT, env=environment, check=False)
        shutil.rmtree(home, ignore_errors=True)
    return ("first run from nothing", f"{seconds / 60:.1f} min", "")


if __name__ == "__main__":
    sys.exit(main())
