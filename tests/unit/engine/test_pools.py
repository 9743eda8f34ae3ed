"""Addresses for the kit's networks keep out of the way of what the machine uses."""

from __future__ import annotations

import ipaddress
import itertools

import pytest

from grader.engine import firewall, pools
from grader.errors import EngineFault


def test_the_first_pool_is_taken_where_it_is_free() -> None:
    assert pools.first_free([]) == "172.31.0.0/16"
    assert pools.first_free(["192.168.1.0/24", "172.17.0.0/16", "fe80::/64"]) == "172.31.0.0/16"


@pytest.mark.parametrize(
    "taken", ["172.31.0.0/16", "172.31.5.0/24", "172.31.0.2", "172.16.0.0/12", "172.0.0.0/8"]
)
def test_a_pool_that_touches_a_route_or_name_server_is_passed_over(taken: str) -> None:
    assert pools.first_free([taken]) != "172.31.0.0/16"


def test_without_any_free_pool_it_says_so() -> None:
    with pytest.raises(EngineFault, match="in use"):
        pools.first_free(["0.0.0.0/0"])


POOL, KEY = "10.0.0.0/16", "0123456789abcdef"
CLOSED, OPEN = "ddk012345+", "ddo012345+"


def verdict(hook: str, packet: dict[str, str], *, bridged: bool = True) -> str:
    """What the first rule says that such a packet meets; "" if none does. `packet` has what
    rules ask for (`-i`, `-o`), and the addresses that it names are networks that it is in."""
    for rule in firewall.rules(POOL, KEY, bridged=bridged)[hook]:
        words, asked, negated = list(rule), {}, False
        target = words[words.index("-j") + 1]
        for option, value in itertools.pairwise(words):
            if option in ("-i", "-o", "-s", "-d"):
                negated = words[words.index(option) - 1] == "!"
                asked[option] = (value, negated)
        if "physdev" in words and "bridged" not in packet:
            continue
        if {"conntrack", "addrtype", "rpfilter"} & set(words):
            continue
        if all(meets(packet.get(option, ""), *value) for option, value in asked.items()):
            return target
    return ""


def meets(found: str, wanted: str, negated: bool) -> bool:
    if "/" in wanted:
        inside = bool(found) and ipaddress.ip_address(found) in ipaddress.ip_network(wanted)
        return inside != negated
    name = wanted.removesuffix("+")
    return (found.startswith(name) if wanted.endswith("+") else found == wanted) != negated


INNER, OUTER, FOREIGN = "10.0.1.2", "10.0.200.2", "192.0.2.77"


@pytest.mark.parametrize("bridged", [True, False])
@pytest.mark.parametrize("source", [INNER, OUTER, FOREIGN])
@pytest.mark.parametrize("target", ["eth0", "ddk012345ffffff", "ddo012345ffffff", "br-1"])
def test_no_source_address_leads_out_of_a_closed_network(
    source: str, target: str, bridged: bool
) -> None:
    packet = {"-i": "ddk012345aaaaaa", "-o": target, "-s": source, "-d": FOREIGN}
    assert verdict("FORWARD", packet, bridged=bridged) == "REJECT"
    assert verdict("INPUT", packet, bridged=bridged) == "REJECT"


@pytest.mark.parametrize("bridged", [True, False])
@pytest.mark.parametrize("source", [INNER, OUTER, FOREIGN])
def test_nothing_new_comes_into_a_network_from_elsewhere(source: str, bridged: bool) -> None:
    packet = {"-i": "eth0", "-s": source, "-d": INNER}
    into = {**packet, "-o": "ddk012345aaaaaa"}
    assert verdict("FORWARD", into, bridged=bridged) == "DROP"
    other = {"-i": "ddo012345aaaaaa", "-o": "ddo012345bbbbbb", "-s": source, "-d": FOREIGN}
    assert verdict("FORWARD", other, bridged=bridged) == "DROP"
    assert verdict("FORWARD", {**packet, "-o": "ddo012345bbbbbb"}, bridged=bridged) != "ACCEPT"


def test_nodes_of_one_network_see_each_other() -> None:
    for name in ("ddk012345aaaaaa", "ddo012345aaaaaa"):
        packet = {"-i": name, "-o": name, "-s": INNER, "-d": INNER, "bridged": "yes"}
        assert verdict("FORWARD", packet) == "ACCEPT"


def test_a_network_with_a_way_out_has_one() -> None:
    packet = {"-i": "ddo012345aaaaaa", "-o": "eth0", "-s": OUTER, "-d": FOREIGN}
    assert verdict("FORWARD", packet) == "ACCEPT"
    assert verdict("POSTROUTING", packet) == "MASQUERADE"
    assert verdict("INPUT", packet) == ""


@pytest.mark.parametrize(
    ("bridge", "source", "found"),
    [
        ("ddk012345aaaaaa", INNER, ""),
        ("ddk012345aaaaaa", OUTER, "DROP"),
        ("ddk012345aaaaaa", FOREIGN, "DROP"),
        ("ddo012345aaaaaa", OUTER, ""),
        ("ddo012345aaaaaa", INNER, "DROP"),
        ("ddo012345aaaaaa", "0.0.0.0", "DROP"),
    ],
)
def test_foreign_sources_are_dropped_where_they_arrive(
    bridge: str, source: str, found: str
) -> None:
    packet = {"-i": bridge, "-s": source, "-d": FOREIGN}
    assert verdict("PREROUTING", packet) == found


@pytest.mark.parametrize("bridge", [CLOSED, OPEN])
def test_each_bridge_doubts_sources_and_has_no_ipv6(bridge: str) -> None:
    arriving = firewall.rules(POOL, KEY, bridged=True)["PREROUTING"]
    mine = [" ".join(rule) for rule in arriving if rule[1] == bridge]
    assert f"-i {bridge} -m rpfilter --invert -j DROP" in mine
    assert f"-i {bridge} -m addrtype --src-type LOCAL -j DROP" in mine
    for hook in ("FORWARD", "INPUT"):
        assert bridge in [rule[1] for rule in firewall.rules_ipv6(KEY)[hook]]


def test_a_kernel_without_the_optional_matches_still_gets_the_other_rules() -> None:
    arriving = firewall.rules(POOL, KEY, bridged=False, optional=[])["PREROUTING"]
    words = {word for rule in arriving for word in rule}
    assert not words & {"rpfilter", "CT"}
    assert "addrtype" in words


def test_engines_of_different_homes_have_different_bridges() -> None:
    name = pools.bridge(KEY, closed=True)
    assert len(name) <= 15, "longer names are no devices' names"
    assert name.startswith(CLOSED.removesuffix("+"))
    assert not pools.bridge("fedcba9876543210", closed=True).startswith(name[:9])
    assert pools.home({"Labels": ["a=b", "drydock.home=0123"]}) == "0123"
    assert pools.home({"Labels": None}) is None


def test_networks_with_a_way_out_lie_outside_the_inner_half() -> None:
    assert pools.inner("172.31.0.0/16") == "172.31.0.0/17"
    assert pools.around("172.31.0.0/17") == pools.around("172.31.0.0/16") == "172.31.0.0/16"
    outer = pools.outer_networks("172.31.0.0/16")
    assert (outer[0], outer[-1], len(outer)) == ("172.31.128.0/24", "172.31.255.0/24", 128)
