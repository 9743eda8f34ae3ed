"""A node: a container of the host's engine that is a Docker engine itself.

Sandboxes are made of them; the image set is built on one.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from socket import socket as Socket
from typing import IO, TYPE_CHECKING, Any

from grader.engine import (
    archive,
    disk,
    egress,
    engine_paths,
    kernel_limits,
    node_image,
    node_socket,
    packages,
)
from grader.engine.node_socket import NAME, SIZE, NodeSocket, Process
from grader.errors import EngineFault
from grader.nodes import commands, reach
from grader.nodes.node import Completed

if TYPE_CHECKING:
    from docker import DockerClient

    from grader.engine.client import Engine
    from grader.engine.reaper import Run

READY_SECONDS = 90.0
LOG_KEPT = 20_000
"""Bytes of a node's log that are shown: its root can fill it."""
INSIDE = PurePosixPath("/run/drydock", NAME)
"""Where the nested engine's second socket lies in the node."""


@dataclass(frozen=True)
class Limits:
    """What one node may use; all that runs inside it counts.

    `disk_mb` holds where the kit is root on its own engine, and None means no limit. It is for
    what the node's engine keeps; a quarter of it comes on top for the submission's folder, which
    containers may write to.
    `life_seconds` after its start a node ends by itself, whoever forgot it.
    """

    memory_mb: int = 3072
    pids: int = 2000
    cpus: float = 2.0
    disk_mb: int | None = 4096
    log_mb: int = 50
    life_seconds: int = 4 * 3600

    def disks(self, names: Iterable[str]) -> dict[str, int]:
        """The disks of these nodes, with their sizes in megabytes (see `disk.reserve`)."""
        found: dict[str, int] = {}
        for name in names if self.disk_mb is not None else ():
            found |= {name: self.disk_mb or 0, disk.files(name): (self.disk_mb or 0) // FILES_PART}
        return found


FILES = "/drydock"
"""Where submissions are put on a node."""
FILES_PART = 4
LIMITS = Limits()


def limited(engine: Engine | None) -> bool:
    """Whether nodes of this engine have disks of limited size."""
    return engine is not None and engine.origin == "embedded" and disk.possible()


def promise(engine: Engine | None) -> int | None:
    """Bytes of disk that a sandbox's node is promised; None where nothing limits it."""
    return sum(LIMITS.disks(["node"]).values()) * disk.MIB if limited(engine) else None


@dataclass
class SandboxNode:
    """A running node, seen from the kit.

    `address` is its IPv4 address on the sandbox's network; `socket` where the nested engine
    listens on this machine, None where the kit reaches it through the host's engine.
    """

    name: str
    container_id: str
    address: str
    engine: Engine
    socket: NodeSocket | None = None
    disk_limited: bool = False
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _outer: DockerClient | None = field(default=None, repr=False)
    _nested: DockerClient | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        plain: Any = self.socket
        if isinstance(plain, dict):  # as `describe` gives it to another process
            self.socket = NodeSocket.from_plain(plain)
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
        from grader.engine import bounded

        return bounded.client(self.dial, timeout)

    def dial(self) -> Socket:
        """A connection to the engine in this node.

        Raises EngineFault: `bounded.Unanswered` where no engine listens.
        """
        if self.socket is not None:
            try:
                return self.socket.connect()
            except node_socket.Replaced:
                if not self._started_again(self.socket):
                    raise
                return self.socket.connect()
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        from grader.engine import bounded, dial

        try:
            return dial.stream(self.outer, self.container_id)
        except (DockerException, RequestException) as error:
            raise bounded.Unanswered(f"The node {self.name} does not answer: {error}") from None

    def _started_again(self, known: NodeSocket) -> bool:
        """Whether the host's engine has started the node again: then its engine is a new one, too.

        Root of a node can end it, and cannot start it.
        """
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        try:
            state = self.outer.api.inspect_container(self.container_id)["State"]
        except (DockerException, RequestException):
            return False
        first = Process.of(int(state["Pid"]))
        if first is None or first == known.first:
            return False
        self.socket = replace(known, first=first, engine=None)
        return True

    @property
    def socket_path(self) -> str | None:
        """The socket's path for the user's own docker command; the kit never goes by it."""
        return self.socket.path if self.socket is not None else None

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        cwd: str = "/",
        env: Mapping[str, str] | None = None,
        keep: int = 64_000,
    ) -> Completed:
        """Run a program on the node, without a shell; see `grader.nodes.node.Node.run`."""
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
            text = commands.log(self.outer, self.container_id, lines=lines, keep=LOG_KEPT)
        except (DockerException, RequestException, EngineFault) as error:
            return f"(no log: {error})"
        return text.decode("utf-8", errors="replace").strip()

    def wait_ready(self, seconds: float | None = None) -> None:
        """Until the nested engine answers; EngineFault with its log if it does not."""
        from docker.errors import DockerException, NotFound
        from requests.exceptions import RequestException

        seconds = READY_SECONDS if seconds is None else seconds
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
            "socket": self.socket.plain() if self.socket else None,
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
    binds: dict[str, Mapping[str, str]] = {}
    has_disk = data is None and limits.disk_mb is not None and limited(engine)
    if data is None:
        volumes = {name: "/var/lib/docker"}
        if has_disk:
            volumes[disk.files(name)] = FILES
            if not disk.folder(run.id).joinpath(f"{name}.img").exists():
                disk.reserve(run.id, limits.disks([name]))
        for volume, place in volumes.items():
            binds[_volume(run, client, volume, has_disk)] = {"bind": place, "mode": "rw"}
    else:
        binds[data] = {"bind": "/var/lib/docker", "mode": "rw"}
    if image_set is not None:
        from grader.engine import sealed

        sealed.ready(client, image_set)
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
    folder = _socket_folder(run, client, name)
    if folder is not None:
        binds[folder] = {"bind": str(INSIDE.parent), "mode": "nocopy"}
        environment["DRYDOCK_SOCKET"] = str(INSIDE)
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
        kernel_limits.limit_node(engine, int(found["State"]["Pid"]))
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
        socket=_socket(run, name, found) if folder is not None else None,
        disk_limited=has_disk,
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


