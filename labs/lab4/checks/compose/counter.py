"""The counter: a page that counts its visits in redis."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from grader.checks import cannot_show, fail
from grader.modules.container import Container
from grader.modules.http import Answer

from .app import App, settle

WAIT = 30.0
"""Seconds that the page may take to answer again after a change."""


class Counter(App):
    """`seen` collects the host ports at which web was published during the whole run."""

    def __init__(self, node: Any, submission: Path, lab: Any) -> None:
        super().__init__(node, submission, "counter", lab)
        self.seen: set[int] = set()

    def must_run(self) -> None:
        """End the check unless all containers run well; one that did its work may have ended."""
        found = self.containers()
        bad = [c for c in found if not self.runs_well(c) and (c.running or c.exit_code)]
        if bad or not self.webs():
            fail(
                "Some containers stopped or restarted.",
                expected="all containers run, and were started once",
                actual="; ".join(c.in_words for c in bad) or "no container of web",
                log=self.transcript(),
            )

    def scale(self, wanted: int) -> None:
        """`up --scale`; one's own is graded when it was scaled by hand."""
        if not self.own:
            self.up("--scale", f"web={wanted}")
        elif len(self.webs()) != wanted:
            cannot_show(f"Run `docker compose up -d --scale web={wanted}` first, then check again.")

    def webs(self) -> list[Container]:
        """The running containers of web."""
        found = [c for c in self.containers("web") if c.running]
        self.seen |= {p.host_port for c in found for p in c.published if p.protocol == "tcp"}
        return found

    def answer(self, container: Container) -> Answer | None:
        """One visit of this container's page, at any port that it publishes."""
        ports = [port for port in container.published if port.protocol == "tcp"]
        return next((a for port in ports if (a := self.visit(port))), None)

    def count(self, after: str) -> int:
        """The count shown to a visitor, or the end of the check; waits until the page is there."""
        count = settle(self._visit, within=WAIT)
        if count is None:
            fail(
                f"The page shows no count {after}.",
                expected="a page with the number of visits",
                actual=self._instead(),
                log=self.transcript(),
            )
        return count

    def _visit(self) -> tuple[int | None, float | None]:
        """See `settle`: the count that the page shows; an error that it shows for long is final."""
        answers = [answer for web in self.webs() if (answer := self.answer(web))]
        counts = [count for answer in answers if (count := shown_count(answer))]
        return counts[0] if counts else None, 10.0 if answers else None

    def goes_on(self, before: int, after: str, hint: str | None = None) -> None:
        """End the check unless the page counts on from `before`."""
        count = self.count(after)
        if count <= before:
            fail(
                f"The counter lost its count {after}.",
                expected=f"more than {before}, the last count before it",
                actual=f"{count}",
                hint=hint,
                log=self.transcript(),
            )

    def _instead(self) -> str:
        for port in self.ports("web"):
            answer = self.visit(port)
            if answer:
                return f"status {answer.status} at port {port.host_port}: {answer.text[:200]}"
        where = "publishes no port" if not self.ports("web") else "does not answer"
        return f"web {where}; {self.state()}"


def shown_count(answer: Answer | None) -> int | None:
    """The number of visits that the page tells."""
    # A number that no page reaches by counting would cost time, or be none that Python reads.
    found = re.search(r"seen (\d{1,15}) times", answer.text) if answer and answer.ok else None
    return int(found[1]) if found else None
