"""A node: a container of the host's engine that is a Docker engine itself.

Sandboxes are made of them; the image set is built on one.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket as Socket
from typing import IO, TYPE_CHECKING, Any

from grader.engine import archive, commands, disk, egress, embedded, find, node_image, packages
from grader.errors import EngineFault
from grader.targets import reach
from grader.targets.node import Completed

if TYPE_CHECKING:
    from docker import DockerClient

    from grader.engine.find import Engine
    from grader.engine.reaper import Run

READY_SECONDS = 90
INSIDE = "/run/drydock/engine.sock"
"""Where the nested engine's second socket lies in the node."""


@dataclass(frozen=True)
class Limits:
    """What one node may use; all that runs inside it counts.

    `disk_mb` holds where the kit is root on its own engine, and None means no limit.
    `life_seconds` after its start a node ends by itself, whoever forgot it.
    """

    memory_mb: int = 3072
    pids: int = 2000
    cpus: float = 2.0
    disk_mb: int | None = 10240
    log_mb: int = 50
    life_seconds: int = 4 * 3600


LIMITS = Limits()


@dataclass
class SandboxNode:
    """A running node, seen from the kit.

    `address` is its IPv4 address on the sandbox's network; `socket` the nested engine's
    socket on this machine, None where the kit reaches it through the host's engine.
    """

    name: str
    container_id: str
    address: str
    engine: Engine
    socket: str | None = None
    disk_limited: bool = False
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _outer: DockerClient | None = field(default=None, repr=False)
    _nested: DockerClient | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.engine.local:
            reach.relay(self.address, self.open)

    def open(self, port: int, timeout: float) -> Socket:
        """A connection to a port of this node, made from inside of it; raises OSError."""
        from docker.errors import DockerException

        from grader.engine import dial

        try:
            return dial.tcp(self.outer, self.container_id, self.address, port, timeout)
        except DockerException as error:
            raise ConnectionError(f"no way to {self.name}: {error}") from error

    @property
    def outer(self) -> DockerClient:
        """The host's engine."""
        with self._lock:
            if self._outer is None:
                self._outer = self.engine.client()
            return self._outer

    @property
    def docker(self) -> DockerClient:
        """The engine in this node."""
        with self._lock:
            if self._nested is None:
                self._nested = self.connect()
            return self._nested

    def connect(self, timeout: float = 60) -> DockerClient:
        """A new client of the engine in this node; `timeout` in seconds per request."""
        if self.socket is not None:
            return find.connect(f"unix://{self.socket}", timeout)
        from grader.engine import dial

        return dial.client(self.outer, self.container_id, timeout)

    def dial(self) -> Socket:
        """A new connection to the engine in this node. Raises OSError and docker's errors."""
        if self.socket is None:
            from grader.engine import dial

            return dial.stream(self.outer, self.container_id)
        made = Socket(socket.AF_UNIX)
        try:
            made.connect(self.socket)
        except BaseException:
            made.close()
            raise
        return made

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        cwd: str = "/",
        env: Mapping[str, str] | None = None,
        keep: int = 64_000,
    ) -> Completed:
        """Run a program on the node, without a shell; see `grader.targets.node.Node.run`."""
        return commands.run(
            self.outer, self.container_id, argv, timeout=timeout, cwd=cwd, env=env, keep=keep
        )

    def put(self, source: Path | Mapping[str, bytes], dest: str) -> None:
        """Copy a folder's or mapping's regular files to the folder `dest`, made if missing."""
        with archive.pack(source) as tar:
            self.put_tar(tar, dest)

    def put_tar(self, tar: IO[bytes], dest: str) -> None:
        """Unpack what `archive` has packed in the folder `dest`, made if missing."""
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        made = self.run(["mkdir", "-p", "--", dest], timeout=60)
        if not made.ok:
            raise EngineFault(f"No folder {dest} on {self.name}: {made.out.strip()}")
        try:
            self.outer.api.put_archive(self.container_id, dest, tar)
        except (DockerException, RequestException) as error:
            raise EngineFault(f"Files could not be copied to {self.name}: {error}") from None

    def log(self, lines: int = 30) -> str:
        """The end of what the node's engine said."""
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        try:
            text = self.outer.api.logs(self.container_id, tail=lines)
        except (DockerException, RequestException) as error:
            return f"(no log: {error})"
        return bytes(text).decode("utf-8", errors="replace").strip()

    def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        """Until the nested engine answers; EngineFault with its log if it does not."""
        from docker.errors import DockerException, NotFound
        from requests.exceptions import RequestException

        deadline = time.monotonic() + seconds
        pause = 0.02
        while True:
            with (
                contextlib.suppress(DockerException, RequestException, OSError),
                contextlib.closing(self.connect(timeout=5)) as client,
            ):
                if client.ping():
                    return
            try:
                state = self.outer.api.inspect_container(self.container_id)["State"]
            except NotFound:
                raise EngineFault(f"The node {self.name} was removed while it started.") from None
            except (DockerException, RequestException) as error:
                raise EngineFault(f"The engine does not answer: {error}") from None
            if not state["Running"]:
                raise EngineFault(
                    f"The node {self.name} ended while it started (exit code "
                    f"{state['ExitCode']}). The end of its log:\n{self.log()}",
                    remedy=_remedy(self.engine),
                )
            if time.monotonic() > deadline:
                raise EngineFault(
                    f"The node {self.name} does not answer after {seconds:.0f} s. "
                    f"The end of its log:\n{self.log()}",
                    remedy=_remedy(self.engine),
                )
            time.sleep(pause)
            pause = min(0.5, pause * 1.5)

    def close(self) -> None:
        """Let go of connections."""
        reach.forget(self.address, self.open)
        with self._lock:
            for client in (self._nested, self._outer):
                if client is not None:
                    with contextlib.suppress(Exception):
                        client.close()
            self._nested = self._outer = None

    def describe(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "container_id": self.container_id,
            "address": self.address,
            "socket": self.socket,
            "disk_limited": self.disk_limited,
        }


