"""Step checks about nodes: membership, roles, ports between them, availability."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from grader.checks import cannot_show
from grader.modules import packet_probe
from grader.modules.service import Service
from grader.modules.swarm import NoManager, SwarmNode

from .scenario import Scene

READY_SECONDS = 30
CHANGE_SECONDS = 30
EMPTY_SECONDS = 60
LISTEN_SECONDS = 25
LISTEN_ROUNDS = 2
"""What nodes tell each other of an overlay network may be lost once; they repeat it all within
half a minute."""

MANAGEMENT, GOSSIP, OVERLAY = 2377, 7946, 4789


# The swarm --------------------------------------------------------------------------------------


def nodes(scene: Scene) -> None:
    """All nodes of the target are ready members of one swarm, each once."""
    swarm, wanted = scene.swarm, {node.name for node in scene.scenario.target.nodes}

    def ready() -> set[str]:
        try:
            return {node.name for node in swarm.nodes() if node.state == "ready"}
        except NoManager:
            return set()

    def settled() -> bool:
        """All are in, or one of them is not even trying."""
        states = [swarm.member(node).state for node in scene.scenario.target.nodes]
        return ready() == wanted or "inactive" in states

    scene.wait(settled, READY_SECONDS)
    missing = sorted(wanted - ready())
    if missing:
        told = []
        for node in scene.scenario.target.nodes:
            member = swarm.member(node)
            state = "in no swarm" if member.state == "inactive" else member.state
            told.append(f"{node.name}: {'manager, ' if member.manager else ''}{state}")
        scene.fail(
            f"{_and(missing)} "
            f"{'are not ready members' if missing[1:] else 'is not a ready member'} of"
            " the swarm.",
            expected="manager1, worker1 and worker2 are ready members of one swarm",
            actual="; ".join(told),
            hint="`docker swarm init` on manager1 creates the swarm; each worker joins it with"
            " `docker swarm join`, a token and manager1's address.",
        )
    if not scene.scenario.target.read_only:
        swarm.keep_history()


def roles(scene: Scene) -> None:
    """manager1 manages, the others work."""
    found = {node.name: node.role for node in scene.swarm.nodes() if node.state == "ready"}
    wrong = [name for name, role in found.items() if (role == "manager") != (name == "manager1")]
    if wrong:
        scene.fail(
            "The nodes have the wrong roles.",
            expected="manager1 is a manager, worker1 and worker2 are workers",
            actual=", ".join(f"{name} is a {role}" for name, role in sorted(found.items())),
            hint="The token decides: ${WORKER_TOKEN} makes a worker, ${MANAGER_TOKEN} a manager.",
        )


def ports(scene: Scene) -> None:
    """What nodes say to each other arrives, and at the ports that are known for it."""
    probe = scene.scenario.probe
    probe.ensure()
    if not probe.everywhere():
        probe.needs_its_image()
        scene.fail("The grader's own service does not start on every node.")
    heard: set[tuple[str, str, str]] = set()
    closed: list[str] = []
    # Where nodes are slow, and are listened to for longer, one round has both.
    patient = scene.listening(LISTEN_SECONDS) >= LISTEN_ROUNDS * LISTEN_SECONDS
    for _ in range(1 if patient else LISTEN_ROUNDS):
        closed = _closed(scene, heard)
        if not closed:
            break
    if closed:
        scene.fail(
            "Swarm traffic between nodes is blocked at the ports that are known for it.",
            expected="2377/tcp to the manager, 7946/tcp, 7946/udp and 4789/udp between all nodes,"
            " and containers of different nodes reach each other",
            actual="nothing at: " + ", ".join(sorted(closed)),
            hint="A firewall allows only known ports: do not use --listen-addr or --data-path-port."
            + (
                " Check the firewall of the machines above:"
                " `sudo nft list ruleset` or `sudo iptables -S INPUT`."
                if scene.scenario.target.persistent
                else ""
            ),
        )
    idle = [n.name for n in scene.swarm.nodes() if n.availability != "active"]
    if idle:
        cannot_show(
            f"{' and '.join(idle)} takes no tasks now, so there is no traffic at 4789/udp."
            " Bring it back and check again."
        )


def _closed(scene: Scene, heard: set[tuple[str, str, str]]) -> list[str]:
    """What did not arrive; `heard` (kind, source, node) is added to from round to round."""
    members = [n for n in scene.scenario.target.nodes if scene.swarm.member(n).state == "active"]
    managers = [node for node in members if scene.swarm.member(node).manager]
    active = {node.name for node in scene.swarm.nodes() if node.availability == "active"}
    pairs = [(a, b) for a in members for b in members if a is not b]
    said = [(f"udp/{GOSSIP}", a, b) for a, b in pairs]
    said += [(f"udp/{OVERLAY}", a, b) for a, b in pairs if {a.name, b.name} <= active]
    asked = {
        node.name: [(b.address, GOSSIP) for a, b in pairs if a is node]
        + [(manager.address, MANAGEMENT) for manager in managers if manager is not node]
        for node in members
    }
    names = {node.address: node.name for node in members}
    with ThreadPoolExecutor(2 * len(members)) as pool:
        ears = {
            node.name: pool.submit(
                packet_probe.listen,
                node,
                scene.listening(LISTEN_SECONDS),
                [(kind, a.address) for kind, a, b in said if b is node],
            )
            for node in members
        }
        knocks = {
            node.name: pool.submit(packet_probe.knock, node, asked[node.name]) for node in members
        }
        silent = scene.scenario.probe.exchange(within=scene.listening(LISTEN_SECONDS))
        for name, ear in ears.items():
            heard |= {(packet.kind, packet.source, name) for packet in ear.result()}
    unheard = [
        (kind, a.name, b.name) for kind, a, b in said if (kind, a.address, b.name) not in heard
    ]
    closed = [f"{kind[4:]}/udp from {a} to {b}" for kind, a, b in unheard]
    for name, places in asked.items():
        answers = knocks[name].result()
        for address, port in places:
            if answers.get((address, port)) == "open":
                continue
            closed.append(f"{port}/tcp from {name} to {names[address]}")
    if not any(kind == f"udp/{OVERLAY}" for kind, _, _ in unheard):
        # Else it is no wonder that containers do not hear each other.
        closed += [f"overlay network from {a} to {b}" for a, b in silent]
    return closed


def _and(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def listed(scene: Scene) -> None:
    """A command of the step answered with all members of the swarm."""
    members = [node for node in scene.swarm.nodes() if node.state == "ready"]
    for ran in scene.ran:
        if not ran.ok or ran.allowed.vetted.command.split()[0] != "node" or ran.done is None:
            continue
        if all(m.name in ran.done.out or m.id in ran.done.out for m in members):
            return
    scene.fail(
        "No command of this step answered with all nodes of the swarm.",
        expected="an answer with " + ", ".join(m.name for m in members),
        actual=" | ".join(ran.transcript for ran in scene.ran)[-400:],
        hint="`docker node ls` lists them; it works on a manager only.",
    )


# Roles that change ------------------------------------------------------------------------------


def promoted(scene: Scene) -> None:
    """The student's worker has become a manager that the others reach."""
    name = str(scene.variant["swarm_promoted"])
    before = _member_before(scene, name)
    if before.role == "manager":
        if not scene.scenario.passed("roles"):
            scene.scenario.blocked("roles")
        scene.fail(f"{name} was a manager before this step.")
    must_manage(scene, name)


