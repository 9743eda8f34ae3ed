"""Runs and builds a submission of the exercise webserver, each step once, for its checks.

The image is built in the background while the machine is provisioned: both wait for packages
more than they compute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from grader.modules.machine import Machine
from grader.modules.own_machine import OwnMachine
from grader.nodes.cleanup import FILES
from grader.nodes.node import Completed

BARE = "debian:bookworm"
CONTEXT = "/drydock/webserver"
"""The student's folder on the node, where the image is built."""
FOLDER = "/srv/webserver"
OWN_FOLDER = f"{FILES}/machine"
"""The student's folder on the machine, where the script runs; on a machine of their own, apart
from what they may have there."""

TAG = "submission/webserver"
NOT_RUN = Completed((), 0, "", 0.0)


@dataclass(frozen=True)
class Second:
    """The second run of the script, and what it changed."""

    done: Completed
    changed: list[str]
    shown: str


def folder_on(machine: Machine) -> str:
    return OWN_FOLDER if isinstance(machine, OwnMachine) else FOLDER


def run_script(machine: Machine, lab: Any, limit: float) -> Completed:
    keep = lab.limits["output_kb"] * 1000
    return machine.script("provision.sh", cwd=folder_on(machine), seconds=limit, keep=keep)
