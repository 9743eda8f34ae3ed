"""An image: built from a folder on a node, looked at, and run.

    build = build_image(node, "/drydock/webserver", "webserver", seconds=300)
    build.ok, build.image  # (True, Image('sha256:…'))
    build.image.left_in_layers("debian:bookworm", "var/lib/apt/lists")  # []
    with_page = Running.start(node, build.image, port=80)
    get(node.address, with_page.published).status  # 200
    with_page.stop(grace=10)  # Stopped(seconds=0.2, exit_code=0)

A `Running` container answers the questions of grader.modules.inside, too.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from grader.errors import EngineFault
from grader.modules.confined import confined
from grader.modules.inside import Inside
from grader.nodes.commands import log

if TYPE_CHECKING:
    from grader.nodes.node import Completed, Node

OUTPUT = 64_000
"""Bytes of a program's output that are read from its log."""

SECOND = 1_000_000_000
"""Nanoseconds, in which the Engine API counts."""


@dataclass(frozen=True)
class Build:
    """The result of a build: its output, and the image if there is one."""

    done: Completed
    image: Image | None

    @property
    def ok(self) -> bool:
        return self.image is not None


class Image:
    """An image on a node."""

    def __init__(self, node: Node, name: str) -> None:
        self.node = node
        self.name = name
        self.data: dict[str, Any] = node.docker.images.get(name).attrs

    def __repr__(self) -> str:
        return f"Image({self.data['Id']!r})"

    @property
    def id(self) -> str:
        return str(self.data["Id"])

    @property
    def command(self) -> list[str]:
        """ENTRYPOINT and CMD together: what a container of it runs."""
        config = self.data.get("Config") or {}
        return [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]

    @property
    def healthcheck(self) -> dict[str, Any]:
        """The engine's data about the HEALTHCHECK (`Test`, `Interval`, …), empty if there is
        none."""
        said = dict((self.data.get("Config") or {}).get("Healthcheck") or {})
        return {} if said.get("Test", ["NONE"])[:1] == ["NONE"] else said

    @property
    def exposed(self) -> list[str]:
        """The ports of EXPOSE: `['80/tcp']`."""
        return sorted((self.data.get("Config") or {}).get("ExposedPorts") or {})

    @property
    def labels(self) -> dict[str, str]:
        """The labels of LABEL."""
        return dict((self.data.get("Config") or {}).get("Labels") or {})

    @property
    def environment(self) -> dict[str, str]:
        """The variables of ENV."""
        said = (self.data.get("Config") or {}).get("Env") or []
        return dict(entry.split("=", 1) for entry in said if "=" in entry)

    @property
    def size(self) -> int:
        """Bytes of all its layers, including those of its base image."""
        return int(self.data["Size"])

    @property
    def layers(self) -> dict[str, str]:
        """Its layers from bottom to top: digest, and folder on the node.

        Raises EngineFault if the engine does not store layers as folders.
        """
        driver = (self.data.get("GraphDriver") or {}).get("Data") or {}
        if "UpperDir" not in driver:
            raise EngineFault("The engine does not say where an image's layers are.")
        folders = [driver["UpperDir"], *filter(None, driver.get("LowerDir", "").split(":"))]
        return dict(zip(self.data["RootFS"]["Layers"], reversed(folders), strict=True))

    def left_in_layers(self, base: str | None, *folders: str) -> list[str]:
        """Files below `folders` in any layer above the image `base` (None: in all layers).

        This includes files that a later layer hides, because the image still contains them. Paths
        from the image's root, each once. Raises EngineFault like `layers`.
        """
        below = len(Image(self.node, base).data["RootFS"]["Layers"]) if base else 0
        layers = list(self.layers.values())[below:]
        places = [f"{layer}/{folder}" for layer in layers for folder in folders]
        if not places:
            return []
        # Its exit code tells of folders that are not there: most are not.
        listed = self.node.run(
            ["find", *places, "-type", "f", "-size", "+0", "-printf", "%p\\n"], timeout=60
        )
        if listed.timed_out:
            raise EngineFault("The node does not answer: find")
        return sorted(
            {
                line.removeprefix(f"{layer}/")
                for line in listed.out.splitlines()
                for layer in layers
                if line.startswith(f"{layer}/")
            }
        )

    def run(self, argv: Sequence[str], *, seconds: float) -> Completed:
        """`docker run IMAGE ARGV…`, without a network, ended after `seconds`; then it is removed.

        Raises EngineFault if it cannot be removed.
        """
        from docker.errors import APIError, NotFound

        name = f"run-{secrets.token_hex(4)}"
        options = ["--name", name, "--network", "none", "--label", "drydock.role=submission"]
        api = self.node.docker.api
        done = self.node.run(["docker", "run", *options, self.id, *argv], timeout=seconds)
        if not done.out.strip():
            # On a busy machine the output of a program that ends at once gets lost on its way to
            # `docker run`, though never on its way to the log. Not every engine keeps one.
            with contextlib.suppress(APIError):
                kept = log(self.node.docker, name, lines="all", keep=OUTPUT)
                done = replace(done, out=kept.decode("utf-8", errors="replace"))
        try:
            api.remove_container(name, v=True, force=True)
        except NotFound:
            return done  # It was never made, and `out` says why.
        except APIError as error:
            raise EngineFault(f"A container cannot be removed: {error}") from error
        return done

    def remove(self) -> None:
        """Remove it; nothing happens if it is gone or in use."""
        from docker.errors import APIError

        try:
            self.node.docker.api.remove_image(self.name)
        except APIError as error:
            if error.status_code not in (404, 409):
                raise EngineFault(f"An image cannot be removed: {error}") from error


