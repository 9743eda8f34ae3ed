"""What swarms cost: both exercises of a submission, the recorder, nodes to practise on."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from pathlib import Path

from grader.engine.engine_paths import EnginePaths
from grader.engine.sandbox import Sandbox
from grader.engine.sandbox_target import SandboxTarget
from grader.modules.rollout import Recorder
from grader.modules.swarm import Swarm
from grader.waiting import wait_until
from tests.bench.command import kit
from tests.bench.setting import Setting, took

TYPED = {
    "up": ("`swarm up --provider containers`: three nodes to practise on", "3-5 s"),
    "join": ("`swarm join`", "3 s"),
    "status": ("`swarm status`", ""),
    "down": ("`swarm down`", ""),
}
"""Commands whose whole time a user waits for, in the order in which they are typed."""

WAITING = ("commands", "deploy", "update", "rollback", "lost node", "remove", "voting")
"""Stages in which the kit waits for the engines: the docker commands themselves (each waits
five seconds for its service to be stable), delays, monitors, a node's time-out."""


def swarm(setting: Setting) -> None:
    """The solutions of the exercises swarm and rollout, one after the other."""
    times: list[float] = []
    waits: list[float] = []
    for _ in range(max(1, setting.repeat - 3)):
        solved = [setting.solve(exercise) for exercise in ("swarm", "rollout")]
        times.append(sum(seconds for seconds, _ in solved))
        waits.append(
            sum(
                compared.result.seconds.get(stage, 0.0)
                for _, compared in solved
                for stage in WAITING
            )
        )
    setting.row(
        "exercises swarm and rollout, graded one after the other",
        f"{statistics.median(times):.0f} s",
        "90 s",
    )
    setting.row("… of which the engines' own waiting", f"{statistics.median(waits):.0f} s")


def recorder(setting: Setting) -> None:
    """The recorder while three replicas are updated, requests at each of three nodes."""
    volume = setting.image_set.volume
    with Sandbox.create(setting.engine, nodes=3, image_set=volume) as sandbox:
        target = SandboxTarget(sandbox)
        formed = Swarm(target)
        formed.form()

        def docker(*words: str) -> None:
            done = target.nodes[0].run(["docker", *words], timeout=120)
            if not done.ok:
                raise SystemExit(done.out)

        docker(
            *("service", "create", "--detach", "--no-resolve-image", "--name", "app"),
            *("--mode", "global", "--endpoint-mode", "dnsrr", "--update-delay", "2s"),
            *("--publish", "mode=host,published=8080,target=80", "drydock/demo:1.0"),
        )
        if not wait_until(lambda: formed.converged("app"), within=120):
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
    setting.row("the recorder, three nodes: share of one CPU", f"{share:.0%}")
    each = sent / trace.seconds
    setting.row("… requests per second at the service", f"{each:.0f}", "60 or fewer")
    setting.row("… looks per second at the manager", f"{trace.looks / trace.seconds:.1f}", "10")


def typed(setting: Setting) -> None:
    """What a user waits for at `swarm up`, `join`, `status` and `down`, Python's start included.

    In a data directory of its own, on the same engine.
    """
    times: dict[str, list[float]] = {action: [] for action in TYPED}
    for _ in range(max(1, setting.repeat - 2)):
        with tempfile.TemporaryDirectory(prefix="drydock-bench-") as folder:
            home = Path(folder).resolve()
            try:
                for action in TYPED:
                    more = ["--engine", setting.engine.url] if action == "up" else []
                    times[action].append(kit("swarm", action, *more, home=home).seconds)
            finally:
                if len(times["up"]) > len(times["down"]):
                    kit("swarm", "down", ok=range(256), home=home)
                shutil.rmtree(EnginePaths(home).run, ignore_errors=True)
    for action, (what, goal) in TYPED.items():
        setting.row(what, took(times[action]), goal)
