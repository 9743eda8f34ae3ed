"""Upstream images are pulled from a registry, where one is named: here one of the test's own."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.engine import images, packages
from grader.engine.images import catalogue, sets
from grader.engine.sandbox import Sandbox
from grader.engine.sources import pull
from grader.modules import http
from grader.waiting import wait_until
from tests.engine.images.box import Box

pytestmark = pytest.mark.engine

# `small` is in the registry; `other` is not, and is built.
CATALOGUE = """
images:
  small: {tags: ["small:1"], upstream: "small:up", recipe: small}
  other: {tags: ["other:1"], upstream: "other:up", recipe: small}
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HOST:PORT of an empty registry on loopback (Debian's docker-registry)."""
    if packages.program("docker-registry") is None:
        if not packages.can_install():
            pytest.skip("Debian's docker-registry is not here and may not be installed")
        packages.apt_install(["docker-registry"], "to test pulling")
    folder: Path = tmp_path_factory.mktemp("registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = folder / "config.yml"
    config.write_text(
        "version: 0.1\nlog: {level: warn}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'data'}}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n",
        encoding="utf-8",
    )
    program = packages.program("docker-registry") or "docker-registry"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(config)], stdout=log, stderr=log)
    try:
        assert wait_until(lambda: http.get("127.0.0.1", port, "/v2/"), within=20)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture
def recipes(engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two images that would be built from nothing but a file."""
    if not engine.local:
        pytest.skip("the engine does not see this machine's loopback")
    (tmp_path / "small").mkdir()
    (tmp_path / "site").mkdir()
    (tmp_path / "small" / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n", "utf-8")
    for file in (catalogue.FOLDER / "site").iterdir():
        (tmp_path / "site" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE, "utf-8")
    monkeypatch.setattr(sets, "PREFIX", "drydock-test-pull-")
    monkeypatch.setattr(catalogue, "FOLDER", tmp_path)
    yield
    with contextlib.closing(engine.client()) as client:
        sets.remove_others(client, "none of them")


def push(engine: Any, box: Box, registry: str) -> str:
    """Put the set's alpine into the registry as small:up; its name there."""
    repository = f"{registry}/library/small"
    name = f"{repository}:up"
    box.docker.images.get("alpine:3").tag(repository, "up")
    with contextlib.closing(engine.client(timeout=300)) as client:
        client.images.load(box.docker.api.get_image(name))
        box.docker.images.remove(name)
        said = client.api.push(repository, tag="up", stream=True, decode=True)
        assert [event["error"] for event in said if "error" in event] == []
        client.images.remove(name)
    return name


def test_what_the_registry_has_is_pulled_and_the_rest_is_built(
    engine: Any, box: Box, registry: str, recipes: None, capsys: pytest.CaptureFixture[str]
) -> None:
    name = push(engine, box, registry)
    made = images.build(engine, pull.choose(registry))
    assert made.images["small"]["origin"].startswith(f"pulled {name.rsplit(':', 1)[0]}@sha256:")
    assert made.images["other"]["origin"] == "built"
    with Sandbox.create(engine, image_set=made.volume) as sandbox:
        nested = sandbox.nodes[0].docker
        assert {tag for image in nested.images.list() for tag in image.tags} == {
            "small:1",
            "other:1",
        }
        assert nested.containers.run("small:1", ["echo", "pulled"], remove=True) == b"pulled\n"
    with contextlib.closing(engine.client()) as client:
        assert [i for i in client.images.list() if name in i.tags] == [], "left on the engine"
    # A pulled set is as good as a built one: nothing is made again.
    capsys.readouterr()
    assert images.ensure(engine) == made
    assert capsys.readouterr().err == ""


def test_a_registry_that_does_not_answer_is_said_once_and_done_without(
    engine: Any, recipes: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as no_one:
        no_one.bind(("127.0.0.1", 0))
        made = images.build(engine, pull.choose(f"127.0.0.1:{no_one.getsockname()[1]}"))
    assert {image["origin"] for image in made.images.values()} == {"built"}
    assert capsys.readouterr().err.count("does not answer") == 1
