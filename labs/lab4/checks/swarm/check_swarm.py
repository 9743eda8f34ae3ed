"""Exercise swarm: a runbook that makes a swarm and runs services on it, played step by step.

Each step is judged by what it did, before the next one is played (see play.py). The checks
stand in the order of the lecture; the runbook's order may be another one. A student's own swarm
is not played with but looked at (see live.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.checks import check
from grader.engine.images import catalogue
from grader.modules.runbook.vetted import readable

from . import book as books
from . import live, nodes, publish, services
from .play import Judge, Play, Round

JUDGES = (
    Judge("nodes", "create the swarm", nodes.nodes, live=nodes.nodes),
    Judge("roles", "create the swarm", nodes.roles, ("nodes",), live.roles),
    Judge("ports", "create the swarm", nodes.ports, ("nodes",), nodes.ports),
    Judge("listed", "look at the nodes", nodes.listed, live=live.listed),
    Judge("created", "create the service", services.created, live=live.created),
    Judge("pings", "create the service", services.pings, live=live.pings),
    Judge("count", "create the service", services.count, live=live.number("count")),
    Judge("scaled_up", "scale up", services.scaled_up, live=live.number("scaled_up")),
    Judge("scaled_down", "scale down", services.scaled_down, live=live.number("scaled_down")),
    Judge("promoted", "promote", nodes.promoted, live=live.promoted),
    Judge(
        "demoted",
        "demote",
        nodes.demoted,
        live="A swarm does not remember which of its workers was a manager.",
    ),
    Judge("drained", "drain", nodes.drained, live=live.drained),
    Judge("brought_back", "bring back", nodes.brought_back, live=live.brought_back),
    Judge("host_port", "publish in host mode", publish.host_port, live=live.host_port),
    Judge("mesh_port", "publish in the mesh", publish.mesh_port, live=live.mesh_port),
    Judge(
        "mesh_answers",
        "publish in the mesh",
        publish.mesh_answers,
        ("mesh_port",),
        publish.mesh_answers,
    ),
    Judge(
        "removed",
        "remove the service",
        services.removed,
        live="A swarm does not remember a service that is gone.",
    ),
)


@pytest.fixture(scope="session")
def book(submission: Path, lab: Any) -> books.Book:
    return books.read(submission, catalogue.load().all_names(lab.exercise("swarm").images))


@pytest.fixture(scope="session")
def play(
    target: Any, variant: dict[str, Any], stage: Any, request: pytest.FixtureRequest
) -> Iterator[Round]:
    """The runbook, played; on a read-only target a look at what is there, whatever the runbook
    says."""
    playing: Round
    if target.read_only:
        playing = live.Look(target, variant, JUDGES, stage)
    else:
        playing = Play(target, request.getfixturevalue("book"), variant, JUDGES, stage)
    yield playing
    playing.close()


@check(points=0.5, needs_engine=False)
def check_runbook(book: books.Book) -> None:
    """swarm/runbook.txt can be read, and all its commands are commands of this exercise."""
    readable(book, "docker commands of this exercise, each behind the node it is typed on")


# The swarm --------------------------------------------------------------------------------------


@check(points=2)
def check_nodes(play: Round) -> None:
    """Create the swarm: manager1, worker1 and worker2 are ready members of one swarm."""
    play.see("nodes")


@check(points=1)
def check_roles(play: Round) -> None:
    """Create the swarm: manager1 is its only manager, worker1 and worker2 are workers."""
    play.see("roles")


@check(points=1.5)
def check_ports(play: Round) -> None:
    """What nodes say to each other arrives at 2377/tcp, 7946/tcp, 7946/udp and 4789/udp, and
    containers of different nodes reach each other in an overlay network.
    """
    play.see("ports")


@check(points=0.5)
def check_listed(play: Round) -> None:
    """Look at the nodes: a manager answers with all nodes of the swarm."""
    play.see("listed")


# The service ------------------------------------------------------------------------------------


@check(points=1)
def check_created(play: Round) -> None:
    """Create the service: there is a service of your name."""
    play.see("created")


@check(points=1.5)
def check_pings(play: Round) -> None:
    """Create the service: its tasks run alpine and ping your node of the lab."""
    play.see("pings")


@check(points=1.5)
def check_count(play: Round) -> None:
    """Create the service: your number of tasks run, and go on running."""
    play.see("count")


@check(points=2)
def check_scaled_up(play: Round) -> None:
    """Scale up: more tasks run on the nodes, as many as your number says."""
    play.see("scaled_up")


@check(points=2)
def check_scaled_down(play: Round) -> None:
    """Scale down: fewer tasks run on the nodes, as many as your number says."""
    play.see("scaled_down")


# Nodes that change ------------------------------------------------------------------------------


@check(points=1.5)
def check_promoted(play: Round) -> None:
    """Promote: your worker becomes a second manager."""
    play.see("promoted")


@check(points=1)
def check_demoted(play: Round) -> None:
    """Demote: it becomes a worker again."""
    play.see("demoted")


@check(points=2)
def check_drained(play: Round) -> None:
    """Drain: no task is left on your node, and they run on the others."""
    play.see("drained")


@check(points=1.5)
def check_brought_back(play: Round) -> None:
    """Bring back: your node takes tasks again."""
    play.see("brought_back")


# Ports ------------------------------------------------------------------------------------------


@check(points=2.5)
def check_host_port(play: Round) -> None:
    """Publish in host mode: your port answers on exactly those nodes that run a task."""
    play.see("host_port")


@check(points=1)
def check_mesh_port(play: Round) -> None:
    """Publish in the mesh: the service runs with your port in the routing mesh."""
    play.see("mesh_port")


@check(points=1)
def check_mesh_answers(play: Round) -> None:
    """Publish in the mesh: your port answers on every node, whether or not it runs a task."""
    play.see("mesh_answers")


@check(points=1)
def check_removed(play: Round) -> None:
    """Remove the service: it is gone, and its containers on all nodes with it."""
    play.see("removed")
