"""A student's own machines, with sandbox nodes in their place: looked at, and played on.

The nodes are kept for the whole module, as a student's are. Commands are typed by hand; the
runbook is empty.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from grader.engine.sandbox import Sandbox
from grader.engine.sandbox_target import SandboxTarget
from grader.grading import examples, progress
from grader.grading.exercise import ExerciseRun, Stopped
from grader.lab import labfile
from grader.lab.model import Exercise
from grader.lab.variant import variant
from grader.nodes.cleanup import TASK, Cleanup
from grader.nodes.node import Target
from grader.record import Cause, CheckResult, ExerciseResult, Unavailable
from grader.submission import files

pytestmark = pytest.mark.engine

LAB = labfile.load("lab4")
STUDENT = LAB.demo_student
V = variant(LAB, STUDENT)
OTTER = str(V["swarm_service"])
DROP = ["INPUT", "-p", "udp", "--dport", "4789", "-j", "DROP"]


class Own:
    """Gives the same nodes again and again."""

    unavailable: Unavailable | None = None

    def __init__(self, sandbox: Sandbox, **how: Any) -> None:
        self.sandbox = sandbox
        self.how = how

    @contextmanager
    def target(self, exercise: Exercise, student: str) -> Iterator[Target]:
        yield SandboxTarget(self.sandbox, **self.how)


@pytest.fixture(scope="module")
def sandbox(engine: Any, image_set: Any) -> Iterator[Sandbox]:
    with Sandbox.create(engine, nodes=3, submission="own", image_set=image_set.volume) as made:
        yield made


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished one, but for the runbook, in which nothing is written yet."""
    folder: Path = tmp_path_factory.mktemp("own") / "workspace"
    for name in ("webserver", "swarm", "rollout"):
        (solution,) = examples.find(LAB, [f"{name}/solution"])
        examples.render(LAB, solution, STUDENT, folder)
    (folder / "swarm" / "played.txt").write_bytes((folder / "swarm/runbook.txt").read_bytes())
    (folder / "swarm" / "runbook.txt").write_text("# Nothing yet.\n", encoding="utf-8")
    return folder


def grade(workspace: Path, name: str, sandbox: Sandbox, **how: Any) -> ExerciseResult:
    exercise = LAB.exercise(name)
    result = ExerciseRun(
        lab=LAB,
        exercise=exercise,
        student=STUDENT,
        files=files.read(workspace, exercise.folders),
        key="",
        provider=Own(sandbox, **how),
        progress=progress.Progress(),
        stop=threading.Event(),
    ).run()
    assert result.fault is None
    assert [c for c in result.checks if c.why in ("grader", "engine")] == []
    return result


def by_name(result: ExerciseResult) -> dict[str, CheckResult]:
    return {check.id.partition(".")[2]: check for check in result.checks}


def passed(checks: Mapping[str, CheckResult]) -> set[str]:
    assert {n for n, c in checks.items() if c.outcome == "failed"} == set()
    return {name for name, check in checks.items() if check.outcome == "passed"}


def cause_of(check: CheckResult) -> Cause:
    assert check.cause is not None
    return check.cause


def left_of_submissions(node: Any) -> str:
    """What is in the folder of submissions, which is a disk of the node's own."""
    done = node.run(["find", "/drydock", "-mindepth", "1"], timeout=20)
    assert done.ok, done.out
    return str(done.out)


def typed(sandbox: Sandbox, node: str, *words: object) -> str:
    """What a student types after `docker`; what it said."""
    (member,) = (n for n in SandboxTarget(sandbox).nodes if n.name == node)
    done = member.run(["docker", *map(str, words)], timeout=120)
    assert done.ok, done.out
    return done.out.strip()


def address(sandbox: Sandbox, name: str) -> str:
    return next(node.address for node in sandbox.nodes if node.name == name)


