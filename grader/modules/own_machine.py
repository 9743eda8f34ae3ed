"""A node itself as the machine in which a student's script installs things.

    machine = OwnMachine(node)
    machine.host.package("nginx").is_installed  # True

It has the same methods as a bare machine in a container (see machine.py), so checks need not know
which one they use. Changes by a script stay: only the grader's own files are removed. A machine
that is `only_looked_at` is never changed: no file is put on it, and no process of it is stopped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from grader.errors import EngineFault
from grader.modules.inside import MAX_FILE, Process
from grader.modules.machine import DEBIANS_OWN, FRONTEND, KEPT_BY_PEOPLE, Machine
from grader.modules.tree import Entry
from grader.nodes.cleanup import FILES

if TYPE_CHECKING:
    from grader.nodes.node import Completed, Node

SECONDS = 120
"""The time limit for reading many files, on a slow machine."""

MAX_LIST = 8_000_000
"""Characters of a list of files that are read."""

_KINDS = {"f": "file", "l": "link", "d": "folder"}
_ROW = re.compile(r"(?P<kind>.) (?P<mode>\d+) (?P<owner>\d+:\d+)\t(?P<path>[^\t]+)\t(?P<link>.*)")


class OwnMachine(Machine):
    """See the module's docstring."""

    def __init__(self, node: Node, *, only_looked_at: bool = False) -> None:
        super().__init__(node, node.name)
        self.only_looked_at = only_looked_at
        self._put: list[str] = []

    @property
    def host(self) -> Any:
        return self.node.host

    @property
    def runs(self) -> bool:
        return self.node.run(["true"], timeout=SECONDS).ok

    def first_process(self) -> int:
        """Number 1: processes in containers have other process and network namespaces."""
        return 1

    def put(self, source: str, dest: str) -> None:
        """Copy a folder of the node to `dest`, replacing what is there; owned by root."""
        self._put.append(dest)
        for argv in (
            ["rm", "-rf", "--", dest],
            ["mkdir", "-p", "--", dest],
            ["cp", "-r", "--preserve=mode", "--", f"{source}/.", dest],
        ):
            done = self.node.run(argv, timeout=SECONDS)
            if not done.ok:
                raise EngineFault(f"Files cannot be copied on {self.node.name}: {done.tail(2)}")

    def _run(self, argv: list[str], cwd: str, timeout: float, keep: int) -> Completed:
        env = {"DEBIAN_FRONTEND": FRONTEND}
        return self.node.run(argv, timeout=timeout, cwd=cwd, env=env, keep=keep)

    def read(self, path: str) -> bytes:
        done = self.node.run(["cat", "--", path], timeout=SECONDS, keep=MAX_FILE)
        return done.out.encode() if done.ok else b""

    def to_start(self, service: str) -> str:
        """systemd's status of the service, and how to start it."""
        if not self.host.file("/run/systemd/system").is_directory:
            return f"Start it: service {service} restart"
        found = self.host.service(service)
        states = (
            "running" if found.is_running else "not running",
            "enabled" if found.is_enabled else "not enabled",
        )
        return (
            f"systemd says: {', '.join(states)}. sudo systemctl restart {service};"
            f" journalctl -u {service} shows why it ended."
        )

    def listener(self, port: int) -> set[str]:
        """Names of the programs that listen on a TCP port; empty if unknown."""
        done = self.node.run(["ss", "-Hltnp", f"sport = :{port}"], timeout=SECONDS)
        return set(re.findall(r'\("([^"]+)",pid=', done.out)) if done.ok else set()

    @contextmanager
    def frozen(self, program: str) -> Iterator[list[Process]]:
        if self.only_looked_at:
            raise ValueError("processes of this machine are not the grader's to hold still")
        with super().frozen(program) as held:
            yield held

    def files(self, trees: Iterable[str]) -> dict[str, Entry]:
        """As in a container, but without other file systems and without contents."""
        return self._listed([*trees])

    def configuration(self, but: str) -> dict[str, Entry]:
        """As of a bare machine, without mounted folders (for example shared folders)."""
        skipped = rf"/({DEBIANS_OWN.pattern}|{FILES.strip('/')})"
        found = self._listed(
            ["/"], "-regextype", "posix-extended", "-regex", skipped, "-prune", "-o"
        )
        found.update(self._listed(KEPT_BY_PEOPLE))
        return {p: e for p, e in found.items() if p != but and not p.startswith(f"{but}/")}

    def _listed(self, trees: Iterable[str], *chosen: str) -> dict[str, Entry]:
        start = ["find", *trees, "-xdev", *chosen]
        rows = r"%y %m %U:%G\t%p\t%l\n"
        listed = self.node.run([*start, "-printf", rows], timeout=SECONDS, keep=MAX_LIST)
        hashed = self.node.run(
            [*start, "-type", "f", "-exec", "sha256sum", "--", "{}", "+"],
            timeout=SECONDS,
            keep=MAX_LIST,
        )
        if listed.timed_out or hashed.timed_out:
            raise EngineFault(f"{self.node.name} does not list its files in time.")
        lines = (line.partition("  ") for line in hashed.out.splitlines())
        digests = {path: digest for digest, _, path in lines}
        found = {}
        for row in filter(None, map(_ROW.fullmatch, listed.out.splitlines())):
            path, kind = row["path"], _KINDS.get(row["kind"], "other")
            digest = digests.get(path, "") if kind == "file" else row["link"]
            mode = 0 if kind == "link" else int(row["mode"], 8)
            found[path] = Entry(kind, mode, row["owner"], digest)
        return found

    def remove(self) -> None:
        """Remove the files that the grader put there; a script's changes stay."""
        for folder in self._put:
            self.node.run(["rm", "-rf", "--", folder], timeout=SECONDS)
