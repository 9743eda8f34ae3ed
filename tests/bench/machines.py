"""What three real virtual machines cost, beside the same on a sandbox.

The machines are those of `nox -s vm_tests` (Linux, root); their times are measured there.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from grader.paths import KIT
from tests.bench.setting import Setting

TESTS = "machines_come_up or practical_1 or joining or looks"
"""What of tests/vms takes the times; what they need comes along."""


def machines(setting: Setting) -> None:
    """Up and joined; the webserver exercise over SSH and in a sandbox; one look over SSH."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "figures.json")
        command = [sys.executable, "-m", "tests.vms", "-k", TESTS, "--figures", str(file)]
        if subprocess.run(command, cwd=KIT, check=False).returncode:
            raise SystemExit("The tests on virtual machines did not pass: nothing was measured.")
        told = json.loads(file.read_text("utf-8"))
    seconds: dict[str, float] = told["seconds"]
    up, join, played = (
        next(took for what, took in seconds.items() if what.startswith(beginning))
        for beginning in ("vagrant up", "join", "webserver")
    )
    how = "emulated" if told["emulated"] else "KVM"
    setting.row(f"`vagrant up` and one swarm, {how}, on {processor()}", f"{up + join:.0f} s")
    for what, took in seconds.items():
        if what.startswith("one"):
            setting.row(what, f"{took:.2f} s")
    here, _ = setting.solve("webserver")
    setting.row(
        "exercise webserver over SSH on such a machine / in a sandbox",
        f"{played:.0f} s / {here:.0f} s = {played / here:.1f}",
    )


def processor() -> str:
    """The host's processor, in words: `2 × Name`."""
    name = platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            name = line.partition(":")[2].strip()
            break
    return f"{os.cpu_count()} × {name}"
