"""`check --target local`: a student's own engine, with a sandbox's node in its place.

The student's commands are typed on the node, in a folder of the same path as the workspace has
here; the kit is told the node's socket, as DOCKER_HOST tells it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from grader import record
from grader.checks import CannotShow
from grader.engine import user_engine
from grader.engine.sandbox import Sandbox
from grader.engine.sandbox_target import SandboxTarget
from grader.grading import examples
from grader.lab import labfile
from grader.lab.variant import variant
from grader.nodes.node import Node
from grader.record import CheckResult
from grader.targets.local import LocalTarget
from tests.engine import kit

pytestmark = pytest.mark.engine

LAB = labfile.load("lab4")
STUDENT = LAB.demo_student
V = variant(LAB, STUDENT)

FILES = {"counter_file", "counter_images", "counter_services"}
FILES |= {name.replace("counter", "blog") for name in FILES} | {"life_runbook"}
COUNTER = {"counter_starts", "counter_counts", "counter_ports"}
BLOG = {
    "blog_starts", "blog_page", "blog_port", "blog_volume", "blog_not_published", "blog_front",
    "blog_restarts",
}  # fmt: skip


class Own:
    """A student at their own computer: types commands, and grades."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.node: Node = SandboxTarget(sandbox).nodes[0]
        self.workspace = folder / "mein Übungsblatt"
        self.out = folder / "out"
        self.where: list[str | Path] = [
            *("--student", STUDENT),
            *("--workspace", self.workspace),
            *("--out", self.out),
        ]
        (solution,) = examples.find(LAB, ["compose/solution"])
        examples.render(LAB, solution, STUDENT, self.workspace)
        self.url = f"unix://{sandbox.nodes[0].socket_path}"

    def type(self, folder: str, *words: object, at: Path | None = None) -> str:
        """`docker compose …` in a folder of the workspace; what it said."""
        place = str((at or self.workspace) / folder)
        self.node.put(self.workspace / folder, place)
        done = self.node.run(["docker", "compose", *map(str, words)], timeout=400, cwd=place)
        assert done.ok, done.out
        return done.out

    def look(self, *more: str | Path, code: int = 1) -> dict[str, CheckResult]:
        """Grade, and see that nothing has changed by it."""
        before = self.everything()
        self.said = kit.run("check", "lab4", "--target", "local", *self.where, *more)
        assert self.said.returncode == code, self.said.stdout + self.said.stderr
        assert self.everything() == before
        found = record.load(self.out / "record.json")
        assert found is not None
        return {check.id.partition(".")[2]: check for check in found.checks}

    def everything(self) -> str:
        """All that the engine has, but for what its own health checks note."""
        api: Any = self.node.docker.api
        containers = [api.inspect_container(c["Id"]) for c in api.containers(all=True)]
        for each in containers:
            each["State"].pop("Health", None)
            each.pop("ExecIDs", None)  # A health check is one for a moment.
        told = [
            sorted(containers, key=lambda c: c["Id"]),
            sorted(api.images(all=True), key=lambda i: i["Id"]),
            sorted((n["Id"], n["Name"]) for n in api.networks()),
            sorted((v["Name"], v["CreatedAt"]) for v in api.volumes()["Volumes"] or []),
        ]
        return json.dumps(told, sort_keys=True, indent=1)


