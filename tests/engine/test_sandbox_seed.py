"""A sandbox has the image set in no time, and keeps it through a restart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from docker.errors import APIError, ImageNotFound

from grader.engine.client import Engine
from grader.engine.images import sets
from grader.engine.sandbox import Sandbox, SandboxNode, builder
from tests.engine.images.attacks import ATTACKS

pytestmark = pytest.mark.engine

SAY = ["docker", "run", "--rm", "--network", "none", "alpine:3", "echo", "from the set"]


@pytest.fixture(scope="module")
def node(engine: Engine, image_set: Any) -> Iterator[SandboxNode]:
    with Sandbox.create(engine, image_set=image_set.volume) as made:
        yield made.nodes[0]


def test_all_images_of_the_set_are_there(node: SandboxNode, image_set: Any) -> None:
    assert image_set.images
    have = {image.id for image in node.docker.images.list()}
    for name, fields in image_set.images.items():
        assert fields["id"] in have, name


def test_they_take_next_to_no_space(node: SandboxNode) -> None:
    if not node.disk_limited:
        pytest.skip("only a disk of its own tells what is the node's")
    used = node.run(["df", "--output=used", "--block-size=1M", "/var/lib/docker"], timeout=60)
    assert 0 < int(used.out.split()[-1]) < 100


def test_containers_run_from_them(node: SandboxNode) -> None:
    assert node.run(SAY, timeout=60).out == "from the set\n"


def test_a_build_on_them_stays_in_this_node(engine: Engine, node: SandboxNode) -> None:
    files = {"Dockerfile": b"FROM alpine:3\nRUN rm /bin/sh.gone 2>/dev/null; echo mine > /mine\n"}
    node.put(files, "/srv/build")
    built = node.run(["docker", "build", "-t", "mine", "."], cwd="/srv/build", timeout=120)
    assert built.ok, built.out
    shown = node.run(["docker", "run", "--rm", "mine", "cat", "/mine"], timeout=60)
    assert shown.out == "mine\n"


def test_an_image_of_the_set_can_be_removed_and_others_still_have_it(
    engine: Engine, node: SandboxNode, image_set: Any
) -> None:
    removed = node.run(["docker", "rmi", "--force", "redis:7"], timeout=60)
    assert removed.ok, removed.out
    with Sandbox.create(engine, image_set=image_set.volume) as other:
        assert other.nodes[0].docker.images.get("redis:7")


def test_the_set_itself_cannot_be_written_to(node: SandboxNode) -> None:
    assert not node.run(["touch", "/seed/x"], timeout=20).ok
    layers = ["sh", "-c", "for d in /var/lib/docker/overlay2/*/diff; do touch $d/x; done"]
    done = node.run(layers, timeout=20)
    assert "Read-only file system" in done.out


def test_nothing_that_root_of_another_node_does_is_in_this_one(
    engine: Engine, node: SandboxNode, image_set: Any
) -> None:
    if engine.isolation != "userns":
        pytest.skip("root there is root here")
    layer = "$(docker image inspect -f '{{.GraphDriver.Data.UpperDir}}' alpine:3)"
    with Sandbox.create(engine, image_set=image_set.volume) as other:
        script = f"layer={layer}\n{ATTACKS}"
        other.nodes[0].run(["sh", "-c", script], timeout=60)
        assert node.run(SAY, timeout=60).out == "from the set\n"
    assert sets.changed(engine, image_set, thorough=True) is None


def test_a_node_that_was_killed_and_started_again_still_has_it(node: SandboxNode) -> None:
    node.outer.api.kill(node.container_id)
    node.outer.api.start(node.container_id)
    node.wait_ready()
    assert node.run(SAY, timeout=60).out == "from the set\n"


def test_what_a_builder_leaves_seeds_nodes(engine: Engine) -> None:
    client = engine.client()
    volume = client.volumes.create(labels={"drydock.role": "test"})
    try:
        with builder(engine, volume.name) as node:
            packed = "tar -C / -chf - usr/bin/tini lib64/ld-linux-x86-64.so.2 | docker import - b:1"
            assert node.run(["sh", "-c", packed], timeout=60).ok
        with Sandbox.create(engine, image_set=volume.name) as made:
            assert made.nodes[0].docker.images.get("b:1")
        with Sandbox.create(engine) as made, pytest.raises(ImageNotFound):
            made.nodes[0].docker.images.get("b:1")
    finally:
        volume.remove()
        client.close()


def test_docker_hub_is_not_asked(node: SandboxNode) -> None:
    with pytest.raises(APIError, match=r"127\.0\.0\.1"):
        node.docker.images.pull("no-such-image", tag="1")
