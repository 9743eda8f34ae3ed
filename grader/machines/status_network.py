"""Tests a swarm's network: its four ports between nodes, and the routing mesh."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from docker.errors import DockerException
from requests.exceptions import RequestException

from grader.machines.status_model import Mesh, Passage, Way
from grader.modules import packet_probe
from grader.nodes import reach

if TYPE_CHECKING:
    from grader.machines.status_model import NodeStatus
    from grader.nodes.node import Node

EXCHANGE_SECONDS = 5
"""If all nodes listened at the same time, a packet that does not arrive within this time,
although it was sent five times a second, is blocked."""
PROMPT_SECONDS = 1.5
"""Nodes that begin to listen within this time listen together."""
MOST_SECONDS = 60
MESH_SECONDS = 4

MANAGEMENT = "2377/tcp"
PORTS = (MANAGEMENT, "7946/tcp", "7946/udp", "4789/udp")
PURPOSES = {
    "2377/tcp": "joining, and the managers' commands",
    "7946/tcp": "what nodes tell each other about networks",
    "7946/udp": "what nodes tell each other about networks",
    "4789/udp": "the traffic of containers between nodes",
}


def ways(nodes: Sequence[Node], known: Mapping[str, NodeStatus]) -> list[Way]:
    """Test all ports between nodes that answer: each node listens and sends at the same time.

    Slow nodes begin seconds after each other, and one may end before another sends. If a node was
    slow and something did not arrive, all nodes listen again, longer by that time.
    """
    if len(nodes) < 2:
        return []
    found, late = _round(nodes, known, EXCHANGE_SECONDS)
    if late > PROMPT_SECONDS and any(way.state == "blocked" for way in found):
        longer = min(MOST_SECONDS, EXCHANGE_SECONDS + round(3 * late))
        found, _ = _round(nodes, known, longer)
    return found


def _round(
    nodes: Sequence[Node], known: Mapping[str, NodeStatus], seconds: int
) -> tuple[list[Way], float]:
    """What arrives while all nodes listen for `seconds`, and how much longer the slowest node
    took."""
    from grader.machines.status_model import together

    managers = {n.name for n in nodes if known[n.name].role in ("leader", "manager")}
    # Before there is a swarm, the first node is where it will be made.
    managers = managers or {nodes[0].name}
    nonce = secrets.token_hex(4)
    words = {node.name: f"drydock-{nonce}-{number}" for number, node in enumerate(nodes)}
    took: list[float] = []

    def ports(dest: Node) -> list[str]:
        return [port for port in PORTS if port != MANAGEMENT or dest.name in managers]

    def exchange(node: Node) -> packet_probe.Heard | None:
        others = [other for other in nodes if other is not node]
        knocks = [_knock(known[other.name].address, p) for other in others for p in ports(other)]
        wanted = [(f"udp/{n}", words[other.name]) for other in others for n in (7946, 4789)]
        began = time.monotonic()
        try:
            return packet_probe.exchange(
                node,
                seconds,
                ears=("tcp", "udp"),
                wanted=wanted,
                knocks=knocks,
                word=words[node.name],
                linger=1,
            )
        except packet_probe.Deaf:
            # Without root there: what TCP answers is seen all the same.
            only = [knock for knock in knocks if knock[0] == "tcp"]
            return packet_probe.Heard(
                None, packet_probe.exchange(node, seconds, knocks=only).answers
            )
        finally:
            took.append(time.monotonic() - began)

    heard = {
        name: answer if isinstance(answer, packet_probe.Heard) else None
        for name, answer in together(nodes, exchange, 4 * seconds + 10).items()
    }
    late = max(took, default=0.0) - seconds
    return [
        Way(port, source.name, dest.name, _passage(port, source, dest, heard, words, known))
        for source in nodes
        for dest in nodes
        if source is not dest
        for port in ports(dest)
    ], late


def _knock(address: str, port: str) -> tuple[str, tuple[str, int]]:
    number, _, kind = port.partition("/")
    return kind, (address, int(number))


def _passage(
    port: str,
    source: Node,
    dest: Node,
    heard: Mapping[str, packet_probe.Heard | None],
    words: Mapping[str, str],
    known: Mapping[str, NodeStatus],
) -> Passage:
    here, there = heard[source.name], heard[dest.name]
    kind, (address, number) = _knock(known[dest.name].address, port)
    seen = None
    if there is not None and there.packets is not None:
        marks = {known[source.name].address, words[source.name]}
        seen = any(p.kind == f"{kind}/{number}" and p.source in marks for p in there.packets)
    if here is None or (kind == "udp" and seen is None):
        return "unknown"
    if kind == "udp":
        if not seen:
            return "blocked"
        return "open" if known[dest.name].in_swarm else "free"
    answer = here.answers.get((address, number), "silent")
    if answer == "refused":
        # A firewall may refuse, too: then the packet has not got as far as the node's programs.
        return "blocked" if seen is False else "free"
    return "open" if answer == "open" else "blocked"


def mesh(nodes: Sequence[Node], known: Mapping[str, NodeStatus]) -> Mesh:
    """Send requests to one published TCP port at every node of the swarm."""
    from grader.machines.status_model import together

    members = [node for node in nodes if known[node.name].in_swarm]
    managers = [node for node in members if known[node.name].role in ("leader", "manager")]
    found = next(
        (m for m in together(managers, _published, 20).values() if isinstance(m, Mesh)), Mesh()
    )
    if found.state != "asked":
        return found
    asked = together(members, lambda node: _answers(node.address, found.port), MESH_SECONDS + 2)
    answers = {name: answer is True for name, answer in asked.items()}
    silent = [node for node in members if not answers[node.name]]
    lacking = together(silent, _lacks_ip_vs, 20).values()
    state: Any = "no ip_vs" if any(lack is True for lack in lacking) else "asked"
    return Mesh(state, found.service, found.port, answers)


def _published(node: Node) -> Mesh:
    """The first published TCP port with a running service, as a manager lists them."""
    api: Any = node.docker.api
    state: Literal["nothing published", "no running task"] = "nothing published"
    services = sorted(api.services(), key=lambda service: str(service["Spec"]["Name"]))
    for service in services:
        name = str(service["Spec"]["Name"])
        for port in (service.get("Endpoint") or {}).get("Ports") or []:
            if port.get("PublishMode") != "ingress" or port.get("Protocol") != "tcp":
                continue
            tasks = api.tasks(filters={"service": service["ID"], "desired-state": "running"})
            if any((task.get("Status") or {}).get("State") == "running" for task in tasks):
                return Mesh("asked", name, int(port["PublishedPort"]))
            state = "no running task"
    return Mesh(state)


def _answers(address: str, port: int) -> bool:
    """Whether any data comes back: an engine listens even at ports of a mesh that does not work."""
    try:
        with reach.connect(address, port, MESH_SECONDS) as wire_end:
            wire_end.settimeout(MESH_SECONDS)
            wire_end.sendall(f"GET / HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
            return bool(wire_end.recv(1))
    except OSError:
        return False


def _lacks_ip_vs(node: Node) -> bool:
    try:
        return node.run(["test", "-e", "/proc/net/ip_vs"], timeout=15).rc == 1
    except (DockerException, RequestException):
        return False
