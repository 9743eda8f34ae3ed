"""Each command that the worksheet shows works, in its order, on a finished workspace."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from grader.engine.sandbox import Sandbox
from grader.grading import examples
from grader.lab import labfile
from grader.lab.variant import variant
from grader.nodes.node import Completed
from grader.waiting import wait_until
from tests import worksheets

pytestmark = pytest.mark.engine

LAB4 = labfile.load("lab4")
ME = LAB4.demo_student
VALUES = variant(LAB4, ME)
PLACE = "/home/student"
NEEDS_CGROUPS = {"docker compose top", "docker compose pause", "docker compose unpause"}
"""An engine in a user namespace on cgroup v1 cannot do these; they are tried all the same."""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo student's workspace with all solutions in it."""
    folder = tmp_path_factory.mktemp("worksheet") / "workspace"
    examples.render_solution(LAB4, ME, folder)
    return folder


@pytest.fixture(scope="module")
def commands(workspace: Path) -> list[worksheets.Command]:
    return worksheets.commands(worksheets.read((workspace / "worksheet.ipynb").read_bytes()))


def run(node: Any, line: str, folder: str = "") -> Completed:
    """As IPython's `!` does it: a shell, in the folder where the cells before have gone."""
    done: Completed = node.run(["sh", "-c", line], cwd=f"{PLACE}/{folder}", timeout=300)
    return done


def test_cells_work_on_a_finished_workspace(
    engine: Any, image_set: Any, workspace: Path, commands: list[worksheets.Command]
) -> None:
    told: dict[str, list[str]] = {}
    with Sandbox.create(engine, submission="worksheet", image_set=image_set.volume) as sandbox:
        (node,) = sandbox.nodes
        node.put(workspace, PLACE)
        no_cgroups = node.docker.info()["CgroupDriver"] == "none"
        for command in commands:
            if command.kind != "cell":
                continue
            if command.line == _visit():
                wait_for_webs(node)
            done = run(node, command.line, command.folder)
            allowed = command.may_fail or (no_cgroups and command.line in NEEDS_CGROUPS)
            assert done.ok or allowed, f"{command.line}\n{done.tail(30)}"
            if "kill 1" in command.line:
                wait_for_restart(node)
            told.setdefault(command.line, []).append(done.out)

    def only(start: str, which: int = 0) -> str:
        """What the command that starts so said, the given time."""
        return [out for line, outs in told.items() if line.startswith(start) for out in outs][which]

    # The text promises what is seen: counting goes on, also after redis was recreated.
    visits = [re.findall(r"seen (\d+) times", out) for out in told[_visit()]]
    assert [len(v) for v in visits] == [1, VALUES["counter_replicas"], 1]
    counted = [int(n) for v in visits for n in v]
    assert counted == list(range(1, len(counted) + 1))
    assert len(set(re.findall(r"host (\S+)", told[_visit()][1]))) == VALUES["counter_replicas"]
    assert "PONG" in only("docker compose run")
    assert "install.php" in only("curl -sI")
    assert str(VALUES["db_name"]) in only("docker compose exec -T db")
    for which in (0, 1):  # of the machine, and of the image
        page = only("curl -s --retry 5", which)
        assert f"result: {17 * int(VALUES['page_factor'])}" in page
        assert "sapi: fpm-fcgi" in page
    # wordpress was killed, and came back by its restart policy.
    assert re.search(r"wordpress.*Up", only("docker compose ps --all", -1))


def wait_for_webs(node: Any) -> None:
    """Until each container of web that is there answers: a student would look twice."""
    there = len(run(node, "docker compose ps --quiet web", "counter").out.split())
    health = _visit().replace("]/", "]/health")
    assert there
    assert wait_until(lambda: run(node, health).out.count("ok") == there, within=30)


def wait_for_restart(node: Any) -> None:
    """Until the blog's wordpress has come back, as its restart policy says."""

    def back() -> bool:
        (found,) = node.docker.containers.list(
            all=True, filters={"label": "com.docker.compose.service=wordpress"}
        )
        return bool(found.attrs["RestartCount"] == 1 and found.attrs["State"]["Running"])

    assert wait_until(back, within=30, stable_for=1)


def wait_for_promotion(manager: Any) -> None:
    """Until worker1 is a manager that the others can reach, as the text asks for."""
    assert wait_until(
        lambda: re.search(r"worker1.*Reachable", run(manager, "docker node ls").out), within=60
    )


def _visit() -> str:
    first, last = VALUES["counter_port_first"], VALUES["counter_port_last"]
    return f'curl -s --connect-timeout 1 "http://localhost:[{first}-{last}]/"'


def test_swarm_commands_work_on_three_nodes(
    engine: Any, image_set: Any, workspace: Path, commands: list[worksheets.Command]
) -> None:
    files = worksheets.shown_files(worksheets.read((workspace / "worksheet.ipynb").read_bytes()))
    with Sandbox.create(engine, nodes=3, submission="worksheet", image_set=image_set.volume) as s:
        nodes = {node.name: node for node in s.nodes}
        for node in s.nodes:
            node.put({name: text.encode() for name, text in files.items()}, PLACE)
        token = ""
        last = ""
        for command in commands:
            if command.kind != "reading":
                continue
            if "demote" in command.line:
                wait_for_promotion(nodes["manager1"])
            line = command.line.replace("MANAGER1_ADDRESS", nodes["manager1"].address)
            done = run(nodes[command.node], line.replace("TOKEN", token))
            assert done.ok, f"{command.node}: {line}\n{done.tail(30)}"
            found = re.search(r"--token (\S+)", done.out)
            token = found.group(1) if found else token
            last = done.out
    assert "worker1" in last
    assert "worker2" not in last
