"""What a node's root may send, and who must not receive it: packets with any source address."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from grader.engine import engine_paths, engine_state, firewall, packages, pools
from grader.engine.client import Engine
from grader.engine.mirror import making, origins
from grader.engine.node import SandboxNode
from grader.engine.sandbox import Sandbox
from tests.engine.packets import (
    BROADCAST,
    Canary,
    Sniffer,
    router_advertisement,
    send,
    udp,
)

pytestmark = pytest.mark.engine

OUTSIDE, OUTSIDE6 = "198.51.100.2", "2001:db8:51::2"
"""A machine that a sandbox must not reach; addresses that are no one's."""
HERE, HERE6 = "198.51.100.1", "2001:db8:51::1"
FOREIGN = ("10.9.8.7", "203.0.113.9", OUTSIDE)
PORT = 4444
"""Of a node: the canary has asked it, so that it may answer."""


@pytest.fixture(scope="module")
def nodes(engine: Engine) -> Iterator[list[SandboxNode]]:
    if engine.origin != "embedded" or not packages.is_root():
        pytest.skip("another engine's packet filter is not the kit's")
    with Sandbox.create(engine, nodes=2) as made:
        yield made.nodes


@pytest.fixture(scope="module")
def neighbour(engine: Engine, nodes: list[SandboxNode]) -> Iterator[SandboxNode]:
    with Sandbox.create(engine) as made:
        yield made.nodes[0]


@pytest.fixture
def canary() -> Iterator[Canary]:
    with contextlib.closing(Canary()) as made:
        yield made


@pytest.fixture(scope="module")
def outside() -> Iterator[str]:
    """A network namespace that stands for a machine next to this one."""
    name = f"drydock-{secrets.token_hex(3)}"
    here, there = f"ddt{secrets.token_hex(3)}", "eth0"
    ip("netns", "add", name)
    try:
        ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", name)
        for address in (f"{HERE}/24", f"{HERE6}/64"):
            ip("address", "add", address, "dev", here, *(["nodad"] if ":" in address else []))
        for address in (f"{OUTSIDE}/24", f"{OUTSIDE6}/64"):
            nodad = ["nodad"] if ":" in address else []
            ip("-n", name, "address", "add", address, "dev", there, *nodad)
        ip("-n", name, "link", "set", there, "up")
        ip("link", "set", here, "up")
        yield name
    finally:
        ip("netns", "delete", name)


