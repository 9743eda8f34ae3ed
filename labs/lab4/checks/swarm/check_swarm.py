"""Exercise swarm: a runbook that makes a swarm and runs services on it, played step by step.

Each step is judged by what it did, before the next one is played (see scenario.py). The checks
stand in the order of the lecture; the runbook's order may be another one. A student's own swarm
is not played with but looked at (see look.py).
"""

from __future__ import annotations

from grader.checks import check
from grader.modules.runbook.scenario import step_check
from grader.modules.runbook.vetted import Book, readable
from grader.vetting.dockercli import Vetted

from . import look, nodes, publish, services
from .scenario import Scene


@check(points=0.5, needs_engine=False)
def check_runbook(book: Book[Vetted]) -> None:
    """swarm/runbook.txt can be read, and all its commands are commands of this exercise."""
    readable(book, "docker commands of this exercise, each after the node it runs on")


# The swarm --------------------------------------------------------------------------------------


@step_check("create the swarm", points=2, read_only=nodes.nodes)
def check_nodes(scene: Scene) -> None:
    """Create the swarm: manager1, worker1 and worker2 are ready members of one swarm."""
    nodes.nodes(scene)


@step_check("create the swarm", points=1, needs=["nodes"], read_only=look.roles)
def check_roles(scene: Scene) -> None:
    """Create the swarm: manager1 is its only manager, worker1 and worker2 are workers."""
    nodes.roles(scene)


@step_check("create the swarm", points=1.5, needs=["nodes"], read_only=nodes.ports)
def check_ports(scene: Scene) -> None:
    """Swarm traffic between nodes arrives at 2377/tcp, 7946/tcp, 7946/udp and 4789/udp, and
    containers of different nodes reach each other in an overlay network.
    """
    nodes.ports(scene)


@step_check("look at the nodes", points=0.5, read_only=look.listed)
def check_listed(scene: Scene) -> None:
    """Look at the nodes: a manager answers with all nodes of the swarm."""
    nodes.listed(scene)


# The service ------------------------------------------------------------------------------------


@step_check("create the service", points=1, read_only=look.created)
def check_created(scene: Scene) -> None:
    """Create the service: there is a service of your name."""
    services.created(scene)


@step_check("create the service", points=1.5, read_only=look.pings)
def check_pings(scene: Scene) -> None:
    """Create the service: its tasks run alpine and ping your node."""
    services.pings(scene)


@step_check("create the service", points=1.5, read_only=look.number("count"))
def check_count(scene: Scene) -> None:
    """Create the service: your number of tasks run and keep running."""
    services.count(scene)


@step_check("scale up", points=2, read_only=look.number("scaled_up"))
def check_scaled_up(scene: Scene) -> None:
    """Scale up: more tasks run on the nodes, as many as your number says."""
    services.scaled_up(scene)


@step_check("scale down", points=2, read_only=look.number("scaled_down"))
def check_scaled_down(scene: Scene) -> None:
    """Scale down: fewer tasks run on the nodes, as many as your number says."""
    services.scaled_down(scene)


# Nodes that change ------------------------------------------------------------------------------


@step_check("promote", points=1.5, read_only=look.promoted)
def check_promoted(scene: Scene) -> None:
    """Promote: your worker becomes a second manager."""
    nodes.promoted(scene)


@step_check(
    "demote", points=1, read_only="A swarm does not remember which of its workers was a manager."
)
def check_demoted(scene: Scene) -> None:
    """Demote: it becomes a worker again."""
    nodes.demoted(scene)


@step_check("drain", points=2, read_only=look.drained)
def check_drained(scene: Scene) -> None:
    """Drain: your node runs no tasks; they run on the other nodes."""
    nodes.drained(scene)


@step_check("bring back", points=1.5, read_only=look.brought_back)
def check_brought_back(scene: Scene) -> None:
    """Bring back: your node takes tasks again."""
    nodes.brought_back(scene)


# Ports ------------------------------------------------------------------------------------------


@step_check("publish in host mode", points=2.5, read_only=look.host_port)
def check_host_port(scene: Scene) -> None:
    """Publish in host mode: your port answers on exactly those nodes that run a task."""
    publish.host_port(scene)


@step_check("publish in the mesh", points=1, read_only=look.mesh_port)
def check_mesh_port(scene: Scene) -> None:
    """Publish in the mesh: the service runs with your port in the routing mesh."""
    publish.mesh_port(scene)


@step_check("publish in the mesh", points=1, needs=["mesh_port"], read_only=publish.mesh_answers)
def check_mesh_answers(scene: Scene) -> None:
    """Publish in the mesh: your port answers on every node, with or without a task."""
    publish.mesh_answers(scene)


@step_check(
    "remove the service", points=1, read_only="A swarm does not remember a service that is gone."
)
def check_removed(scene: Scene) -> None:
    """Remove the service: the service and its containers on all nodes are gone."""
    services.removed(scene)