def test_a_swarm_is_graded_after_each_step(sandbox: Sandbox, workspace: Path) -> None:
    def look() -> dict[str, CheckResult]:
        return by_name(grade(workspace, "swarm", sandbox, read_only=True))

    checks = look()
    failed = {name for name, check in checks.items() if check.outcome == "failed"}
    assert failed == {"nodes"}, "the rest waits for a swarm"
    assert {c.why for n, c in checks.items() if n not in ("nodes", "runbook")} == {"needs"}

    # Create the swarm, create the service, scale up.
    manager = address(sandbox, "manager1")
    typed(sandbox, "manager1", "swarm", "init", "--advertise-addr", manager)
    token = typed(sandbox, "manager1", "swarm", "join-token", "--quiet", "worker")
    for worker in ("worker1", "worker2"):
        typed(sandbox, worker, "swarm", "join", "--token", token, f"{manager}:2377")
    pinged = address(sandbox, str(V["swarm_pinged"]))
    create = ["--name", OTTER, "--replicas", V["swarm_replicas"], "--init", "alpine:3"]
    typed(sandbox, "manager1", "service", "create", "--detach", *create, "ping", pinged)
    typed(sandbox, "manager1", "service", "scale", "--detach", f"{OTTER}={V['swarm_scaled_up']}")
    always = {"runbook", "nodes", "listed", "created", "pings"}
    assert passed(look()) == always | {"roles", "ports", "scaled_up"}

    # Scale down, promote, drain.
    typed(sandbox, "manager1", "service", "scale", "--detach", f"{OTTER}={V['swarm_scaled_down']}")
    promoted, drained = str(V["swarm_promoted"]), str(V["swarm_drained"])
    assert promoted != drained, "for this test"
    typed(sandbox, "manager1", "node", "promote", promoted)
    before = task_nodes(sandbox)
    typed(sandbox, "manager1", "node", "update", "--availability", "drain", drained)
    checks = look()
    assert passed(checks) == always | {"scaled_down", "promoted", "drained"}
    assert "Bring it back" in cause_of(checks["ports"]).reason
    assert promoted in cause_of(checks["roles"]).reason

    # Demote, bring back, publish.
    typed(sandbox, "manager1", "node", "demote", promoted)
    typed(sandbox, "manager1", "node", "update", "--availability", "active", drained)
    for kind, how in (("host", "mode=host,"), ("mesh", "")):
        port = f"{how}published={V[f'swarm_{kind}_port']},target=80"
        create = ["--name", V[f"swarm_{kind}_service"], "--replicas", V["swarm_web_replicas"]]
        create += ["--publish", port, "drydock/demo:1.0"]
        typed(sandbox, "manager1", "service", "create", "--detach", *create)
    found = passed(look()) - {"mesh_answers"}  # Which only some kernels can show.
    back = {"brought_back"} if drained in before else set()
    assert found == always | back | {"roles", "ports", "scaled_down", "host_port", "mesh_port"}
    for kind in ("service", "network"):
        there = typed(sandbox, "manager1", kind, "ls", "--format", "{{.Name}}")
        assert "drydock" not in there, "the grader took its own away"


def task_nodes(sandbox: Sandbox) -> list[str]:
    """Where tasks of the service run."""
    words = ["--filter", "desired-state=running", "--format", "{{.Node}}", OTTER]
    return typed(sandbox, "manager1", "service", "ps", *words).split()


def test_what_is_wrong_in_the_swarm_fails(sandbox: Sandbox, workspace: Path) -> None:
    typed(sandbox, "manager1", "service", "scale", "--detach", f"{OTTER}=1")
    worker = SandboxTarget(sandbox).node("worker2")
    assert worker.run(["iptables", "-I", *DROP], timeout=20).ok
    try:
        checks = by_name(grade(workspace, "swarm", sandbox, read_only=True, timeout_factor=0.3))
    finally:
        worker.run(["iptables", "-D", *DROP], timeout=20)
    failed = {name: check for name, check in checks.items() if check.outcome == "failed"}
    assert failed.keys() == {"ports", "scaled_down"}
    actual = cause_of(failed["ports"]).actual or ""
    assert actual == (
        "nothing at: 4789/udp from manager1 to worker2, 4789/udp from worker1 to worker2"
    )


def test_fresh_gives_the_swarm_up_and_plays_the_runbook(sandbox: Sandbox, workspace: Path) -> None:
    runbook = workspace / "swarm" / "runbook.txt"
    runbook.write_bytes((workspace / "swarm" / "played.txt").read_bytes())
    result = grade(workspace, "swarm", sandbox, persistent=True)
    assert {c.why for c in result.checks if c.outcome != "passed"} <= {"target"}
    assert result.score == result.max_score > 20
    for node in SandboxTarget(sandbox).nodes:
        state = typed(sandbox, node.name, "info", "--format", "{{.Swarm.LocalNodeState}}")
        assert state == "inactive"
        assert typed(sandbox, node.name, "ps", "--all", "--quiet") == ""
        assert left_of_submissions(node) == ""


