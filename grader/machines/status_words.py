"""A status on the terminal. The words contain everything; colour only repeats it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from grader.machines.status_model import Clock, Mesh, NodeStatus, Status, Way
from grader.machines.status_network import PORTS
from grader.reports import text
from grader.reports.lines import Lines

MATRIX_NODES = 4
"""With more columns a matrix is wider than 80 characters: then only blocked connections are
listed."""


def render(status: Status, console: Console | None = None) -> None:
    """Print it; without a console to standard output."""
    _Printer(console or Console(highlight=False)).everything(status)


class _Printer(Lines):
    def everything(self, status: Status) -> None:
        self.nodes(status)
        if status.ways:
            self.line()
            self.ways(status)
        self.line()
        self.line(f"Routing mesh: {_mesh(status.mesh)}", hang=2)
        for remark in status.remarks:
            self.line(remark)
        self.line()
        if not status.problems:
            self.line("No problems were found.", style="bold green")
        for number, problem in enumerate(status.problems, start=1):
            self.line(f"Problem {number}: {problem.what}", hang=2, style="bold red")
            self.line(f"What to do: {problem.remedy}", indent=2)

    def nodes(self, status: Status) -> None:
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
        table.add_column("Node", overflow="fold")
        table.add_column("Address", no_wrap=True)
        table.add_column("Engine", overflow="fold")
        table.add_column("Role", overflow="fold")
        table.add_column("In the swarm", overflow="fold")
        table.add_column("Clock", overflow="fold")
        first = next((node.name for node in status.nodes if node.clock), "")
        for node in status.nodes:
            if not node.answers:
                # Why it does not is said below, with what to do.
                row = [node.name, node.address, "-", "-", "does not answer", "-"]
            else:
                engine = node.engine.split("+")[0]
                clock = "compared with" if node.name == first else _clock(node.clock)
                row = [node.name, node.address, engine, node.role, _membership(node), clock]
            style = "" if node.answers else "red"
            table.add_row(*(self.cell(word, style) for word in row))
        self.console.print(table)

    def ways(self, status: Status) -> None:
        names = list(dict.fromkeys(way.source for way in status.ways))
        self.line(f"Ports, as seen from each other node ({', '.join(PORTS)})", style="bold")
        if len(names) <= MATRIX_NODES:
            self.matrix(status.ways, names)
        else:
            self.pairs(status.ways)
        said = {way.state for way in status.ways}
        if "free" in said:
            self.line("free: packets arrive, and no one listens there yet.")
        if "unknown" in said:
            self.line("unknown: to see what arrives, the kit needs root on that node.")

    def matrix(self, ways: Sequence[Way], names: Sequence[str]) -> None:
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
        table.add_column(self.cell("from → to"))
        for name in names:
            table.add_column(name, overflow="fold")
        for source in names:
            row = [self.cell(source)]
            for dest in names:
                between = [way for way in ways if (way.source, way.dest) == (source, dest)]
                blocked = any(way.state == "blocked" for way in between)
                row.append(self.cell(_between(between), "red" if blocked else ""))
            table.add_row(*row)
        self.console.print(table)

    def pairs(self, ways: Sequence[Way]) -> None:
        bad = [way for way in ways if way.state not in ("open", "free")]
        self.line(f"{len(ways) - len(bad)} of {len(ways)} connections are not blocked.")
        for way in bad:
            self.line(f"{way.state}: {way.port} from {way.source} to {way.dest}", indent=2)

    def cell(self, words: str, style: str = "") -> Text:
        return Text(self.fit(text.visible(words)), style=style)


def _membership(node: NodeStatus) -> str:
    if node.state == "inactive":
        return "no"
    if node.state != "active":
        return node.state
    if node.membership == "stranger":
        return "in another one"
    said = [word for word in (node.membership, node.availability) if word]
    # Workers are not told how the managers see them.
    return ", ".join(said) or "yes"


def _clock(clock: Clock | None) -> str:
    if clock is None:
        return "-"
    # Without a minus before nothing.
    return f"{round(clock.ahead, 2) + 0.0:+.2f} s ±{clock.uncertainty:.2f}"


def _between(ways: Sequence[Way]) -> str:
    """The connections from one node to another in one cell, which shows the worst."""
    for state in ("blocked", "unknown"):
        ports = [way.port for way in ways if way.state == state]
        if ports:
            return f"{state.upper() if state == 'blocked' else state} {' '.join(ports)}"
    states = {way.state for way in ways}
    if not states:
        return "-"
    return "open" if "open" in states else "free"


def _mesh(mesh: Mesh) -> str:
    said = {
        "no swarm": "there is no swarm.",
        "nothing published": "no service has a published port, so there is nothing to check.",
        "no running task": "no service with a published port has a running task.",
    }
    if mesh.state in said:
        return said[mesh.state]
    good = [name for name, answers in mesh.answers.items() if answers]
    bad = [name for name, answers in mesh.answers.items() if not answers]
    parts = [f"answers at {', '.join(good)}"] if good else []
    parts += [f"no answer at {', '.join(bad)}"] if bad else []
    why = " (this kernel has no ip_vs)" if mesh.state == "no ip_vs" else ""
    return f"{mesh.service} at port {mesh.port}: {'; '.join(parts)}{why}."
