"""Finds the problems in a status, and what to do about them."""

from __future__ import annotations

from collections.abc import Iterator

from grader.machines.provider import UP
from grader.machines.status_model import NodeStatus, Problem, Status
from grader.machines.status_network import PORTS, PURPOSES

JOIN = "nox -s swarm -- join"
CLOCK_SECONDS = 1.0
"""A smaller difference does not matter for a swarm's certificates and logs."""


def problems(status: Status) -> list[Problem]:
    """The problems, in the order in which to fix them. A node without a swarm is not a problem
    as long as no other node is in one."""
    return [
        *(found for node in status.nodes for found in _of_node(node, status)),
        *_of_swarm(status),
        *_of_ports(status),
        *_of_clocks(status),
        *_of_mesh(status),
    ]


def _of_node(node: NodeStatus, status: Status) -> Iterator[Problem]:
    name, login = node.name, f"nox -s swarm -- ssh {node.name}"
    if not node.answers:
        yield Problem(
            f"{name} {node.trouble}.",
            f"{UP} brings back what has stopped; then {JOIN} adds it to the swarm. If it is "
            f"running, look there: {login}",
        )
    elif node.state in ("error", "locked", "pending"):
        said = f" ({node.error})" if node.error else ""
        remedy = {
            "locked": f"Run `docker swarm unlock` on it: {login}",
            "pending": "Wait a moment. If that does not help, the managers do not answer it.",
        }.get(node.state, f"Run `docker swarm leave --force` on it, then {JOIN}")
        yield Problem(f"The swarm on {name} says: {node.state}{said}.", remedy)
    elif node.membership == "stranger":
        yield Problem(
            f"{name} is in another swarm than the first manager.",
            f"{JOIN} moves a worker over. A manager must first leave its swarm: "
            "`docker swarm leave --force`",
        )
    elif node.state == "inactive" and any(other.in_swarm for other in status.nodes):
        yield Problem(
            f"{name} is not in the swarm.",
            f"Run `docker swarm join` on it, with the token that `docker swarm join-token worker` "
            f"on a manager prints; or {JOIN}",
        )
    elif node.membership not in ("", "ready"):
        yield Problem(
            f"{name} answers, but its managers report: {node.membership}.",
            "After a start this takes a minute. If that does not help, look at the ports below.",
        )


def _of_swarm(status: Status) -> Iterator[Problem]:
    if status.leaderless:
        yield Problem(
            "The swarm has no leader: more than half of its managers do not answer.",
            "Bring the managers back; if they are lost, run `docker swarm init "
            "--force-new-cluster` on one that still works.",
        )
    if status.former:
        yield Problem(
            f"The swarm lists members that are none of these machines: {', '.join(status.former)}.",
            f"{JOIN} removes those that a machine of the same name replaced. For others, run "
            "`docker node rm --force NAME` on a manager.",
        )
    places: dict[str, list[str]] = {}
    for node in status.nodes:
        if node.advertised:
            places.setdefault(node.advertised, []).append(node.name)
    for address, names in places.items():
        if len(names) > 1:
            yield Problem(
                f"{' and '.join(names)} are in the swarm with the same address {address}, which "
                f"the others cannot reach.",
                "Let them leave (`docker swarm leave --force`), and use the right address: "
                f"`docker swarm init --advertise-addr …`, or {JOIN}",
            )


def _of_ports(status: Status) -> Iterator[Problem]:
    for port in PORTS:
        blocked = [way for way in status.ways if way.port == port and way.state == "blocked"]
        if not blocked:
            continue
        every = sum(way.port == port for way in status.ways)
        pairs = ", ".join(f"from {way.source} to {way.dest}" for way in blocked)
        where = "between all nodes" if len(blocked) == every > 1 else pairs
        yield Problem(
            f"{port} is blocked {where}. It carries {PURPOSES[port]}.",
            "Open it in the firewall of the node it leads to (`sudo ufw allow "
            f"{port}`; `sudo iptables -L -n` shows what drops it), and in the network between.",
        )


def _of_clocks(status: Status) -> Iterator[Problem]:
    for node in status.nodes:
        clock = node.clock
        if clock is None or abs(clock.ahead) - clock.uncertainty <= CLOCK_SECONDS:
            continue
        way = "ahead of" if clock.ahead > 0 else "behind"
        yield Problem(
            f"The clock of {node.name} is {abs(clock.ahead):.1f} s {way} {status.nodes[0].name}'s.",
            "If the computer slept, wait a minute. Otherwise run on the node: "
            "`sudo systemctl restart chrony` (or systemd-timesyncd).",
        )


def _of_mesh(status: Status) -> Iterator[Problem]:
    mesh = status.mesh
    silent = [name for name, answers in mesh.answers.items() if not answers]
    if not silent:
        return
    what = f"{mesh.service} at port {mesh.port} does not answer at {', '.join(silent)}"
    if mesh.state == "no ip_vs":
        yield Problem(
            f"{what}: this kernel has no ip_vs, without which there is no routing mesh.",
            "`sudo modprobe ip_vs` on the machine, if its kernel has the module; else publish in "
            "host mode: --publish mode=host,published=8080,target=80",
        )
    else:
        yield Problem(
            f"{what}, though the routing mesh should do so.",
            "A new service needs a moment. If that does not help, check the ports 7946 and 4789 "
            "between the nodes, and the tasks with `docker service ps`.",
        )
