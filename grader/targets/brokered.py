"""A sandbox as the process of checks sees it: it asks `broker` for everything.

See grader.targets.broker.
"""

from __future__ import annotations

import contextlib
import socket
import tarfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import docker
import testinfra.host
from testinfra.backend.base import BaseBackend, CommandResult

from grader.engine import archive
from grader.engine.sandbox_target import NodesTarget
from grader.errors import EngineFault
from grader.nodes import reach
from grader.nodes.node import Completed
from grader.targets import frames

ENGINE_SECONDS = 60
"""The most that one request to a node's engine may take."""


class Line:
    """The way to the process that made the target; `handle` was inherited from it."""

    def __init__(self, handle: int) -> None:
        self._control = socket.socket(fileno=handle)
        self._control.set_inheritable(False)
        self._lock = threading.Lock()
        self._free: list[socket.socket] = []

    @contextmanager
    def channel(self) -> Iterator[socket.socket]:
        """A channel for one request at a time; one on which something went wrong is closed."""
        with self._lock:
            channel = self._free.pop() if self._free else self._new()
        try:
            yield channel
        except BaseException:
            channel.close()  # whatever was asked for on it ends
            raise
        with self._lock:
            self._free.append(channel)

    def _new(self) -> socket.socket:
        try:
            self._control.sendall(b".")
            channel = frames.take_over(self._control)
        except OSError as error:
            raise EngineFault(f"The grader's own process is gone: {error}") from None
        if channel is None:
            raise EngineFault("The checks send too many requests at once.")
        return channel

    def ask(self, channel: socket.socket, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """The answer to a request; EngineFault where it could not be done."""
        frames.send(channel, header)
        return self.answer(channel)

    def answer(self, channel: socket.socket) -> tuple[dict[str, Any], bytes]:
        answer, body = frames.receive(channel)
        if "fault" in answer:
            what, where, remedy = answer["fault"]
            raise EngineFault(what, where=where, remedy=remedy)
        return answer, body


class BrokeredNode:
    """See grader.nodes.node.Node."""

    workspace: Path | None = None

    def __init__(self, line: Line, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self._line = line
        self._lock = threading.RLock()
        self._docker: docker.DockerClient | None = None
        reach.relay(address, self.open)

    def __repr__(self) -> str:
        return f"<node {self.name}>"

    @property
    def docker(self) -> docker.DockerClient:
        from grader.engine import bounded

        with self._lock:
            if self._docker is None:
                self._docker = bounded.client(self._dial, ENGINE_SECONDS)
            return self._docker

    @property
    def host(self) -> Any:
        return testinfra.host.Host(NodeBackend(self))

    def machine(self, container: str) -> Any:
        from grader.engine.testinfra_host import container_host

        return container_host(self.docker, container)

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        cwd: str = "/",
        env: Mapping[str, str] | None = None,
        keep: int = 64_000,
    ) -> Completed:
        answer, said = self._ask(
            "run",
            argv=list(argv),
            timeout=timeout,
            cwd=cwd,
            env={name: str(value) for name, value in (env or {}).items()},
            keep=keep,
        )
        text = said.decode("utf-8", errors="replace")
        return Completed(tuple(argv), answer["rc"], text, answer["seconds"])

    def execute(self, argv: Sequence[str], seconds: float) -> tuple[int, bytes, bytes]:
        """Exit code, standard output and standard error of a command on the node."""
        answer, said = self._ask("execute", argv=list(argv), seconds=seconds)
        return answer["rc"], said[: answer["out"]], said[answer["out"] :]

    def put(self, source: Path | Mapping[str, bytes], dest: str) -> None:
        with (
            archive.pack(source) as packed,
            tarfile.open(fileobj=packed) as tar,
            self._asking() as channel,
        ):
            members = tar.getmembers()
            entries = [archive.entry_of(member) for member in members]
            asked = {"do": "put", "node": self.name, "dest": dest, "entries": entries}
            frames.send(channel, asked)
            for member in members:
                content = tar.extractfile(member)
                while content is not None and (piece := content.read(1 << 20)):
                    frames.send_bytes(channel, piece)
            self._line.answer(channel)

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        with self._asking() as channel:
            self._line.ask(channel, {"do": "cut off", "node": self.name})
            try:
                yield
            finally:
                frames.send_bytes(channel, b".")
                self._line.answer(channel)

    def open(self, port: int, timeout: float) -> socket.socket:
        """A connection to a port of the node; OSError where there is none within `timeout` s."""
        made = self._connected("open", port=port, timeout=timeout)
        made.settimeout(timeout)
        return made

    def close(self) -> None:
        """Let go of connections."""
        reach.forget(self.address, self.open)
        with self._lock:
            if self._docker is not None:
                with contextlib.suppress(Exception):
                    self._docker.close()
            self._docker = None

    def _dial(self) -> socket.socket:
        return self._connected("engine")

    def _connected(self, do: str, **more: Any) -> socket.socket:
        with self._asking() as channel:
            answer, _ = self._line.ask(channel, {"do": do, "node": self.name, **more})
            made = None if answer else frames.take_over(channel)
        if made is None:
            _raise(answer)
        return made

    def _ask(self, do: str, **more: Any) -> tuple[dict[str, Any], bytes]:
        with self._asking() as channel:
            return self._line.ask(channel, {"do": do, "node": self.name, **more})

    @contextmanager
    def _asking(self) -> Iterator[socket.socket]:
        try:
            with self._line.channel() as channel:
                yield channel
        except frames.Ended as error:
            raise EngineFault(f"{self.name} can no longer be reached: {error}") from None


def _raise(answer: dict[str, Any]) -> NoReturn:
    """What kept a connection from being made, as if it had happened here."""
    if "timeout" in answer:
        raise TimeoutError(answer["timeout"])
    if answer["errno"] is None:
        raise ConnectionError(answer["error"])
    raise OSError(answer["errno"], answer["error"])


class NodeBackend(BaseBackend):  # type: ignore[misc]  # testinfra has no types
    """Commands on a node itself."""

    NAME = "drydock-node"

    def __init__(self, node: BrokeredNode):
        self.node = node
        super().__init__(node.name)

    def run(self, command: str, *args: str, **_kwargs: Any) -> CommandResult:
        """Run by the node's `/bin/sh`; exit code 124 and a word on stderr at the time-out."""
        from grader.engine.testinfra_host import SECONDS

        said = self.get_command(command, *args)
        argv = ["timeout", "-s", "KILL", f"{SECONDS:g}", "/bin/sh", "-c", said]
        rc, out, err = self.node.execute(argv, SECONDS + 5)
        return self.result(rc, self.encode(said), out, err)


class BrokeredTarget(NodesTarget):
    """See grader.nodes.node.Target."""

    @classmethod
    def attach(cls, description: dict[str, Any]) -> BrokeredTarget:
        line = Line(description["broker"])
        nodes = [BrokeredNode(line, **node) for node in description["nodes"]]
        return cls(
            description["kind"],
            nodes,
            read_only=description["read_only"],
            persistent=description["persistent"],
            timeout_factor=description["timeout_factor"],
        )

    def describe(self) -> dict[str, Any]:
        raise EngineFault("A brokered target belongs to one process.")

    def facts(self) -> dict[str, Any]:
        raise EngineFault("Its maker knows these.")