def _remedy(engine: Engine) -> str | None:
    if engine.isolation == "userns":
        return None
    return (
        "This engine may not be able to host the kit's nodes. `--engine embedded` uses the "
        "kit's own engine instead; `python -m grader doctor` says what this machine has."
    )


def start_node(
    run: Run,
    client: DockerClient,
    *,
    name: str,
    network: egress.Network,
    role: str = "node",
    limits: Limits = LIMITS,
    data: str | None = None,
    image_set: str | None = None,
    hub: bool = False,
    labels: Mapping[str, str] | None = None,
) -> SandboxNode:
    """Start a node of `run`, without waiting for its engine (`wait_ready`).

    `client` is one of the run's engine; `network` from egress; `data` names a
    volume for its /var/lib/docker (None makes one of its own, which goes with the run);
    `image_set` a volume from which the node is seeded; `hub` lets it ask Docker Hub.
    """
    from docker.errors import APIError
    from docker.types import LogConfig

    engine = run.engine
    limited = False
    if data is None:
        data, limited = _data_volume(run, client, name, limits)
    binds: dict[str, Mapping[str, str]] = {data: {"bind": "/var/lib/docker", "mode": "rw"}}
    if image_set is not None:
        binds[image_set] = {"bind": "/seed", "mode": "ro"}
    environment = {
        "DRYDOCK_ISOLATION": engine.isolation,
        "DRYDOCK_LOG_MB": str(max(1, limits.log_mb // 2)),
        # Containers get less than commands, and these less than the node: so whatever
        # multiplies, there is room for what ends it.
        "DRYDOCK_NPROC": str(limits.pids // 2),
        "DRYDOCK_NPROC_COMMANDS": str(limits.pids * 3 // 4),
        "DRYDOCK_LIFE": str(limits.life_seconds),
        "DRYDOCK_DNS": " ".join(egress.name_servers(engine, network)),
        "DRYDOCK_CLOSED": "1" if network.mirror else "",
        "DRYDOCK_ENVIRONMENT": _json_strings(network.environment),
        "DOCKER_SERVICE_PREFER_OFFLINE_IMAGE": "1",
    }
    folder = _socket_folder(run, name)
    if folder is not None:
        binds[str(folder)] = {"bind": str(Path(INSIDE).parent), "mode": "rw"}
        environment["DRYDOCK_SOCKET"] = INSIDE
    host_config = client.api.create_host_config(
        binds=binds,
        network_mode=network.id,
        dns=[network.mirror] if network.mirror else None,
        mem_limit=f"{limits.memory_mb}m",
        memswap_limit=f"{limits.memory_mb}m",
        pids_limit=limits.pids,
        log_config=LogConfig(type="json-file", config={"max-size": "10m", "max-file": "2"}),
        extra_hosts=egress.extra_hosts(hub=hub),
    )
    host_config["NanoCpus"] = int(min(limits.cpus, _cpus(client)) * 1e9)
    _give_rights(engine, host_config)
    try:
        made = client.api.create_container(
            node_image.tag(),
            name=f"drydock-{run.id}-{name}",
            hostname=name,
            environment=environment,
            labels={**run.labels(role), **(labels or {})},
            host_config=host_config,
        )
        client.api.start(made["Id"])
        found = client.api.inspect_container(made["Id"])
    except APIError as error:
        raise EngineFault(
            f"The node {name} cannot be started: {error.explanation}", remedy=_remedy(engine)
        ) from None
    (attached,) = found["NetworkSettings"]["Networks"].values()
    return SandboxNode(
        name=name,
        container_id=made["Id"],
        address=attached["IPAddress"],
        engine=engine,
        socket=str(folder / "engine.sock") if folder is not None else None,
        disk_limited=limited,
    )


def _json_strings(environment: Mapping[str, str]) -> str:
    """`"A=1","B=2",` as it stands in a container's configuration (see the node's runc)."""
    return "".join(json.dumps(f"{name}={value}") + "," for name, value in environment.items())


def _give_rights(engine: Engine, host_config: Any) -> None:
    """What a container needs to be an engine: much less than --privileged.

    On an engine that remaps users these rights count inside the user namespace only.
    Elsewhere it is the ordinary docker-in-docker, and root inside is root outside; its
    cgroup namespace makes the node's own part of the tree the root of what it sees.
    """
    host_config["CapAdd"] = ["SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE"]
    host_config["SecurityOpt"] = ["seccomp=unconfined", "apparmor=unconfined"]
    # What the CLI calls systempaths=unconfined: nested engines mount /proc and set sysctls.
    host_config["MaskedPaths"] = []
    host_config["ReadonlyPaths"] = []
    if engine.isolation == "container":
        host_config["CgroupnsMode"] = "private"


def _cpus(client: DockerClient) -> float:
    """An engine refuses more CPUs than it has."""
    return float(client.info()["NCPU"])


def _data_volume(run: Run, client: DockerClient, name: str, limits: Limits) -> tuple[str, bool]:
    """(name of a new volume, whether it has a size limit)."""
    options: dict[str, str] = {}
    if limits.disk_mb is not None and run.engine.origin == "embedded" and disk.possible():
        device = disk.make(run.id, name, limits.disk_mb, run.engine.mapped_uid)
        options = {"type": "ext4", "device": device}
    made = client.api.create_volume(
        f"drydock-{run.id}-{name}",
        driver="local",
        driver_opts=options,
        labels=run.labels("node-data"),
    )
    return str(made["Name"]), bool(options)


def _socket_folder(run: Run, name: str) -> Path | None:
    """A folder for the nested engine's socket that only its root and the kit can enter."""
    if not (run.engine.local and packages.is_root()):
        return None
    folder = embedded.place().nodes / run.id / name
    folder.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700)
    os.chown(folder, run.engine.mapped_uid, run.engine.mapped_uid)
    return folder
