"""Compose projects that someone else started on an engine, found by Compose's labels.

    found = projects(node)
    [(p.name, p.folder, p.running) for p in found]  # [('counter', '/home/ada/lab4/counter', 2)]
    started_from(found, Path("/home/ada/lab4/counter"), "counter").name  # 'counter'

If no project runs from that folder, `NotRunning` says why.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.modules.container import PROJECT

if TYPE_CHECKING:
    import docker

    from grader.nodes.node import Node

FOLDER = "com.docker.compose.project.working_dir"


@dataclass(frozen=True)
class OwnProject:
    """A project: the folder it was started from ("" if unknown), its containers' states by name.

    `made` is the creation time of its newest container, in seconds since 1970.
    """

    name: str
    folder: str
    states: dict[str, str]
    made: float

    @property
    def running(self) -> int:
        """How many of its containers run (or are paused, or about to be restarted)."""
        return sum(state in ("running", "paused", "restarting") for state in self.states.values())

    @property
    def in_words(self) -> str:
        """`counter (2 of 2 containers run) from /home/ada/lab4/counter`."""
        where = f" from {self.folder}" if self.folder else ""
        return f"{self.name} ({self.running} of {len(self.states)} containers run){where}"


class NotRunning(Exception):
    """There is no project to check: what was expected, what was found, what to do."""

    def __init__(self, reason: str, *, expected: str, actual: str, hint: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.expected = expected
        self.actual = actual
        self.hint = hint


def projects(node: Node) -> list[OwnProject]:
    """All Compose projects of a node's engine that have containers, by name."""
    by_name: dict[str, list[dict[str, Any]]] = {}
    for entry in node.docker.api.containers(all=True, filters={"label": PROJECT}):
        by_name.setdefault(str(entry["Labels"][PROJECT]), []).append(entry)
    found = []
    for name, entries in sorted(by_name.items()):
        folders = [str(e["Labels"][FOLDER]) for e in entries if FOLDER in e["Labels"]]
        states = {str(e["Names"][0]).lstrip("/"): str(e["State"]) for e in entries}
        made = max(float(e["Created"]) for e in entries)
        found.append(OwnProject(name, folders[0] if folders else "", states, made))
    return found


def states(client: docker.DockerClient) -> list[tuple[str, str, str]]:
    """ID, state and health of each container of a project; health is "" without a check."""
    listed = client.api.containers(all=True, filters={"label": PROJECT})
    return sorted(
        (
            str(e["Id"]),
            str(e["State"]),
            "".join(re.findall(r"\((?:un)?healthy\)", str(e["Status"]))),
        )
        for e in listed
    )


def started_from(found: Sequence[OwnProject], folder: Path, name: str) -> OwnProject:
    """The one running project that was started from `folder`. Raises NotRunning, with the reason.

    `name` is the project's default name.
    """
    up = f"`docker compose up -d` in {folder}"
    expected = f"containers that {up} has started"
    here = [p for p in found if same_folder(p.folder, folder)]
    running = [p for p in here if p.running]
    if len(running) > 1:
        names = ", ".join(p.name for p in running)
        raise NotRunning(
            f"Several projects run from this folder: {names}.",
            expected="one project",
            actual="; ".join(p.in_words for p in running),
            hint=f"Remove all but one: docker compose -p {running[0].name} down",
        )
    if running:
        return running[0]
    elsewhere = [p for p in found if p.name == name and p.running and p not in here]
    if elsewhere:
        (other,) = elsewhere
        raise NotRunning(
            f"Your project {name} runs from another folder, so it is not graded here.",
            expected=expected,
            actual=other.in_words,
            hint=f"`docker compose -p {name} down`, then {up}. If the other folder is the right"
            f" one, use --workspace {Path(other.folder).parent if other.folder else 'DIR'}.",
        )
    if here:
        actual = "; ".join(f"{c}: {state}" for p in here for c, state in p.states.items())
    else:
        actual = "; ".join(p.in_words for p in found if p.running) or "no Compose project runs"
    raise NotRunning(
        f"Your project {name} is not running.",
        expected=expected,
        actual=actual,
        hint=f"Run {up}, then look again.",
    )


def same_folder(told: str, folder: Path) -> bool:
    """Whether a label names this folder, also through links, and in WSL's or Windows' notation."""
    if not told:
        return False
    with contextlib.suppress(OSError, ValueError):
        if Path(told).samefile(folder):
            return True
    return _normal(told) in {_normal(str(folder)), _normal(os.path.realpath(folder))}


def _normal(path: str) -> str:
    """One spelling for `/mnt/c/Users/Ada/` and `c:\\Users\\ada`; others are normalised only."""
    found = re.fullmatch(r"/(?:mnt|run/desktop/mnt/host)/([a-z])(?:/(.*))?", path)
    if found:
        path = f"{found[1]}:/{found[2] or ''}"
    if re.match(r"[A-Za-z]:[\\/]", path):  # Windows does not tell case apart.
        return path.replace("\\", "/").rstrip("/").casefold()
    return os.path.normcase(os.path.normpath(path))