@pytest.fixture(scope="module")
def own(engine: Any, image_set: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    with (
        Sandbox.create(engine, submission="local", image_set=image_set.volume) as sandbox,
        pytest.MonkeyPatch.context() as patch,
    ):
        student = Own(sandbox, tmp_path_factory.mktemp("own"))
        patch.setenv("DOCKER_HOST", student.url)
        yield student


def outcomes(checks: dict[str, CheckResult], outcome: str) -> set[str]:
    return {name for name, check in checks.items() if check.outcome == outcome}


def told(check: CheckResult) -> str:
    assert check.cause is not None
    return " ".join(str(value) for value in vars(check.cause).values())


def test_nothing_is_running(own: Own) -> None:
    checks = own.look()
    assert outcomes(checks, "passed") == FILES
    assert outcomes(checks, "failed") == {"counter_starts", "blog_starts"}
    words = told(checks["counter_starts"])
    assert "Your project counter is not running." in words
    assert f"`docker compose up -d` in {own.workspace / 'counter'}" in words
    assert "no Compose project runs" in words


def test_what_runs_is_graded_and_the_rest_is_not(own: Own) -> None:
    own.type("counter", "up", "-d", "--build")
    own.type("blog", "up", "-d")
    checks = own.look(code=0)
    assert outcomes(checks, "passed") == FILES | COUNTER | BLOG
    assert outcomes(checks, "failed") == set()
    unseen = [check for check in checks.values() if check.outcome == "not_graded"]
    assert {check.why for check in unseen} == {"target"}
    changes = [c for c in unseen if c.id != "compose.counter_scales"]
    assert all("would change what is running" in told(check) for check in changes)
    found = record.load(own.out / "record.json")
    assert found is not None
    assert found.score == found.max_score < 25 - 5
    assert found.exercises[0].target["kind"] == "local"
    assert "Without --target local" in own.said.stdout


def test_no_event_but_those_of_health_checks(own: Own) -> None:
    own.type("blog", "up", "-d")
    api: Any = own.node.docker.api
    since = own.node.run(["date", "+%s.%N"], timeout=20).out.strip()
    own.look(code=0)
    until = own.node.run(["date", "+%s.%N"], timeout=20).out.strip()
    happened = [e["Action"] for e in api.events(since=since, until=until, decode=True)]
    assert {action.partition(":")[0] for action in happened} <= {
        "exec_create", "exec_start", "exec_die", "health_status",
    }  # fmt: skip
    typed = [a for a in happened if a.startswith("exec_create")]
    assert all("ping" in action for action in typed), typed


def test_scaled_by_hand_it_is_graded(own: Own) -> None:
    own.type("counter", "up", "-d", "--scale", f"web={V['counter_replicas']}")
    checks = own.look(code=0)
    assert checks["counter_scales"].outcome == "passed"


def test_what_is_wrong_fails(own: Own) -> None:
    blog = own.workspace / "blog" / "compose.yaml"
    right = blog.read_text(encoding="utf-8")
    said = yaml.safe_load(right)
    del said["services"]["db"]["restart"]
    said["services"]["db"]["ports"] = ["3306:3306"]
    said["services"]["db"]["networks"].append(V["front_network"])
    blog.write_text(yaml.safe_dump(said), encoding="utf-8")
    own.type("blog", "up", "-d")
    checks = own.look()
    blog.write_text(right, encoding="utf-8")
    assert outcomes(checks, "failed") == {"blog_not_published", "blog_front", "blog_restarts"}


def test_stopped_elsewhere_and_twice(own: Own, tmp_path: Path) -> None:
    own.type("counter", "stop")
    words = told(own.look()["counter_starts"])
    assert "Your project counter is not running." in words
    assert "exited" in words

    own.type("counter", "down")
    own.type("counter", "up", "-d", at=tmp_path)
    words = told(own.look()["counter_starts"])
    assert "runs from another folder" in words
    assert str(tmp_path / "counter") in words

    own.type("counter", "down", at=tmp_path)
    own.type("counter", "-p", "one", "up", "-d", "redis")
    own.type("counter", "-p", "two", "up", "-d", "redis")
    words = told(own.look()["counter_starts"])
    assert "Several projects run from this folder: one, two." in words


def test_the_client_asks_and_nothing_else(own: Own) -> None:
    before = own.everything()
    target = LocalTarget(user_engine.find_personal(), own.workspace)
    here: Any = target.nodes[0]
    api = here.docker.api
    (some, *_) = api.containers()
    changes: tuple[Callable[[], object], ...] = (
        lambda: api.stop(some["Id"]),
        lambda: api.remove_container(some["Id"], force=True),
        lambda: api.exec_create(some["Id"], ["true"]),
        lambda: api.create_volume("new"),
        lambda: api.put_archive(some["Id"], "/tmp", b""),
        lambda: here.run(["true"], timeout=5),
        lambda: here.put({"a": b""}, "/x"),
    )
    for change in changes:
        with pytest.raises(CannotShow):
            change()
    target.close()
    assert own.everything() == before


def test_no_engine_of_ones_own(own: Own, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    checks = own.look(code=3)
    assert outcomes(checks, "passed") == FILES
    assert {c.why for c in checks.values() if c.outcome == "not_graded"} <= {"engine"}
    assert "No Docker engine answers at DOCKER_HOST=unix:///nowhere/docker.sock" in " ".join(
        own.said.stdout.split()
    )
    assert "systemctl start docker" in own.said.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--exercise", "swarm"], "--target local shows compose"),
        (["--fresh"], "--fresh has no effect"),
    ],
)
def test_what_cannot_be_looked_at_says_so(own: Own, words: list[str], expected: str) -> None:
    done = kit.run("check", "lab4", "--target", "local", "--student", STUDENT, *words)
    assert done.returncode == 2
    assert expected in done.stderr


def test_watched_it_is_graded_again_when_something_is_typed(own: Own) -> None:
    for project in ("one", "two"):
        own.type("counter", "-p", project, "down")
    own.type("blog", "up", "-d")
    watched = kit.Running("check", "lab4", "--target", "local", "--watch", *own.where)
    watched.until("Watching your files and your Docker")
    own.type("counter", "up", "-d")
    watched.until("your containers have changed")
    watched.until("Watching your files and your Docker")
    assert watched.interrupt() == 0, watched.said
    assert "passed now, was failed: `docker compose up -d` builds and starts the counter" in (
        " ".join(watched.said.split())
    )
    assert "Stopped watching." in watched.said