def ip(*argv: str) -> str:
    done = subprocess.run(["ip", *argv], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def gateway(node: SandboxNode) -> str:
    return node.address.rsplit(".", 1)[0] + ".1"


def bridge(node: SandboxNode) -> str:
    network = node.address.rsplit(".", 1)[0] + ".0/24"
    return next(route["dev"] for route in pools._routes() if route["dst"] == network)


def mac(bridge: str) -> str:
    return Path(f"/sys/class/net/{bridge}/address").read_text().strip()


def mac_of(node: SandboxNode) -> str:
    return node.run(["cat", "/sys/class/net/eth0/address"], timeout=20).out.strip()


def link_local(bridge: str) -> str:
    (link,) = json.loads(ip("-json", "-6", "address", "show", "dev", bridge))
    return next(str(one["local"]) for one in link["addr_info"] if one["scope"] == "link")


def own_addresses() -> list[str]:
    """This machine's IPv4 addresses, those of other bridges and of loopback included."""
    links = json.loads(ip("-json", "-4", "address", "show"))
    return [str(one["local"]) for link in links for one in link["addr_info"]]


def ask_and_answer(node: SandboxNode, canary: Canary, frames: list[bytes]) -> list[Any]:
    """What reaches the canary of `frames`; the last one is an answer, which it must hear."""
    last = secrets.token_bytes(8)
    canary.ask(node.address, PORT)
    answer = (node.address, PORT), (gateway(node), canary.port)
    send(node, [*frames, udp(*answer, last, mac(bridge(node)))])
    return canary.until(last)


def test_no_service_of_this_machine_hears_a_node_whoever_it_says_that_it_is(
    nodes: list[SandboxNode], neighbour: SandboxNode, canary: Canary
) -> None:
    node = nodes[0]
    here, own = mac(bridge(node)), own_addresses()
    (pool,) = {state.pool for state in [engine_state.read_state(engine_paths.current())] if state}
    outer = str(ipaddress.IPv4Network(pools.outer(pool))[77])
    sources = [node.address, nodes[1].address, neighbour.address, outer, "0.0.0.0", *FOREIGN, *own]
    shared = [node.address.rsplit(".", 1)[0] + ".255", "255.255.255.255", "224.0.0.1"]
    frames = [
        udp((source, PORT + 1), (target, canary.port), f"{source} {target}".encode(), to)
        for source in sources
        for targets, to in ((own, here), (shared, BROADCAST))
        for target in targets
    ]
    assert len(frames) > 100
    assert ask_and_answer(node, canary, frames) == []


def test_nor_by_a_question_that_it_has_made_up(nodes: list[SandboxNode], canary: Canary) -> None:
    """A packet from this machine's address, to the other node of the sandbox; then its answer."""
    node, other = nodes
    asked = (gateway(node), canary.port), (other.address, PORT + 2)
    send(node, [udp(*asked, b"made up", mac_of(other))])
    lie = udp((other.address, PORT + 2), asked[0], b"answer", mac(bridge(other)))
    assert ask_and_answer(other, canary, [lie]) == []


def test_nor_over_ipv6(nodes: list[SandboxNode], canary: Canary) -> None:
    node = nodes[0]
    name = bridge(node)
    here = link_local(name)
    before = ip("-6", "route", "show", "table", "all")
    frames = [
        udp((source, PORT), (target, canary.port), f"{source} {target}".encode(), to)
        for source in ("fe80::dd", "fd00::dd", "::1", here)
        for target, to in ((here, mac(name)), ("ff02::1", "33:33:00:00:00:01"), ("::1", mac(name)))
    ]
    frames.append(router_advertisement("fe80::dd", "33:33:00:00:00:01"))
    assert ask_and_answer(node, canary, frames) == []
    assert [line for line in new_routes(before) if name in line] == []


def new_routes(before: str) -> set[str]:
    return set(ip("-6", "route", "show", "table", "all").splitlines()) - set(before.splitlines())


def test_a_route_of_its_own_leads_nowhere(
    nodes: list[SandboxNode], neighbour: SandboxNode, canary: Canary, outside: str
) -> None:
    node = nodes[0]
    state = engine_state.read_state(engine_paths.current())
    assert state is not None
    second = str(ipaddress.IPv4Network(pools.outer(state.pool))[78])
    here = mac(bridge(node))
    sources = [node.address, second, neighbour.address, *FOREIGN, *own_addresses()]
    with (
        contextlib.closing(Sniffer(netns=outside)) as there,
        contextlib.closing(Sniffer(device=bridge(neighbour))) as next_door,
    ):
        frames = [
            udp((source, PORT), (target, 9999), b"escaped", here)
            for source in sources
            for target in (OUTSIDE, neighbour.address)
        ]
        assert ask_and_answer(node, canary, frames) == []
        # The same as its root would do it.
        for words in (
            f"route replace default via {gateway(node)}",
            f"address add {second}/32 dev eth0",
            f"route replace {OUTSIDE} via {gateway(node)} src {second}",
        ):
            assert node.run(["ip", *words.split()], timeout=20).ok
        for target in (OUTSIDE, neighbour.address):
            shout = f"echo escaped > /dev/udp/{target}/9999"
            node.run(["bash", "-c", shout], timeout=20)
        assert ask_and_answer(node, canary, []) == []
        for target, listener in ((OUTSIDE, there), (neighbour.address, next_door)):
            canary.ask(target, 9)
            assert [frame for frame in listener.until(b"question") if b"escaped" in frame] == []
    assert node.run(["ip", "address", "del", f"{second}/32", "dev", "eth0"], timeout=20).ok


def test_nor_over_ipv6_where_this_machine_forwards_it(
    nodes: list[SandboxNode], canary: Canary, outside: str
) -> None:
    node = nodes[0]
    name = bridge(node)
    forced = Path(f"/proc/sys/net/ipv6/conf/{name}/force_forwarding")
    if not forced.exists():
        pytest.skip("this kernel forwards IPv6 for all networks or for none")
    forced.write_text("1\n")
    ip("-n", outside, "-6", "route", "replace", "default", "via", HERE6)
    with contextlib.closing(Sniffer(netns=outside)) as there:
        frames = [
            udp((source, PORT), (OUTSIDE6, 9999), b"escaped", mac(name))
            for source in ("fd00::dd", "2001:db8:99::1")
        ]
        assert ask_and_answer(node, canary, frames) == []
        canary.ask(OUTSIDE, 9)
        assert [frame for frame in there.until(b"question") if b"escaped" in frame] == []


def test_the_mirror_answers_nobody_who_is_not_there(
    engine: Engine, nodes: list[SandboxNode], neighbour: SandboxNode, canary: Canary, outside: str
) -> None:
    """Else a node could let it send packets to whom it likes, the world included."""
    node = nodes[0]
    name = urlsplit(origins.read_public().index).hostname or ""
    question = dns(name)
    with contextlib.closing(engine.client()) as client:
        networks = client.api.inspect_container(making.NAME)["NetworkSettings"]["Networks"]
    (leg,) = [one for one in networks.values() if one["Gateway"] == gateway(node)] or [
        one for one in networks.values() if in_network(node, one["IPAddress"])
    ]
    with (
        contextlib.closing(Sniffer(netns=outside)) as there,
        contextlib.closing(Sniffer(device=bridge(neighbour))) as next_door,
    ):
        target = (leg["IPAddress"], 53)
        sources = [OUTSIDE, neighbour.address]
        lies = [udp((one, PORT), target, question, leg["MacAddress"]) for one in sources]
        assert ask_and_answer(node, canary, lies) == []
        # It answers in order, so it has seen them all once this one is answered.
        assert node.run(["getent", "hosts", name], timeout=20).ok
        for address, listener in ((OUTSIDE, there), (neighbour.address, next_door)):
            canary.ask(address, 9)
            assert [one for one in listener.until(b"question") if question[12:] in one] == []


def in_network(node: SandboxNode, address: str) -> bool:
    return address.rsplit(".", 1)[0] == node.address.rsplit(".", 1)[0]


def dns(name: str) -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return b"\x12\x34\x01\x00\x00\x01" + bytes(6) + labels + b"\x00\x00\x01\x00\x01"


def test_a_network_with_a_way_out_has_one_for_its_own_addresses_only(
    engine: Engine, nodes: list[SandboxNode], neighbour: SandboxNode, canary: Canary, outside: str
) -> None:
    with Sandbox.create(engine, way_out=True) as made:
        node = made.nodes[0]
        here = mac(bridge(node))
        with (
            contextlib.closing(Sniffer(netns=outside)) as there,
            contextlib.closing(Sniffer(device=bridge(neighbour))) as next_door,
        ):
            lies = [
                udp((source, PORT), (target, port), f"escaped {source}".encode(), here)
                for source in (*FOREIGN, "0.0.0.0", neighbour.address, *own_addresses())
                for target, port in (
                    (OUTSIDE, 9999),
                    (neighbour.address, 9999),
                    (gateway(node), canary.port),
                    ("127.0.0.1", canary.port),
                )
            ]
            lies.append(udp((node.address, PORT), (neighbour.address, 9), b"escaped", here))
            assert ask_and_answer(node, canary, lies) == []
            send(node, [udp((node.address, PORT), (OUTSIDE, 9999), b"ordinary", here)])
            assert [one for one in there.until(b"ordinary") if b"escaped" in one] == []
            canary.ask(neighbour.address, 9)
            assert [one for one in next_door.until(b"question") if b"escaped" in one] == []


def test_rules_that_somebody_has_emptied_are_there_for_the_next_sandbox(
    engine: Engine, nodes: list[SandboxNode]
) -> None:
    key = engine_paths.current().key
    jump = ["FORWARD", "-j", f"DRYDOCK-{key}"]
    subprocess.run(["iptables", "-w", "10", "-D", *jump], check=True)
    assert not firewall.present(key)
    with Sandbox.create(engine):
        assert firewall.present(key)


def test_its_bridges_doubt_sources_and_believe_no_router(nodes: list[SandboxNode]) -> None:
    settings = Path("/proc/sys/net/ipv4/conf", bridge(nodes[0]))
    if not os.access(settings / "rp_filter", os.W_OK):
        pytest.skip("nothing can be set in /proc/sys here")
    found = {name: (settings / name).read_text().strip() for name in ("rp_filter", "arp_ignore")}
    assert found == {"rp_filter": "1", "arp_ignore": "1"}
