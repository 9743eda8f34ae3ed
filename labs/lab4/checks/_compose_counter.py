"""The counter: a page that counts its visits in redis."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from _compose_app import App

from grader.checks import eventually, fail
from grader.modules.container import Container

WAIT = 30.0
"""Seconds that the page may take to answer again after a change."""


class Counter(App):
    """`seen` collects the host ports at which web was published during the whole run."""

    def __init__(self, node: Any, submission: Path, lab: Any) -> None:
        super().__init__(node, submission, "counter", lab)
        self.seen: set[int] = set()

    def must_run(self) -> None:
        """End the check unless all containers run well; one that did its work may have ended."""
        bad = [c for c in self.containers() if not c.runs_well and (c.running or c.exit_code)]
        if bad or not self.webs():
            fail(
                "Not all containers run on.",
                expected="all containers run, and were started once",
                actual="; ".join(c.in_words for c in bad) or "no container of web",
                log=self.story(),
            )

    def webs(self) -> list[Container]:
        """The running containers of web."""
        found = [c for c in self.containers("web") if c.running]
        self.seen |= {p.host_port for c in found for p in c.published if p.protocol == "tcp"}
        return found

    def read(self, container: Container) -> int | None:
        """One visit of this container's page: the count it shows, None if it shows none."""
        return shown_count(self.page(container))

    def page(self, container: Container) -> str:
        """The text of this container's page, empty if it does not answer well."""
        for port in container.published:
            answer = self.visit(port) if port.protocol == "tcp" else None
            if answer and answer.ok:
                return answer.text
        return ""

    def visit_once(self) -> int | None:
        """One visit of any container of web: the count it shows, None if it shows none."""
        for web in self.webs():
            count = self.read(web)
            if count is not None:
                return count
        return None

    def count(self, after: str) -> int:
        """The count shown to a visitor, or the end of the check; waits until the page is there."""
        count = eventually(self.visit_once, within=WAIT)
        if count is None:
            fail(
                f"The page shows no count {after}.",
                expected="a page with the number of visits",
                actual=self._instead(),
                log=self.story(),
            )
        return count

    def goes_on(self, before: int, after: str, hint: str | None = None) -> None:
        """End the check unless the page counts on from `before`."""
        count = self.count(after)
        if count <= before:
            fail(
                f"The counter did not go on {after}.",
                expected=f"more than {before}, the last count before it",
                actual=f"{count}",
                hint=hint,
                log=self.story(),
            )

    def _instead(self) -> str:
        for port in self.ports("web"):
            answer = self.visit(port)
            if answer:
                return f"status {answer.status} at port {port.host_port}: {answer.text[:200]}"
        where = "publishes no port" if not self.ports("web") else "does not answer"
        return f"web {where}; {self.state()}"


def shown_count(page: str) -> int | None:
    """The number of visits that the page tells."""
    found = re.search(r"seen (\d+) times", page)
    return int(found[1]) if found else None