def must_manage(scene: Scene, name: str) -> None:
    """The node is a manager that the others reach."""
    node = scene.scenario.target.node(name)

    def manages() -> bool:
        now = scene.swarm.node(name)
        return bool(now and now.reachability == "reachable" and scene.swarm.member(node).manager)

    if not _changes(scene, name, "manager") or not scene.wait(manages, CHANGE_SECONDS):
        scene.fail(
            f"{name} has not become a manager.",
            expected=f"{name}: manager, reachable",
            actual=_members(scene),
            hint=f"`docker node promote {name}`, on a manager.",
        )


def demoted(scene: Scene) -> None:
    """The same node is a worker again."""
    name = str(scene.variant["swarm_promoted"])
    before = _member_before(scene, name)
    scene.wants(before.role == "manager", "promoted", f"{name} was not a manager before this step.")
    node = scene.scenario.target.node(name)

    def works() -> bool:
        now = scene.swarm.node(name)
        return bool(now and now.state == "ready" and not scene.swarm.member(node).manager)

    if not _changes(scene, name, "worker") or not scene.wait(works, CHANGE_SECONDS):
        scene.fail(
            f"{name} has not become a worker again.",
            expected=f"{name}: worker, ready",
            actual=_members(scene),
            hint=f"`docker node demote {name}`, on a manager that stays a manager.",
        )


