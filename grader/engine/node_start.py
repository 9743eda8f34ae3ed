"""Makes a node: a container of the host's engine, with its disks, network and limits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from grader.engine import (
    disk,
    egress,
    engine_paths,
    kernel_limits,
    node_image,
    node_socket,
    packages,
)
from grader.engine.node import SandboxNode, remedy_for
from grader.engine.node_limits import FILES, LIMITS, Limits, limited
from grader.engine.node_socket import NAME, SIZE, NodeSocket, Process
from grader.errors import EngineFault

if TYPE_CHECKING:
    from docker import DockerClient

    from grader.engine.client import Engine
    from grader.engine.reaper import Run


INSIDE = PurePosixPath("/run/drydock", NAME)
"""The path of the nested engine's second socket in the node."""


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

    `client` is a client of the run's engine; `network` is from egress; `data` names a volume for
    its /var/lib/docker (with None it gets its own, which is removed with the run); `image_set` is a
    volume from which the node is seeded; `hub` lets it use Docker Hub.
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
            f"The node {name} cannot be started: {error.explanation}", remedy=remedy_for(engine)
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

    On an engine that remaps users these rights apply inside the user namespace only. Elsewhere it
    is ordinary Docker-in-Docker, and root inside is root outside. The cgroup namespace makes the
    node's own part of the tree the root of what it sees.
    """
    host_config["CapAdd"] = ["SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE"]
    host_config["SecurityOpt"] = ["seccomp=unconfined", "apparmor=unconfined"]
    # What the CLI calls systempaths=unconfined: nested engines mount /proc and set sysctls.
    host_config["MaskedPaths"] = []
    host_config["ReadonlyPaths"] = []
    if engine.isolation == "container":
        host_config["CgroupnsMode"] = "private"


def _cpus(client: DockerClient) -> float:
    """Limit the CPUs to those that the engine has: it refuses more."""
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

    It is in memory, with space for little more than a socket, because root of the node can fill it.
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
    """How the kit reaches the socket of a running node; None if only the engine can."""
    made = attached_socket(run.engine, run.id, name, found)
    if made is None or not made.reachable():
        return None
    link = _link(run.id, name)
    link.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    link.symlink_to(made.folder, target_is_directory=True)
    return made


def _link(run_id: str, name: str) -> Path:
    """A path to a node's socket folder that is short enough for docker commands."""
    return engine_paths.current().nodes / run_id / name


def attached_socket(
    engine: Engine, run_id: str, name: str, found: Mapping[str, Any]
) -> NodeSocket | None:
    """The socket of a node's container, from the engine's data; None if it has none."""
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
