"""Containers as plain data: fetched once per state of a node, then only read.

    redis, web = containers(node, "counter")
    web.service, web.running, web.host_ports(5000)  # ('web', True, [9001])
    redis.networks  # {'counter_default': '172.18.0.2'}

The list includes containers that have ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from grader.errors import EngineFault
from grader.nodes import commands

if TYPE_CHECKING:
    from grader.nodes.node import Node

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
ONE_OFF = "com.docker.compose.oneoff"

LOG_BYTES = 200_000
"""How many bytes of a container's log are kept, from its end."""

MAX_EVENTS = 20_000
EVENTS_SECONDS = 60


@dataclass(frozen=True)
class Published:
    """A port of the container that is published on the node."""

    host_ip: str
    host_port: int
    container_port: int
    protocol: str

    @property
    def only_inside(self) -> bool:
        """Only for programs on the node itself, for example with `127.0.0.1:9000:5000`."""
        return self.host_ip.startswith("127.") or self.host_ip == "::1"


@dataclass(frozen=True)
class Mount:
    """What is mounted at `path` in the container; `name` is the volume's, empty for a bind
    mount."""

    kind: str
    name: str
    path: str

    @property
    def in_words(self) -> str:
        """`volume otter_data at /var/lib/mysql`."""
        return f"{self.kind} {self.name} at {self.path}".replace("  ", " ")


@dataclass(frozen=True)
class Container:
    """The Engine API's data about one container at one moment; `data` is the whole answer."""

    data: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.data["Id"])

    @property
    def name(self) -> str:
        return str(self.data["Name"]).lstrip("/")

    @property
    def service(self) -> str:
        """The service of the compose project, empty if it belongs to none."""
        return str((self._config.get("Labels") or {}).get(SERVICE, ""))

    @property
    def one_off(self) -> bool:
        """Made by `docker compose run` for one command."""
        return (self._config.get("Labels") or {}).get(ONE_OFF) == "True"

    @property
    def hostname(self) -> str:
        return str(self._config.get("Hostname", ""))

    @property
    def image(self) -> str:
        """The requested image of the container: `redis:7`."""
        return str(self._config.get("Image", ""))

    @property
    def running(self) -> bool:
        """Running; a container that waits for its next restart is not."""
        return bool(self._state.get("Running")) and not self._state.get("Restarting")

    @property
    def ended(self) -> bool:
        """Neither running nor about to be restarted."""
        return self._state.get("Status") in ("exited", "dead")

    @property
    def restarts(self) -> int:
        """How often its restart policy has started it again."""
        return int(self.data.get("RestartCount", 0))

    @property
    def runs_well(self) -> bool:
        """Running, and never restarted by its policy."""
        return self.running and self.restarts == 0

    @property
    def restart_policy(self) -> str:
        """`always`, `unless-stopped` or `on-failure`; empty if it is not restarted."""
        policy = (self.data.get("HostConfig") or {}).get("RestartPolicy") or {}
        name = str(policy.get("Name") or "")
        return "" if name == "no" else name

    @property
    def exit_code(self) -> int:
        return int(self._state.get("ExitCode", 0))

    @property
    def pid(self) -> int:
        """The first process's number on the node; 0 if there is none."""
        return int(self._state.get("Pid", 0))

    @property
    def started_at(self) -> str:
        """RFC 3339 with nanoseconds, in UTC, so two times of one engine can be compared as text."""
        return str(self._state.get("StartedAt", ""))

    @property
    def healthcheck(self) -> list[str]:
        """The health check as the engine has it (`["CMD", …]`), empty if there is none."""
        test = list((self._config.get("Healthcheck") or {}).get("Test") or [])
        return [] if test[:1] == ["NONE"] else test

    @property
    def health(self) -> str:
        """`starting`, `healthy`, `unhealthy`, or empty without a health check."""
        return str((self._state.get("Health") or {}).get("Status", ""))

    @property
    def published(self) -> list[Published]:
        """IPv4 ports, in a stable order; entries for `::` are left out, because they only repeat
        them."""
        found = {
            Published(str(b.get("HostIp", "")), int(b["HostPort"]), int(port), protocol)
            for key, bindings in (self._network.get("Ports") or {}).items()
            for port, _, protocol in [key.partition("/")]
            for b in bindings or []
            if b.get("HostPort") and b.get("HostIp") != "::"
        }
        return sorted(found, key=lambda p: (p.host_port, p.host_ip, p.container_port))

    def host_ports(self, container_port: int) -> list[int]:
        """The node's ports that lead to this port of the container."""
        return [p.host_port for p in self.published if p.container_port == container_port]

    @property
    def networks(self) -> dict[str, str]:
        """Names of the networks it is on, with its IPv4 address (empty if it has none)."""
        joined = self._network.get("Networks") or {}
        return {name: str(n.get("IPAddress", "")) for name, n in sorted(joined.items())}

    def names_in(self, network: str) -> list[str]:
        """The names under which the other containers of a network find it."""
        joined = (self._network.get("Networks") or {}).get(network) or {}
        return [*(joined.get("Aliases") or []), *(joined.get("DNSNames") or [])]

    @property
    def mounts(self) -> list[Mount]:
        return [
            Mount(str(m.get("Type", "")), str(m.get("Name", "")), str(m.get("Destination", "")))
            for m in self.data.get("Mounts") or []
        ]

    @property
    def mounts_in_words(self) -> str:
        return "; ".join(mount.in_words for mount in self.mounts) or "no volume"

    @property
    def in_words(self) -> str:
        """Its state for a person: `web-1 runs`, `db-1 has ended with exit code 1`."""
        if self._state.get("Restarting"):
            return f"{self.name} keeps restarting (last exit code {self.exit_code})"
        if self.running:
            health = f" ({self.health})" if self.health else ""
            again = f", restarted {self.restarts} times" if self.restarts else ""
            return f"{self.name} runs{health}{again}"
        if self._state.get("Status") == "created":
            error = str(self._state.get("Error", "")).strip()
            return f"{self.name} was created but never started" + (f": {error}" if error else "")
        return f"{self.name} has ended with exit code {self.exit_code}"

    @property
    def _config(self) -> dict[str, Any]:
        return self.data.get("Config") or {}

    @property
    def _state(self) -> dict[str, Any]:
        return self.data.get("State") or {}

    @property
    def _network(self) -> dict[str, Any]:
        return self.data.get("NetworkSettings") or {}