# Availability -----------------------------------------------------------------------------------


def drained(scene: Scene) -> None:
    """The student's node is to run no tasks, does not, and they run elsewhere."""
    name = str(scene.variant["swarm_drained"])
    before = _member_before(scene, name)
    if before.availability == "drain":
        scene.fail(f"{name} was drained before this step.")
    now = scene.swarm.node(name)
    if now is None or now.availability != "drain":
        scene.fail(
            f"{name} is not drained.",
            expected=f"{name} has the availability drain",
            actual=_members(scene),
            hint=f"`docker node update --availability drain {name}`, on a manager.",
        )
    service = scene.before.services.get(scene.scenario.service)
    must_be_empty(scene, name, service if scene.scenario.passed("count") else None)


def must_be_empty(scene: Scene, name: str, service: Service | None) -> None:
    """No task is left on the node; those of the service run elsewhere."""
    if not scene.wait(lambda: not _tasks_on(scene, name), EMPTY_SECONDS):
        scene.fail(
            f"{name} still runs tasks.",
            expected=f"no container of a service on {name}",
            actual=", ".join(_tasks_on(scene, name)),
        )
    if service is not None:
        settles = scene.wait(lambda: scene.swarm.converged(service), EMPTY_SECONDS, stable_for=0.5)
        if not settles or _tasks_on(scene, name):
            told = [t.in_words for t in scene.swarm.tasks(service) if t.meant_to_run]
            scene.fail(
                f"The tasks of {service.name} do not run on the other nodes.",
                expected=f"{service.replicas} running tasks, none on {name}",
                actual="; ".join(told),
            )


def brought_back(scene: Scene) -> None:
    """The node takes tasks again."""
    name = str(scene.variant["swarm_drained"])
    before = _member_before(scene, name)
    scene.wants(
        before.availability == "drain", "drained", f"{name} was not drained before this step."
    )
    now = scene.swarm.node(name)
    if now is None or now.availability != "active":
        scene.fail(
            f"{name} is not back.",
            expected=f"{name} has the availability active",
            actual=_members(scene),
            hint=f"`docker node update --availability active {name}`, on a manager. Tasks that "
            f"now run on other nodes stay there; new tasks can start on it.",
        )
    must_take_tasks(scene, name)


def must_take_tasks(scene: Scene, name: str) -> None:
    """A task of the grader's own service runs on the node."""
    node = scene.scenario.target.node(name)
    if not scene.wait(lambda: scene.scenario.probe.on(node), EMPTY_SECONDS):
        scene.scenario.probe.needs_its_image()
        scene.fail(
            f"{name} takes no tasks, although it is active.",
            expected=f"a task of the grader's own service on {name}",
            actual=_members(scene),
        )


# What they share --------------------------------------------------------------------------------


def _member_before(scene: Scene, name: str) -> SwarmNode:
    """The node before the step; the end of the check if it was in no swarm."""
    found = scene.before.members.get(name)
    scene.wants(
        found is not None, "nodes", f"{name} was not a member of the swarm before this step."
    )
    assert found is not None
    return found


def _changes(scene: Scene, name: str, role: str) -> bool:
    """Whether managers want the node in a role (at once) and it is in it (a moment later)."""
    now = scene.swarm.node(name)
    return now is not None and now.role == role


def _members(scene: Scene) -> str:
    return "; ".join(node.in_words for node in scene.swarm.nodes())


def _tasks_on(scene: Scene, name: str) -> list[str]:
    """Names of containers of services that run on a node, by its own engine."""
    api: Any = scene.scenario.target.node(name).docker.api
    listed = api.containers(filters={"label": "com.docker.swarm.task"})
    return [entry["Names"][0].lstrip("/") for entry in listed]
