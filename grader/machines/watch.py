"""Watches a service while someone works on it: the manager, its ports, the recording.

    trace, updated = record(find(machines.nodes(), "web"), Wishes(), show)

Works over nodes of any provider, like joining and status. Nodes that do not answer are left out, as
long as a manager answers.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from docker.errors import APIError, DockerException, NotFound
from requests.exceptions import RequestException

from grader.engine.sandbox import unbroken
from grader.errors import EngineFault, KitError
from grader.machines.status_model import LOOK_SECONDS, in_words, together
from grader.machines.target import slowness
from grader.modules.http import only_the_labs_own
from grader.modules.rollout import Recorder, Trace, asked
from grader.modules.rollout import requests as driving
from grader.nodes import reach

if TYPE_CHECKING:
    from grader.nodes.node import Node

STATUS = "nox -s swarm -- status"
PAUSE = 0.5
"""Seconds between two states on the screen."""
STOPPING_SECONDS = 12
"""How long to wait after an update for tasks that were told to stop; docker gives them 10 s."""
AFTERWARDS = 1.0
SLOW = 0.5
"""Seconds between two requests if each is expensive (through SSH, or through an engine)."""


@dataclass(frozen=True)
class Found:
    """A service, and the nodes that know it; the first one is a manager.

    `port` is where it is published (None: nowhere), `asked` the nodes that get requests there.
    """

    service: str
    nodes: list[Node]
    port: int | None = None
    asked: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wishes:
    """How long to record: until Ctrl-C, or earlier, until an update ended or some seconds have
    passed."""

    title: str = ""
    until_updated: bool = False
    seconds: float | None = None


def find(nodes: Sequence[Node], service: str, port: int | None = None) -> Found:
    """Find the service and the nodes to ask. Raises KitError without a swarm or such a service.

    `port` replaces the one that the service publishes; 0: send no requests.
    """
    said = together(nodes, lambda node: node.docker.api.info(), LOOK_SECONDS)
    infos = {name: info for name, info in said.items() if not isinstance(info, Exception)}
    swarms = {name: info.get("Swarm") or {} for name, info in infos.items()}
    manager, members = _manager(nodes, swarms)
    ids = {str(member["ID"]) for member in members}
    inside = [node for node in nodes if str(swarms.get(node.name, {}).get("NodeID") or "-") in ids]
    inside.sort(key=lambda node: node is not manager)
    remarks = [
        f"{name} does not answer and is not watched: {in_words(error)}."
        for name, error in said.items()
        if isinstance(error, Exception)
    ]
    spec = _service(manager, service)
    name = str(spec["Spec"]["Name"])
    number, mode = (port, "ingress") if port is not None else _published(spec)
    asked_at = list(inside) if number else []
    if mode == "host":
        asked_at = _with_tasks(manager, spec, inside, swarms)
    for node in list(asked_at):
        try:
            only_the_labs_own(node.address)
        except ValueError:
            asked_at.remove(node)
            remarks.append(f"No requests at {node.name}: {node.address} is a public address.")
    names = tuple(node.name for node in asked_at)
    remarks.append(_where(name, number, mode, names))
    return Found(name, inside, number if names else None, names, tuple(remarks))


def record(found: Found, wishes: Wishes, show: Callable[[Trace], None]) -> tuple[Trace, bool]:
    """Record what happens to the service, with marks and proofs; also returns whether an update
    ended.

    Ctrl-C ends it, too. `show` receives what is known so far, twice a second.
    """
    by_name = {node.name: node for node in found.nodes}
    slow = any(reach.relayed(by_name[name].address) for name in found.asked)
    recorder = Recorder(
        found.nodes,
        found.service,
        title=wishes.title,
        ports=dict.fromkeys(found.asked, found.port or 0),
        every=SLOW if slow else driving.EVERY,
        pace=max(map(slowness, found.nodes)),
    )
    with _ended_calmly(recorder), contextlib.suppress(KeyboardInterrupt):
        _follow(recorder, wishes, show)
    return asked.with_proofs(recorder.trace), recorder.settled()


@contextlib.contextmanager
def _ended_calmly(recorder: Recorder) -> Iterator[None]:
    """Record in the block; pressing Ctrl-C twice then loses nothing of the recording."""
    recorder.__enter__()
    try:
        yield
    finally:
        with contextlib.suppress(KeyboardInterrupt), unbroken("One moment …"):
            recorder.__exit__(None, None, None)


def _follow(recorder: Recorder, wishes: Wishes, show: Callable[[Trace], None]) -> None:
    """Return when the recording must end."""
    settled: float | None = None
    while wishes.seconds is None or recorder.now() < wishes.seconds:
        show(recorder.trace)
        time.sleep(PAUSE)
        if not wishes.until_updated or not recorder.settled():
            settled = None
            continue
        now = recorder.now()
        settled = now if settled is None else settled
        waited = now - settled
        if waited > STOPPING_SECONDS or (waited > AFTERWARDS and not _stopping(recorder)):
            return


def _stopping(recorder: Recorder) -> bool:
    """Whether a task was told to stop and has not stopped; the recording must include its end."""
    return any(
        task.down() and not task.gone() for tasks in recorder.tasks().values() for task in tasks
    )


def _manager(
    nodes: Sequence[Node], swarms: Mapping[str, Mapping[str, Any]]
) -> tuple[Node, list[dict[str, Any]]]:
    """The node to ask (the leader, if it is one of these), and all members that it lists."""
    managers = [node for node in nodes if swarms.get(node.name, {}).get("ControlAvailable")]
    said = together(managers, lambda node: node.docker.api.nodes(), LOOK_SECONDS)
    listed = [
        (node, members)
        for node in managers
        if not isinstance(members := said[node.name], Exception)
    ]
    for node, members in listed:
        own = {m["ID"]: m for m in members}.get(swarms[node.name].get("NodeID"), {})
        if (own.get("ManagerStatus") or {}).get("Leader"):
            return node, members
    if listed:
        return listed[0]
    if any(swarm.get("LocalNodeState") not in (None, "", "inactive") for swarm in swarms.values()):
        raise EngineFault(
            "No manager of the swarm answers.", remedy=f"{STATUS} shows the state of each node."
        )
    if not swarms:
        raise EngineFault("No node answers.", remedy=f"{STATUS} shows why.")
    raise KitError(
        "The nodes are not in a swarm, so there is no service.",
        remedy="Make one: nox -s swarm -- join",
    )


def _service(manager: Node, name: str) -> dict[str, Any]:
    """The service from the engine. Raises KitError that names the existing ones."""
    api: Any = manager.docker.api
    try:
        try:
            return dict(api.inspect_service(name))
        except NotFound:
            names = sorted(str(service["Spec"]["Name"]) for service in api.services())
        except APIError as error:  # a name that begins the IDs of several
            if error.status_code not in (400, 409, 500):
                raise
            names = sorted(str(service["Spec"]["Name"]) for service in api.services())
    except (DockerException, RequestException) as error:
        raise EngineFault(f"{manager.name} cannot list the services: {error}") from None
    raise KitError(
        f"There is no service {name!r}.",
        remedy=f"There are: {', '.join(names)}."
        if names
        else f"There is none yet; make one: nox -s swarm -- ssh {manager.name} -- "
        "docker service create --name web …",
    )


def _published(service: Mapping[str, Any]) -> tuple[int | None, str]:
    """The first TCP port and its mode; ports of the routing mesh come before ports in host mode."""
    ports = (service.get("Endpoint") or {}).get("Ports")
    ports = ports or (service["Spec"].get("EndpointSpec") or {}).get("Ports") or []
    found = sorted(
        (str(port.get("PublishMode") or "ingress") != "ingress", place, int(port["PublishedPort"]))
        for place, port in enumerate(ports)
        if port.get("Protocol", "tcp") == "tcp" and port.get("PublishedPort")
    )
    if not found:
        return None, ""
    own, _, number = found[0]
    return number, "host" if own else "ingress"


def _with_tasks(
    manager: Node,
    service: Mapping[str, Any],
    nodes: Sequence[Node],
    swarms: Mapping[str, Mapping[str, Any]],
) -> list[Node]:
    """The nodes that have a task; on others a port in host mode is correctly closed."""
    api: Any = manager.docker.api
    tasks = api.tasks(filters={"service": service["ID"], "desired-state": "running"})
    busy = {str(task.get("NodeID") or "") for task in tasks}
    return [node for node in nodes if swarms[node.name].get("NodeID") in busy]


def _where(service: str, port: int | None, mode: str, names: Sequence[str]) -> str:
    if port == 0:
        return "No requests are sent."
    if port is None:
        return f"{service} has no published port, so no requests are sent (--port N asks one)."
    if not names:
        return f"No node can be asked at port {port}: no requests are sent."
    which = "nodes that have a task now (host mode)" if mode == "host" else "nodes"
    return f"Requests go to port {port} of these {which}: {', '.join(names)}."