def build_image(
    node: Node,
    context: str,
    tag: str,
    *,
    seconds: float,
    arguments: Mapping[str, str] | None = None,
    keep: int = 64_000,
) -> Build:
    """`docker build` of the folder `context` on the node, ended after `seconds`.

    `arguments` are passed as `--build-arg`. Only images that the Dockerfile names and the node does
    not have are pulled, so vet it first, with the same arguments.
    """
    given = [word for k, v in (arguments or {}).items() for word in ("--build-arg", f"{k}={v}")]
    named = ["--file", "Dockerfile", "--tag", tag]
    done = confined(
        node,
        ["docker", "build", "--progress=plain", *given, *named, "."],
        cwd=context,
        timeout=seconds,
        keep=keep,
    )
    return Build(done, Image(node, tag) if done.ok else None)


class WillNotStart(Exception):
    """The engine cannot start a container of this image; `reason` is the engine's message."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Stopped:
    """How a container ended when it was told to stop: after how many seconds, with which exit
    code."""

    seconds: float
    exit_code: int

    @property
    def killed(self) -> bool:
        """It did not end by itself, so the engine killed it."""
        return self.exit_code == 137


class Running(Inside):
    """A container of an image, run as `docker run --detach --publish …:PORT IMAGE`."""

    port: int

    @classmethod
    def start(
        cls,
        node: Node,
        image: Image,
        port: int,
        health_interval: float = 1.0,
        environment: Mapping[str, str] | None = None,
    ) -> Running:
        """Start it; its `port` is published on a free port of the node.

        `environment` is passed as `--env`.

        The image's HEALTHCHECK runs every `health_interval` seconds, so that its result comes soon;
        everything else is as in the image. Raises WillNotStart if the engine cannot start it.
        """
        from docker.errors import APIError

        api = node.docker.api
        check = image.healthcheck
        often = {"Interval": min(int(health_interval * SECOND), check.get("Interval") or SECOND)}
        try:
            made = api.create_container(
                image.id,
                labels={"drydock.role": "submission"},
                ports=[port],
                environment=dict(environment or {}),
                healthcheck=often if check else None,
                host_config=api.create_host_config(port_bindings={port: None}),
            )
        except APIError as error:
            raise WillNotStart(_said(error)) from None
        running = cls(node, made["Id"])
        running.port = port
        try:
            api.start(running.id)
        except APIError as error:
            running.remove()
            raise WillNotStart(_said(error)) from None
        return running

    @property
    def published(self) -> int:
        """The node's port for the container's port; 0 while it does not run."""
        ports = self.now().host_ports(self.port)
        return ports[0] if ports else 0

    @property
    def last_probe(self) -> dict[str, Any]:
        """The HEALTHCHECK's last result: `ExitCode` and `Output`; empty if there is none yet."""
        return dict((self._health.get("Log") or [{}])[-1])

    @property
    def failing_probes(self) -> int:
        """How many times in a row the HEALTHCHECK has failed."""
        return int(self._health.get("FailingStreak", 0))

    @property
    def _health(self) -> dict[str, Any]:
        return (self.now().data.get("State") or {}).get("Health") or {}

    def stop(self, grace: int) -> Stopped:
        """`docker stop`: sends the image's stop signal, and kills after `grace` seconds."""
        started = time.monotonic()
        self.node.docker.api.stop(self.id, timeout=grace)
        seconds = time.monotonic() - started
        return Stopped(round(seconds, 1), self.now().exit_code)


def _said(error: Any) -> str:
    """The engine's error message, without the parts that only its developers understand."""
    told = str(error.explanation or error)
    return told.rpartition("runc create failed: ")[2].removesuffix(": unknown").strip()
