"""One sandbox for tests of the images, with few words for what they do with containers."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

from docker import DockerClient
from docker.models.containers import Container

from grader.engine.sandbox import Sandbox
from grader.modules import http
from grader.waiting import wait_until
from tests.engine import execs

ports = itertools.count(18000)


class Box:
    """The engine of a sandbox's only node."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.node = sandbox.nodes[0]
        self.docker = self.node.docker

    @contextlib.contextmanager
    def running(
        self, image: str, command: list[str] | None = None, port: int = 0, **options: Any
    ) -> Iterator[Running]:
        """A container, removed with its volumes in the end; `port` is published somewhere."""
        outside = next(ports) if port else 0
        if port:
            options["ports"] = {f"{port}/tcp": outside}
        container = self.docker.containers.run(image, command, detach=True, **options)
        try:
            yield Running(self.docker, container, self.node.address, outside)
        finally:
            container.remove(v=True, force=True)

    def output(self, image: str, command: list[str], **options: Any) -> str:
        """What a container says that ends by itself and well."""
        said = self.docker.containers.run(
            image, command, remove=True, stdout=True, stderr=True, **options
        )
        return bytes(said).decode()

    def build(self, files: dict[str, str]) -> str:
        """An image from a student's files, built as `docker build` in the node does."""
        folder = f"/tmp/build-{next(ports)}"
        self.node.put({name: text.encode() for name, text in files.items()}, folder)
        tag = f"test/{folder.rsplit('-')[-1]}:1"
        done = self.node.run(
            ["docker", "build", "--progress", "plain", "--tag", tag, folder], timeout=180
        )
        assert done.ok, done.tail(30)
        return tag


class Running:
    """A running container."""

    def __init__(self, docker: DockerClient, container: Container, address: str, port: int) -> None:
        self.docker = docker
        self.container = container
        self.address = address
        self.port = port

    def get(self, path: str = "/", within: float = 20) -> http.Answer:
        """The first answer to a request for the published port."""
        answer = wait_until(lambda: http.get(self.address, self.port, path), within=within)
        assert answer, f"no answer; the container says:\n{self.log()}"
        return answer

    def execute(self, *argv: str, **options: Any) -> tuple[int, str]:
        assert self.container.id is not None
        return execs.execute(self.docker, self.container.id, argv, **options)

    def out(self, *argv: str, **options: Any) -> str:
        code, said = self.execute(*argv, **options)
        assert code == 0, said
        return said.strip()

    def log(self, **options: Any) -> str:
        return bytes(self.container.logs(**options)).decode("utf-8", errors="replace")

    def stop(self, seconds: int = 10) -> int:
        """Stop in order; the exit code. 137 means that it had to be killed."""
        self.container.stop(timeout=seconds)
        return int(self.container.wait(timeout=60)["StatusCode"])