def containers(node: Node, project: str | None = None) -> list[Container]:
    """All containers, or those of one compose project, including ended ones; by service and
    number."""
    from docker.errors import NotFound

    api = node.docker.api
    found = []
    wanted = {} if project is None else {"label": f"{PROJECT}={project}"}
    for entry in api.containers(all=True, filters=wanted):
        try:
            found.append(Container(api.inspect_container(entry["Id"])))
        except NotFound:
            continue  # Removed between the two questions.
    return sorted(found, key=lambda c: (c.service, len(c.name), c.name))


def log(node: Node, container: Container, lines: int = 30) -> str:
    """The last lines of a container's log as text, empty if it is gone."""
    from docker.errors import APIError, NotFound

    try:
        told = commands.log(node.docker, container.id, lines=lines, keep=LOG_BYTES)
    except (NotFound, APIError):
        return ""
    return told.decode("utf-8", errors="replace")


def logs_of(node: Node, found: Sequence[Container], lines: int = 30) -> str:
    """The last log lines of several containers, each under its name."""
    return "\n\n".join(f"── {c.in_words}\n{log(node, c, lines).rstrip()}" for c in found)


@dataclass(frozen=True)
class Event:
    """Something that happened to a container; `at` in nanoseconds of the engine's clock."""

    at: int
    action: str
    container: str


def events(node: Node, since: float, until: float) -> list[Event]:
    """The engine's events about containers between two moments (seconds since 1970).

    The engine remembers the last few hundred events, including three for each run of a health
    check. Raises EngineFault if the answer has more events than an engine remembers.
    """
    api: Any = node.docker.api  # Its types know whole seconds only; the engine knows fractions.
    with commands.within(EVENTS_SECONDS):
        told = api.events(
            since=f"{since:.6f}", until=f"{until:.6f}", filters={"type": "container"}, decode=True
        )
    found = [
        Event(int(e["timeNano"]), str(e["Action"])[:200], str(e["Actor"]["ID"])[:200])
        for e in islice(told, MAX_EVENTS + 1)
    ]
    if len(found) > MAX_EVENTS:
        told.close()
        raise EngineFault(f"The engine tells of more than {MAX_EVENTS} events.")
    return found
