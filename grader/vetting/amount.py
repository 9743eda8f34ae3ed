"""Limits of a file: services, and published ports.

Each published port is a process and a rule of the node's packet filter, and one more place at
which a silent server can keep a visitor waiting.

    >>> ports_in("8000-8010:80"), ports_in("8080:80"), ports_in("1-65535")
    (11, 1, 65535)
"""

from __future__ import annotations

import re
from typing import Any

from grader.vetting.allowlist import Place

MAX_SERVICES = 30
MAX_PORTS = 60
"""Published ports of one file, or of one command."""

_RANGE = re.compile(r"(?<!\d)0*(\d{1,5})-0*(\d{1,5})(?!\d)")


def ports_in(text: str) -> int:
    """The ports that one item of `ports:`, or one value of `--publish`, stands for."""
    found = (abs(int(last) - int(first)) + 1 for first, last in _RANGE.findall(text))
    return max(found, default=1)


def few_services(place: Place) -> None:
    """A rule for a file's `services:` as a whole."""
    services = place.value if isinstance(place.value, dict) else {}
    if len(services) > MAX_SERVICES:
        place.refuse(
            f"{len(services)} services are more than this lab's nodes can run.",
            "The worksheet lists the services.",
        )
    left = MAX_PORTS
    for name, service in services.items():
        for number, port in enumerate(_listed(service)):
            left -= ports_in(_published(port))
            if left < 0:
                place.at(str(name), service).at("ports", None).at(number, port).refuse(
                    f"More than {MAX_PORTS} ports are published.",
                    "Publish only those that the worksheet names.",
                )


def _listed(service: Any) -> list[Any]:
    ports = service.get("ports") if isinstance(service, dict) else None
    return ports if isinstance(ports, list) else []


def _published(port: Any) -> str:
    return str(port.get("published", "") if isinstance(port, dict) else port)
