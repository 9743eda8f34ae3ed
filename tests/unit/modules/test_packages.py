"""Whose fault it is that a build failed, as far as its output tells."""

from __future__ import annotations

from typing import Any

import pytest

from grader.errors import EngineFault
from grader.modules.packages import blame_the_network
from grader.nodes.node import Completed

SAID = """#5 [2/2] RUN pip install six
#5 0.229 runc run failed: unable to start container process: waiting for init preliminary setup: \
read init-p: connection reset by peer
"""
NODE: Any = None
"""It is not asked."""


def test_a_container_that_the_engine_could_not_start_is_the_engines_fault() -> None:
    with pytest.raises(EngineFault, match="could not start a container"):
        blame_the_network(NODE, Completed(("docker", "build"), 1, SAID, 1.0))
    blame_the_network(NODE, Completed(("docker", "build"), 0, SAID, 1.0))


def test_a_program_that_is_not_in_the_image_is_the_students() -> None:
    said = (
        'runc run failed: unable to start container process: exec: "pyhton": executable file '
        "not found in $PATH"
    )
    blame_the_network(NODE, Completed(("docker", "build"), 1, said, 1.0))
