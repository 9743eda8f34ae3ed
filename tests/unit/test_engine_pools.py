"""Addresses for the kit's networks keep out of the way of what the machine uses."""

from __future__ import annotations

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


@pytest.mark.parametrize("bridged", [True, False])
def test_sandboxes_are_kept_apart_before_anything_is_let_through(bridged: bool) -> None:
    found = firewall.rules("10.0.0.0/16", bridged=bridged)
    passing, leaving = found["FORWARD"], found["POSTROUTING"]
    verdicts = [(rule, rule[-1]) for rule in passing]
    apart = next(i for i, (rule, _) in enumerate(verdicts) if rule[:4] == BETWEEN)
    way_out = next(i for i, (rule, _) in enumerate(verdicts) if rule[:4] == OUT)
    assert verdicts[apart][1] == "DROP"
    assert verdicts[way_out][1] == "ACCEPT"
    assert apart < way_out
    assert verdicts[-1] == (["-d", "10.0.0.0/16", "-j", "DROP"], "DROP")
    assert [rule[-1] for rule in leaving] == ["MASQUERADE"]
    assert ("physdev" in passing[0]) == bridged


@pytest.mark.parametrize("bridged", [True, False])
def test_the_inner_half_is_refused_before_anything_is_let_out(bridged: bool) -> None:
    passing = firewall.rules("10.0.0.0/16", bridged=bridged)["FORWARD"]
    refusal = next(i for i, rule in enumerate(passing) if rule[:2] == ["-s", "10.0.0.0/17"])
    assert "REJECT" in passing[refusal]
    assert all("ACCEPT" not in rule or "physdev" in rule for rule in passing[:refusal])


def test_the_inner_half_may_only_answer_this_machine() -> None:
    answering, refusing = firewall.rules("10.0.0.0/16", bridged=True)["INPUT"]
    assert answering[:2] == refusing[:2] == ["-s", "10.0.0.0/17"]
    assert "RELATED,ESTABLISHED" in answering
    assert "REJECT" in refusing


def test_networks_with_a_way_out_lie_outside_the_inner_half() -> None:
    assert pools.inner("172.31.0.0/16") == "172.31.0.0/17"
    assert pools.around("172.31.0.0/17") == pools.around("172.31.0.0/16") == "172.31.0.0/16"
    outer = pools.outer_networks("172.31.0.0/16")
    assert (outer[0], outer[-1], len(outer)) == ("172.31.128.0/24", "172.31.255.0/24", 128)


BETWEEN = ["-s", "10.0.0.0/16", "-d", "10.0.0.0/16"]
OUT = ["-s", "10.0.0.0/16", "-j", "ACCEPT"]
