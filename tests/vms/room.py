"""What a teacher does and sees in a class room of three machines: the tests' vocabulary."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grader import paths
from grader.machines.target import MachinesTarget
from grader.machines.vagrant import Vagrant
from grader.modules.swarm import SERVICE_NAME, Swarm

NAMES = ("manager1", "worker1", "worker2")
STEP_SECONDS = 1500
"""The most that one command may take; emulated machines under load need a lot of it."""


@dataclass
class Room:
    """`place` is the folder of the tests; `figures` collects seconds by what took them."""

    place: Path
    figures: dict[str, float]
    _target: MachinesTarget | None = field(default=None, repr=False)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.figures[what] = time.monotonic() - began
        print(f"[{what}: {self.figures[what]:.1f} s]", flush=True)

    # What is typed ------------------------------------------------------------------------------

    def run(self, *argv: str, ok: tuple[int, ...] = (0,), cwd: Path = paths.KIT) -> str:
        """What a command prints, errors too; fails the test if it ends otherwise than `ok`."""
        done = subprocess.run(
            argv,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=STEP_SECONDS,
        )
        assert done.returncode in ok, f"{argv} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def kit(self, *words: str, ok: tuple[int, ...] = (0,)) -> str:
        return self.run(sys.executable, "-m", "grader", *words, ok=ok)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A command of the kit that goes on beside the test."""
        return subprocess.Popen(
            [sys.executable, "-m", "grader", *words],
            cwd=paths.KIT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def vagrant(self, *words: str) -> str:
        return self.run("vagrant", *words)

    def on(self, node: str, *argv: str, timeout: float = 300) -> str:
        """What a command on a machine prints; it runs as root there."""
        done = self.target.node(node).run(argv, timeout=timeout)
        assert done.ok, f"{argv} on {node}: {done.rc}\n{done.out}"
        return str(done.out).strip()

    def add_box(self) -> None:
        (listing,) = (self.place / "box").glob("*.json")
        self.run("vagrant", "box", "add", listing.name, cwd=listing.parent)

    def destroy(self) -> None:
        self.let_go()
        self.kit("swarm", "down", "--provider", "vagrant")

    # What is seen -------------------------------------------------------------------------------

    @property
    def target(self) -> MachinesTarget:
        """The machines as checks see them; live, so nothing is changed by looking."""
        if self._target is None:
            made = Vagrant().target(3, read_only=True)
            assert isinstance(made, MachinesTarget)
            self._target = made
        return self._target

    def let_go(self) -> None:
        """Close the connections: the machines are about to change."""
        if self._target is not None:
            self._target.close()
            self._target = None

    @property
    def emulated(self) -> bool:
        name = self.run("virsh", "list", "--name").split()[0]
        return "<domain type='qemu'" in self.run("virsh", "dumpxml", name)

    @property
    def swarm(self) -> Swarm:
        return Swarm(self.target)

    def state(self, name: str) -> str:
        """What the swarm says of a node."""
        node = self.swarm.node(name)
        return node.state if node else "gone"

    def running(self, service: str, *names: str) -> int:
        """Running containers of a service on these nodes, by their own engines."""
        wanted = {"label": f"{SERVICE_NAME}={service}", "status": "running"}
        engines = (self.target.node(name).docker.api for name in names)
        return sum(len(engine.containers(filters=wanted)) for engine in engines)

    def status(self) -> dict[str, Any]:
        """What `swarm status --json` says."""
        said = self.kit("swarm", "status", "--json", ok=(0, 1))
        found: dict[str, Any] = json.loads(said[said.index("{") :])
        return found

    def grade(
        self, exercise: str, *options: str, target: str = "vagrant", files: Path | None = None
    ) -> dict[str, Any]:
        """The record's part on an exercise, graded on the machines.

        Of the demo student's finished lab, or of what they have in the folder `files`.
        """
        return self.grading(exercise, *options, target=target, files=files).graded()

    def grading(
        self, exercise: str, *options: str, target: str = "vagrant", files: Path | None = None
    ) -> Grading:
        """The same, which goes on beside the tests until its `graded` is asked for."""
        whose = ["--demo"]
        if files is not None:
            whose = ["--student", "s0000000", "--workspace", str(files)]
        what = f"{exercise}, {target}, {'played' if '--fresh' in options else 'live'}"
        out = self.place / "results" / f"{exercise}-{len(self.figures)}"
        process = self.start(
            "check", "lab4", *whose, "--target", target, "--exercise", exercise,
            "--out", str(out), *options,
        )  # fmt: skip
        return Grading(self, exercise, what, out, process)


@dataclass
class Grading:
    """A grading of one exercise on the machines; `out` is its folder."""

    room: Room
    exercise: str
    what: str
    out: Path
    process: subprocess.Popen[str]

    def graded(self) -> dict[str, Any]:
        """Wait for it; the record's part on the exercise."""
        said, _ = self.process.communicate(timeout=STEP_SECONDS)
        assert self.process.returncode in (0, 1, 3), said
        record = json.loads((self.out / "record.json").read_text("utf-8"))
        (found,) = [entry for entry in record["exercises"] if entry["id"] == self.exercise]
        took = found["seconds"]
        self.room.figures[self.what] = took["sandbox"] + took["checks"]
        for stage in sorted(took.keys() - {"sandbox", "checks"}):
            self.room.figures[f"{self.what}: {stage}"] = took[stage]
        return dict(found)

    def stop(self) -> None:
        """End it, if it has not ended."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.communicate(timeout=STEP_SECONDS)


def outcomes(exercise: dict[str, Any]) -> dict[str, str]:
    """Outcome by check, without the exercise's name."""
    return {check["id"].partition(".")[2]: check["outcome"] for check in exercise["checks"]}


def reasons(exercise: dict[str, Any]) -> dict[str, str]:
    """Why checks did not pass, by check."""
    return {
        check["id"].partition(".")[2]: f"{check['outcome']}: {check['cause']['reason']}"
        f" [{check['cause']['actual']}]"
        for check in exercise["checks"]
        if check["cause"]
    }


def processes() -> list[str]:
    """The command lines of all processes in these namespaces but our own."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if line.strip():
                found.append(line.strip())
    return found
