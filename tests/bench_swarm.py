"""What swarms cost: both exercises of a correct submission, and the recorder by itself."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from grader.console import say
from grader.engine.engine_paths import EnginePaths
from grader.engine.sandbox import Sandbox
from grader.engine.sandbox_target import SandboxTarget
from grader.grading import examples
from grader.lab import labfile
from grader.modules.rollout import Recorder
from grader.modules.swarm import Swarm
from grader.paths import KIT
from grader.targets import providers
from grader.waiting import wait_until

Row = tuple[str, str, str]

TYPED = {
    "up": ("`swarm up --provider containers`: three nodes to type at", "3-5 s"),
    "join": ("`swarm join`", "3 s"),
    "status": ("`swarm status`", ""),
    "down": ("`swarm down`", ""),
}
"""Commands whose whole time a user waits for, in the order in which they are typed."""

WAITING = ("commands", "deploy", "update", "rollback", "lost node", "remove", "voting")
"""Stages in which the kit waits for the engines: the docker commands themselves (each waits
five seconds for its service to be stable), delays, monitors, a node's time-out."""


def both_exercises(engine: Any, image_set: Any, repeat: int) -> list[Row]:
    """The solutions of the exercises swarm and rollout, one after the other."""
    lab = labfile.load("lab4")
    provider = providers.Sandboxes(engine, image_set)
    times: list[float] = []
    waits: list[float] = []
    say("The exercises swarm and rollout, graded")
    for _ in range(repeat):
        seconds = waited = 0.0
        for name in ("swarm/solution", "rollout/solution"):
            (solution,) = examples.find(lab, [name])
            with tempfile.TemporaryDirectory() as folder:
                started = time.monotonic()
                compared = examples.run(lab, solution, provider, Path(folder))
                seconds += time.monotonic() - started
            if compared.differences:
                raise SystemExit(f"{name} has not full marks: {compared.differences}")
            waited += sum(compared.result.seconds.get(stage, 0.0) for stage in WAITING)
        times.append(seconds)
        waits.append(waited)
    took, waited = statistics.median(times), statistics.median(waits)
    return [
        ("exercises swarm and rollout, graded one after the other", f"{took:.0f} s", "90 s"),
        ("… of which the engines' own waiting", f"{waited:.0f} s", ""),
    ]


def recorder(engine: Any, image_set: Any) -> list[Row]:
    """The recorder while three replicas are updated, requests at each of three nodes."""
    say("The recorder")
    with Sandbox.create(engine, nodes=3, image_set=image_set.volume) as sandbox:
        target = SandboxTarget(sandbox)
        swarm = Swarm(target)
        swarm.form()

        def docker(*words: str) -> None:
            done = target.nodes[0].run(["docker", *words], timeout=120)
            if not done.ok:
                raise SystemExit(done.out)

        docker(
            *("service", "create", "--detach", "--no-resolve-image", "--name", "app"),
            *("--mode", "global", "--endpoint-mode", "dnsrr", "--update-delay", "2s"),
            *("--publish", "mode=host,published=8080,target=80", "drydock/demo:1.0"),
        )
        if not wait_until(lambda: swarm.converged("app"), within=120):
            raise SystemExit("The service did not come up.")
        ports = {node.name: 8080 for node in target.nodes}
        began = time.process_time()
        with Recorder(target.nodes, "app", ports=ports) as recording:
            docker("service", "update", "--detach", "--image", "drydock/demo:2.0", "app")
            if not recording.until(recording.settled, within=120):
                raise SystemExit("The update did not end.")
        share = (time.process_time() - began) / recording.trace.seconds
    trace = recording.trace
    sent = sum(len(one.sent) for one in trace.requests)
    looks = trace.looks / trace.seconds
    return [
        ("the recorder, three nodes: share of one CPU", f"{share:.0%}", ""),
        ("… requests per second at the service", f"{sent / trace.seconds:.0f}", "60 or fewer"),
        ("… looks per second at the manager", f"{looks:.1f}", "10"),
    ]


def machines(engine: Any, repeat: int) -> list[Row]:
    """What a user waits for at `swarm up`, `join`, `status` and `down`, Python's start included.

    In a data directory of its own, on the same engine.
    """
    say("A swarm to type at")
    times: dict[str, list[float]] = {action: [] for action in TYPED}
    for _ in range(repeat):
        with tempfile.TemporaryDirectory(prefix="drydock-bench-") as home:
            environment = {**os.environ, "DRYDOCK_HOME": home}
            try:
                for action in TYPED:
                    command = [sys.executable, "-m", "grader", "swarm", action]
                    command += ["--engine", engine.url] if action == "up" else []
                    started = time.monotonic()
                    subprocess.run(
                        command, cwd=KIT, env=environment, check=True, capture_output=True
                    )
                    times[action].append(time.monotonic() - started)
            finally:
                shutil.rmtree(EnginePaths(Path(home).resolve()).run, ignore_errors=True)
    return [
        (what, f"{statistics.median(times[action]):.1f} s", goal)
        for action, (what, goal) in TYPED.items()
    ]
