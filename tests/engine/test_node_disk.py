"""A node's disks: nothing that a submission writes gets past them, and they say of no other run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from grader.engine import disk, orphans
from grader.engine.client import Engine
from grader.engine.images.sets import ImageSet
from grader.engine.node_limits import Limits
from grader.engine.sandbox import Sandbox
from grader.engine.sandbox_target import SandboxTarget
from grader.grading import progress, submission
from grader.lab import model as labs
from grader.nodes.node import Target
from grader.targets.providers import Sandboxes
from tests.unit import toy_lab

pytestmark = pytest.mark.engine

SMALL = Limits(disk_mb=400)


@pytest.fixture(scope="module")
def sandbox(engine: Engine, image_set: ImageSet) -> Iterator[Sandbox]:
    with Sandbox.create(engine, image_set=image_set.volume, limits=SMALL) as made:
        if not made.nodes[0].disk_limited:
            pytest.skip("disks are limited where the kit is root on its own engine")
        yield made


def test_a_container_cannot_write_more_to_the_submissions_folder_than_there_is(
    sandbox: Sandbox,
) -> None:
    """A folder of the submission that is mounted into it lies on the node, not on its image."""
    (node,) = sandbox.nodes
    node.put({"compose.yaml": b"services: {}\n"}, "/drydock/app")
    fill = ["dd", "if=/dev/zero", "of=/data/x", "bs=1M", "count=300"]
    mounted = ["-v", "/drydock/app:/data", "--network", "none", "alpine:3"]
    done = node.run(["docker", "run", "--rm", *mounted, *fill], timeout=120)
    assert not done.ok
    assert "No space left" in done.out
    listed = node.run(["ls", "/drydock", "/drydock/app"], timeout=20).out.split()
    assert sorted(listed) == ["/drydock/app:", "/drydock:", "app", "compose.yaml", "x"]
    again = node.run(["docker", "run", "--rm", "--network", "none", "alpine:3", "true"], timeout=60)
    assert again.ok, "its engine still has room"


def test_no_node_sees_where_the_files_of_other_runs_lie(sandbox: Sandbox) -> None:
    seen = (
        sandbox.nodes[0]
        .run(["sh", "-c", "cat /sys/class/block/*/loop/backing_file; echo"], timeout=20)
        .out
    )
    assert sandbox.id not in seen
    devices = orphans.loops(disk.folder(sandbox.id))
    assert len(devices) == 2
    for device in devices:
        shown = Path("/sys/block", Path(device).name, "loop/backing_file").read_text()
        assert shown.strip() == "/"


def test_devices_are_found_when_their_files_are_gone(sandbox: Sandbox, engine: Engine) -> None:
    place = disk.folder("a-test")
    device = disk.make("a-test", "manager1", 64, engine.mapped_uid)
    try:
        assert orphans.loops(place) == [device]
        (place / "manager1.img").unlink()
        assert orphans.loops(place) == [device]
    finally:
        orphans.detach_loops(place)
        disk.remove_all("a-test")
    assert orphans.loops(place) == []


class Full(Sandboxes):
    """Sandboxes whose nodes have got less disk than their limit, and have used it up."""

    @contextmanager
    def target(self, exercise: labs.Exercise, student: str) -> Iterator[Target]:
        with super().target(exercise, student) as target:
            assert isinstance(target, SandboxTarget)
            place = disk.folder(target.sandbox.id)
            (place / disk.LOWERED).touch()
            filled = target.nodes[0].run(
                ["sh", "-c", "head -c 400M /dev/zero > /drydock/x"], timeout=60
            )
            assert "No space left" in filled.out
            assert target.nodes[0].run(["sync", "/drydock/x"], timeout=60).ok
            yield target


def test_what_fails_for_want_of_disk_that_was_not_there_is_not_graded(
    engine: Engine, image_set: ImageSet, sandbox: Sandbox, tmp_path: Path
) -> None:
    lab = toy_lab.make(tmp_path)
    workspace = tmp_path / "workspace"
    (workspace / "words").mkdir(parents=True)
    (workspace / "words/words.txt").write_text("something else\n", encoding="utf-8")
    request = submission.Request(lab, "s1234567", workspace, tmp_path / "r.json", ["words"])

    def graded(provider: Sandboxes) -> dict[str, tuple[str, str | None]]:
        planned = submission.plan(request)
        found = submission.grade(request, planned, provider, progress.Progress(), submission.Stop())
        return {check.id: (check.outcome, check.why) for check in found.checks}

    full = graded(Full(engine, image_set, SMALL))
    assert full["words.there"] == ("passed", None)
    assert full["words.hello"] == ("not_graded", "grader")
    assert graded(Sandboxes(engine, image_set, SMALL))["words.hello"] == ("failed", None)