def _volume(run: Run, client: DockerClient, name: str, has_disk: bool) -> str:
    """A new volume of the run, on a disk of its own if `has_disk`; its name."""
    options: dict[str, str] = {}
    if has_disk:
        device = disk.make(run.id, name, 0, run.engine.mapped_uid)
        options = {"type": "ext4", "device": device}
    made = client.api.create_volume(
        f"drydock-{run.id}-{name}",
        driver="local",
        driver_opts=options,
        labels=run.labels("node-data"),
    )
    return str(made["Name"])


def _socket_folder(run: Run, client: DockerClient, name: str) -> str | None:
    """A new volume for the nested engine's socket, which only its root and the kit can enter.

    In memory, with room for a socket and little more: root of the node can fill it.
    """
    if not (run.engine.local and packages.is_root()):
        return None
    uid = run.engine.mapped_uid
    owner = f"mode=0700,uid={uid},gid={uid}"
    options = f"size={SIZE},nr_inodes={node_socket.FILES},{owner},nosuid,nodev,noexec"
    made = client.api.create_volume(
        node_socket.volume(run.id, name),
        driver="local",
        driver_opts={"type": "tmpfs", "device": "tmpfs", "o": options},
        labels=run.labels("node-socket"),
    )
    return str(made["Name"])


def _socket(run: Run, name: str, found: Mapping[str, Any]) -> NodeSocket | None:
    """How the kit gets to the socket of a node that runs; None where only the engine does."""
    made = attached_socket(run.engine, run.id, name, found)
    if made is None or not made.reachable():
        return None
    link = _link(run.id, name)
    link.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    link.symlink_to(made.folder, target_is_directory=True)
    return made


def _link(run_id: str, name: str) -> Path:
    """A way to a node's socket folder that is so short that docker commands take it."""
    return engine_paths.current().nodes / run_id / name


def attached_socket(
    engine: Engine, run_id: str, name: str, found: Mapping[str, Any]
) -> NodeSocket | None:
    """The socket of a node's container, by what the engine says of it; None if it has none."""
    first = Process.of(int(found["State"]["Pid"]))
    host = node_socket.listener(engine.url.removeprefix("unix://"))
    if first is None or host is None:
        return None
    for mount in found.get("Mounts") or []:
        if mount.get("Type") == "volume" and mount.get("Destination") == str(INSIDE.parent):
            return NodeSocket(
                host=host,
                path=str(_link(run_id, name) / NAME),
                mountpoint=str(mount["Source"]),
                uid=engine.mapped_uid,
                first=first,
            )
    return None
