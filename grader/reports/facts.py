"""Where, when and how long a record was graded, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)

_KINDS = {
    "sandbox": "a sandbox made for this submission",
    "local": "this machine's own Docker engine",
    "vagrant": "the class's virtual machines",
    "hosts": "hosts reached over SSH",
}

_ISOLATIONS = {
    "userns": "isolated by user namespaces",
    "container": "isolated as containers, without user namespaces",
    "vm": "isolated as virtual machines",
    "none": "not isolated",
}


def moment(iso: str) -> str:
    """`24 November 2026, 05:58 (UTC+01:00)`; the text itself if it is not a time."""
    try:
        when = datetime.fromisoformat(iso.replace("Z", "+00:00"))
    except ValueError:
        return iso
    day = f"{when.day} {_MONTHS[when.month - 1]} {when.year}, {when:%H:%M}"
    zone = when.tzname()
    return f"{day} ({zone})" if zone else day


def seconds(value: float) -> str:
    """`0.4 s`, `12 s`, `2 min 5 s`."""
    if value < 9.95:
        return f"{value:.1f} s"
    whole = round(value)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


def together(spent: Mapping[str, float]) -> float:
    """All seconds of an exercise: making the sandbox and the checks, in which the rest lies."""
    return spent.get("sandbox", 0.0) + spent.get("checks", 0.0)


def stages(all_spent: Iterable[Mapping[str, float]]) -> list[str]:
    """The names of the parts of the checks that were timed, in order of first appearance."""
    names = dict.fromkeys(name for spent in all_spent for name in spent)
    return [name for name in names if name not in ("sandbox", "checks")]


def target(facts: Mapping[str, Any]) -> str:
    """A record's `target` as a phrase; what is not known is not mentioned."""
    kind = str(facts.get("kind") or "")
    if not kind:
        return "no target (only the files were read)"
    phrase = [_KINDS.get(kind, kind)]
    nodes = facts.get("nodes")
    if isinstance(nodes, int) and nodes > 1:
        phrase[0] += f", {nodes} nodes"
    if facts.get("live") is True:
        phrase[0] += ", as it is now"
    isolation = str(facts.get("isolation") or "")
    if isolation:
        phrase.append(_ISOLATIONS.get(isolation, f"isolation: {isolation}"))
    if facts.get("engine"):
        phrase.append(f"Docker Engine {facts['engine']}")
    if facts.get("routing_mesh") is False and isinstance(nodes, int) and nodes > 1:
        phrase.append("no routing mesh")
    return "; ".join(phrase)
