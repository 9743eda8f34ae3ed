"""Three nodes are a swarm: joined, tasks spread, requests across nodes by name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest

from grader.engine import packages
from grader.engine.client import Engine
from grader.engine.sandbox import Sandbox, SandboxNode

pytestmark = pytest.mark.engine

IMAGE = "tiny/perl:1"
"""Made of the node's own Perl: enough to serve and to ask, and needs no image set."""

PACK = f"""
set -e
files="$(ldd /usr/bin/perl | grep -o '/[^ ]*') /usr/bin/perl /usr/bin/sleep /usr/bin/dash"
tar -C / -chf - --ignore-failed-read $(for file in $files /usr/lib/*/perl-base /etc/nsswitch.conf
    do echo "${{file#/}}"; done) | docker import - {IMAGE}
"""

SERVE = (
    "use IO::Socket::INET; $SIG{TERM} = sub { exit }; "
    "my $s = IO::Socket::INET->new(LocalPort => 80, Listen => 9, ReuseAddr => 1) or die $!; "
    "while (my $c = $s->accept) { print $c $c->sockhost, qq(\\n); close $c }"
)

ASK = (
    "use IO::Socket::INET; use Socket; for my $a ((gethostbyname('tasks.web'))[4..9]) {"
    " next unless $a; my $s = IO::Socket::INET->new("
    "PeerAddr => inet_ntoa($a), PeerPort => 80, Timeout => 5) or next; print <$s> }"
)


def load(node: SandboxNode) -> None:
    done = node.run(["sh", "-c", PACK], timeout=120)
    assert done.ok, done.out


@pytest.fixture(scope="module")
def nodes(engine: Engine) -> Iterator[list[SandboxNode]]:
    with Sandbox.create(engine, nodes=3) as made:
        for node in made.nodes:
            load(node)
        manager, *workers = made.nodes
        manager.docker.swarm.init(advertise_addr=manager.address)
        token = manager.docker.swarm.attrs["JoinTokens"]["Worker"]
        for worker in workers:
            worker.docker.swarm.join([f"{manager.address}:2377"], join_token=token)
        yield made.nodes


def until(found: Callable[[], Any], what: str, seconds: float = 90) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        value = found()
        if value:
            return value
        assert time.monotonic() < deadline, f"still not: {what}"
        time.sleep(0.1)


def test_all_nodes_are_ready(nodes: list[SandboxNode]) -> None:
    def ready() -> bool:
        states = [node.attrs["Status"]["State"] for node in nodes[0].docker.nodes.list()]
        return states == ["ready"] * 3

    until(ready, "three ready nodes")
    names = {node.attrs["Description"]["Hostname"] for node in nodes[0].docker.nodes.list()}
    assert names == {"manager1", "worker1", "worker2"}


def test_a_service_spreads_and_is_reached_across_nodes(nodes: list[SandboxNode]) -> None:
    api = nodes[0].docker
    network = api.networks.create("front", driver="overlay", attachable=True)
    service = api.services.create(
        IMAGE,
        command=["/usr/bin/perl", "-e", SERVE],
        name="web",
        networks=[network.id],
        mode={"Replicated": {"Replicas": 3}},
        endpoint_spec={"Mode": "dnsrr"},
    )

    def on_nodes() -> set[str]:
        tasks = service.tasks(filters={"desired-state": "running"})
        up = [task for task in tasks if task["Status"]["State"] == "running"]
        return {task["NodeID"] for task in up} if len(up) == 3 else set()

    assert len(until(on_nodes, "three running tasks")) == 3, "one on each node"

    def answers() -> set[str]:
        ask = ["docker", "run", "--rm", "--network", "front", IMAGE, "/usr/bin/perl", "-e", ASK]
        return set(nodes[2].run(ask, timeout=60).out.split())

    until(lambda: len(answers()) == 3, "an answer from each of three tasks")


def test_published_in_host_mode_it_answers_at_the_nodes_address(nodes: list[SandboxNode]) -> None:
    import socket

    api = nodes[0].docker
    ports = [{"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "host"}]
    api.services.create(
        IMAGE,
        command=["/usr/bin/perl", "-e", SERVE],
        name="everywhere",
        mode={"Global": {}},
        endpoint_spec={"Mode": "dnsrr", "Ports": ports},
    )

    def answer(address: str) -> bytes:
        try:
            with socket.create_connection((address, 8080), timeout=5) as connection:
                return connection.recv(100)
        except OSError:
            return b""

    for node in nodes:
        if node.engine.local:
            assert until(partial(answer, node.address), f"an answer of {node.name}")


def test_a_container_that_multiplies_does_not_take_the_node(nodes: list[SandboxNode]) -> None:
    node = nodes[1]
    bomb = "while (1) { my $p = fork; if (defined $p) { sleep 100 unless $p } else { sleep 1 } }"
    container = node.docker.containers.run(
        IMAGE, ["/usr/bin/perl", "-e", bomb], detach=True, network_mode="none"
    )
    counts = [0]

    def full() -> bool:
        done = node.run(["sh", "-c", "ls -d /proc/[0-9]* | wc -l"], timeout=30)
        assert done.ok, done.out
        counts.append(int(done.out))
        return counts[-1] > 700 and counts[-1] - counts[-2] < 5

    until(full, "as many processes as it may have")
    assert node.run(["sh", "-c", "echo fine | cat"], timeout=30).out == "fine\n"
    container.kill()
    container.remove(force=True)
    assert node.run(["docker", "ps"], timeout=30).ok


def test_a_container_finds_names_of_the_world(nodes: list[SandboxNode]) -> None:
    """On the default bridge, where builds run, no loopback name server is of use."""
    node = nodes[1]
    if not node.engine.local:
        pytest.skip("the name servers of an engine elsewhere are its own matter")
    mirror = packages.debian_mirror()
    if mirror is None:
        pytest.skip("this machine names no mirror whose name could be looked up")
    name = urlsplit(mirror).hostname
    ask = f"use Socket; print((gethostbyname('{name}'))[4] ? 'found' : 'lost')"
    outside = node.run(["/usr/bin/perl", "-e", ask], timeout=60).out
    inside = node.run(["docker", "run", "--rm", IMAGE, "/usr/bin/perl", "-e", ask], timeout=60)
    assert inside.out == outside