def test_a_stack_is_looked_at(sandbox: Sandbox, workspace: Path) -> None:
    """The one test that makes its swarm by the kit: what it is about is the stack."""
    from grader.modules.swarm import Swarm

    target, name = SandboxTarget(sandbox), str(V["stack_name"])
    Swarm(target).form()
    checks = by_name(grade(workspace, "rollout", sandbox, read_only=True))
    failed = {name for name, check in checks.items() if check.outcome == "failed"}
    assert failed == {"deploys", "voting_up"}
    assert f"stack.yaml {name}" in (cause_of(checks["deploys"]).hint or "")

    for node in target.nodes:
        berth = "none" if node.name == V["app_spare"] else V["app_berth"]
        typed(sandbox, "manager1", "node", "update", "--label-add", f"berth={berth}", node.name)
    target.nodes[0].put(workspace / "rollout", "/root/rollout")
    for file, stack in (("stack", name), ("voting", f"{name}-voting")):
        typed(sandbox, "manager1", "stack", "deploy", "-c", f"/root/rollout/{file}.yaml", stack)
    versions = typed(sandbox, "manager1", "service", "inspect", "-f", "{{.Version}}", f"{name}_app")
    checks = by_name(grade(workspace, "rollout", sandbox, read_only=True))
    assert passed(checks) == {
        "stack_file", "deploys", "replicas", "placement", "health", "front_everywhere",
        "front_port", "networks", "voting_file", "voting_up", "voting_db", "voting_pages",
    }  # fmt: skip
    now = typed(sandbox, "manager1", "service", "inspect", "-f", "{{.Version}}", f"{name}_app")
    assert now == versions, "nothing of it was touched"
    assert {c.why for c in checks.values() if c.outcome == "not_graded"} == {"target"}


def test_an_exercise_on_one_node_leaves_the_swarm_as_it_is(sandbox: Sandbox) -> None:
    """The stack of the test before runs on; what was made on the node since is gone."""
    manager = SandboxTarget(sandbox).nodes[0]
    tasks = typed(sandbox, "manager1", "ps", "--quiet", "--filter", f"label={TASK}")
    networks = typed(sandbox, "manager1", "network", "ls", "--quiet")
    assert tasks

    slate = Cleanup([manager])
    slate.wipe()
    typed(sandbox, "manager1", "run", "--detach", "drydock/demo:1.0")
    typed(sandbox, "manager1", "network", "create", "mine")
    # The swarm goes on meanwhile: a task and a network of its own come to the node.
    here = ["--constraint", "node.hostname==manager1", "--network", "theirs"]
    typed(sandbox, "manager1", "network", "create", "--driver", "overlay", "theirs")
    typed(sandbox, "manager1", "service", "create", "--name", "new", *here, "drydock/demo:1.0")
    new = typed(sandbox, "manager1", "ps", "--quiet", "--filter", "name=new.1")
    slate.restore()

    def listed(*words: str) -> set[str]:
        return set(typed(sandbox, "manager1", *words).split())

    assert listed("ps", "--all", "--quiet", "--filter", f"label={TASK}") >= {*tasks.split(), new}
    assert listed("ps", "--quiet") == {*tasks.split(), new}
    assert {*networks.split()} < listed("network", "ls", "--quiet")
    assert "theirs" in listed("network", "ls", "--format", "{{.Name}}")
    assert "mine" not in listed("network", "ls", "--format", "{{.Name}}")
    assert "Leader" in typed(sandbox, "manager1", "node", "ls")


def test_a_node_itself_is_the_machine(sandbox: Sandbox, workspace: Path) -> None:
    """Only fresh puts anything on it, and leaves what provision.sh did there."""
    checks = by_name(grade(workspace, "webserver", sandbox, read_only=True))
    failed = {name for name, check in checks.items() if check.outcome == "failed"}
    assert failed == {"packages_installed"}
    node = SandboxTarget(sandbox).nodes[0]

    # A short build: the image is not what this is about.
    (workspace / "webserver" / "Dockerfile").write_text("FROM debian:bookworm\n", encoding="utf-8")
    checks = by_name(grade(workspace, "webserver", sandbox, persistent=True))
    there = {
        "script_present", "packages_installed", "nginx_config_valid", "services_listen",
        "machine_page", "machine_php", "base_allowed",
    }  # fmt: skip
    twice = {"provision_succeeds", "second_run"}
    assert {n for n, c in checks.items() if c.outcome == "passed"} == there | twice | {
        "image_builds"
    }
    assert left_of_submissions(node) == ""
    assert "submission" not in typed(sandbox, "manager1", "image", "ls")

    checks = by_name(grade(workspace, "webserver", sandbox, read_only=True))
    assert passed(checks) == there


def test_an_end_before_the_end_leaves_nothing(sandbox: Sandbox, workspace: Path) -> None:
    stop = threading.Event()
    exercise = LAB.exercise("swarm")

    def doing(_exercise: Exercise, sentence: str) -> None:
        if sentence.startswith("Look at the nodes"):  # After “ports”, which needs the probe.
            stop.set()

    run = ExerciseRun(
        lab=LAB,
        exercise=exercise,
        student=STUDENT,
        files=files.read(workspace, exercise.folders),
        key="",
        provider=Own(sandbox, read_only=True),
        progress=progress.Progress(doing=doing),
        stop=stop,
    )
    with pytest.raises(Stopped):
        run.run()
    assert "drydock" not in typed(sandbox, "manager1", "service", "ls", "--format", "{{.Name}}")
