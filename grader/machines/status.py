"""The state of machines and their swarm, seen from outside and from each other; changes nothing.

    found = look(machines.nodes(), machines.missing())
    [(node.name, node.role, node.membership) for node in found.nodes]
    # [('manager1', 'leader', 'ready'), ('worker1', 'worker', 'ready'), ('worker2', '', '')]
    found.problems[0].what  # 'worker2 was removed.'

Plain data; `status_words` puts it on a terminal.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from docker.errors import APIError, DockerException
from requests.exceptions import RequestException

from grader.machines import status_network
from grader.machines.status_model import (
    LOOK_SECONDS,
    Clock,
    NodeStatus,
    Role,
    Status,
    in_words,
    together,
)

if TYPE_CHECKING:
    from grader.nodes.node import Node


@dataclass(frozen=True)
class _Said:
    """One node's answer: `info`, members (of managers), and its clock compared with ours."""

    info: Mapping[str, Any]
    members: list[Mapping[str, Any]] | None
    leaderless: bool
    clock: Clock | None


def look(
    nodes: Sequence[Node], missing: Mapping[str, str] | None = None, remarks: Sequence[str] = ()
) -> Status:
    """Ask all nodes at the same time. A node that does not answer does not hide others. Never
    raises a node's errors."""
    from grader.machines.status_problems import problems

    said = together(nodes, _ask, LOOK_SECONDS)
    reference = next((s.clock for s in said.values() if isinstance(s, _Said) and s.clock), None)
    members, leaderless = _members(said)
    found = [_node(node, said[node.name], members, reference) for node in nodes]
    found += [NodeStatus(name, trouble=why) for name, why in (missing or {}).items()]
    alive = [node for node in nodes if isinstance(said[node.name], _Said)]
    known = {status.name: status for status in found}
    own = {status.node_id for status in found}
    # A machine that does not answer cannot say which member it is; its name will do.
    silent = {status.name for status in found if not status.answers}
    others = [m for key, m in (members or {}).items() if key not in own and _host(m) not in silent]
    status = Status(
        nodes=found,
        ways=status_network.ways(alive, known),
        mesh=status_network.mesh(alive, known),
        former=[_words(member) for member in others],
        leaderless=leaderless,
        remarks=list(remarks),
    )
    return replace(status, problems=problems(status))


def _ask(node: Node) -> _Said:
    api: Any = node.docker.api
    info = api.info()
    members: list[Mapping[str, Any]] | None = None
    leaderless = False
    if (info.get("Swarm") or {}).get("ControlAvailable"):
        try:
            members = api.nodes()
        except APIError as error:
            if error.status_code not in (500, 503):
                raise
            leaderless = True
    # Only now: the first question may have had to open the connection.
    return _Said(info, members, leaderless, _clock(api))


def _clock(api: Any) -> Clock | None:
    """A node's clock compared with this computer's: the answer was made at some time in the
    round trip."""
    began, started = time.time(), time.monotonic()
    try:
        told = _moment(str(api.info().get("SystemTime") or ""))
    except (DockerException, RequestException):
        return None
    half = (time.monotonic() - started) / 2
    return None if told is None else Clock(told - began - half, half)


def _moment(text: str) -> float | None:
    """Seconds since 1970 of a time as engines write it, with up to nine decimals."""
    parts = re.fullmatch(r"(.+?)(\.\d+)?(Z|[+-]\d\d:\d\d)", text)
    if parts is None:
        return None
    whole, fraction, zone = parts.groups()
    try:
        moment = datetime.fromisoformat(whole + (zone if zone != "Z" else "+00:00"))
    except ValueError:
        return None
    return moment.timestamp() + float(fraction or 0)


def _members(
    said: Mapping[str, _Said | Exception],
) -> tuple[dict[str, Mapping[str, Any]] | None, bool]:
    """The swarm's members by ID, as its first manager lists them; and whether no manager
    answered."""
    answered = [s for s in said.values() if isinstance(s, _Said)]
    listed = next((s.members for s in answered if s.members is not None), None)
    if listed is None:
        return None, any(s.leaderless for s in answered)
    return {str(member["ID"]): member for member in listed}, False


def _node(
    node: Node,
    said: _Said | Exception,
    members: Mapping[str, Mapping[str, Any]] | None,
    reference: Clock | None,
) -> NodeStatus:
    address = together([node], lambda one: one.address, 1)[node.name]
    found = NodeStatus(node.name, address if isinstance(address, str) else "")
    if isinstance(said, Exception):
        return replace(found, trouble=f"does not answer: {in_words(said)}")
    swarm = said.info.get("Swarm") or {}
    member = (members or {}).get(str(swarm.get("NodeID") or ""), {})
    state = str(swarm.get("LocalNodeState") or "inactive")
    membership = str((member.get("Status") or {}).get("State") or "")
    if state == "active" and members is not None and not member:
        membership = "stranger"
    clock = said.clock
    if clock is not None and reference is not None:
        apart = Clock(clock.ahead - reference.ahead, clock.uncertainty + reference.uncertainty)
        clock = Clock(0.0, 0.0) if clock is reference else apart
    return replace(
        found,
        engine=str(said.info.get("ServerVersion") or ""),
        state=state,
        error=str(swarm.get("Error") or ""),
        role=_role(swarm, member),
        node_id=str(swarm.get("NodeID") or ""),
        advertised=str(swarm.get("NodeAddr") or ""),
        membership=membership,
        availability=str((member.get("Spec") or {}).get("Availability") or ""),
        clock=clock,
    )


def _role(swarm: Mapping[str, Any], member: Mapping[str, Any]) -> Role:
    if swarm.get("LocalNodeState") in (None, "inactive"):
        return "none"
    if not swarm.get("ControlAvailable"):
        return "worker"
    return "leader" if (member.get("ManagerStatus") or {}).get("Leader") else "manager"


def _host(member: Mapping[str, Any]) -> str:
    return str((member.get("Description") or {}).get("Hostname") or "")


def _words(member: Mapping[str, Any]) -> str:
    name = _host(member) or str(member["ID"])[:10]
    return f"{name} ({(member.get('Status') or {}).get('State')})"
