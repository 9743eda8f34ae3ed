"""The docker commands of the compose exercise as someone types them, run on a node."""

from __future__ import annotations

from grader.engine.sandbox import SandboxNode
from grader.handout import workspace
from grader.handout.rendering import render_file
from grader.lab.model import Lab

SCRIPT = "examples/compose/by-hand.sh.j2"
MINUTES = 15


def type_commands(lab: Lab, node: SandboxNode, folder: str = "/work") -> str:
    """Run them in `folder`, where the demo student's solution lies; what they said.

    RuntimeError with that if a command does not do what it should.
    """
    script = render_file(lab.folder / SCRIPT, workspace.values(lab, lab.demo_student))
    node.put({"by-hand.sh": script.encode("utf-8")}, folder)
    done = node.run(["bash", "by-hand.sh"], cwd=folder, timeout=MINUTES * 60)
    if not done.ok:
        raise RuntimeError(f"By hand it does not work (exit code {done.rc}):\n{done.out}")
    return done.out
