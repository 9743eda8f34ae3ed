"""The voting application: vote, redis, worker, db, result."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grader.checks import fail
from grader.modules import http

from .fleet import Deployed, Fleet

SERVICES = ("vote", "redis", "worker", "db", "result")
TRAVEL = 45.0
"""Seconds that the first vote may take: a database sets itself up first."""


class Voting(Deployed):
    """The stack of voting.yaml."""

    def __init__(
        self, fleet: Fleet, submission: Path, lab: Any, variant: Mapping[str, Any]
    ) -> None:
        super().__init__(fleet, submission, lab, f"{variant['stack_name']}-voting", "voting.yaml")
        self.ports = {name: int(variant[f"voting_port_{name}"]) for name in ("vote", "result")}
        self.options = {key: str(variant[f"voting_option_{key}"]) for key in "ab"}

    def place(self, name: str) -> Any:
        """The node on which the service's task runs, or the end of the check."""
        found = self.wait(lambda: self.running(name), 10)
        if not found:
            fail(f"No task of {name} runs.", log=self.transcript())
        return self.fleet.target.node(found[0].node)

    def ask(self, name: str, path: str = "/") -> http.Answer | None:
        """A page of vote or result, from the node where its task runs."""
        return http.get(
            self.place(name).address, self.ports[name], path, timeout=5 * self.timeout_factor
        )

    def answers(self, name: str, path: str = "/") -> http.Answer:
        """Likewise, once it answers well; else the end of the check."""
        found = self.wait(lambda: _well(self.ask(name, path)), TRAVEL, every=0.3)
        if found is None:
            last = self.ask(name, path)
            fail(
                f"{name} does not answer correctly.",
                expected=f"a page at port {self.ports[name]} of the node where {name} runs",
                actual=f"status {last.status}: {last.text.strip()[:300]}"
                if last
                else f"no answer; {name} publishes {self.ports_in_words(name)}",
                log=self.logs(),
            )
        return found

    def vote(self, option: str) -> None:
        """One vote of a voter that no one has seen before."""
        form = {"vote": option, "voter": secrets.token_hex(8)}
        place = self.place("vote")

        def sent() -> http.Answer | None:
            return _well(
                http.post(
                    place.address, self.ports["vote"], "/", form, timeout=10 * self.timeout_factor
                )
            )

        if not self.wait(sent, TRAVEL, every=0.3):
            last = http.post(
                place.address, self.ports["vote"], "/", form, timeout=10 * self.timeout_factor
            )
            fail(
                "vote does not accept a vote.",
                expected="status 200",
                actual=f"status {last.status}: {last.text.strip()[:300]}" if last else "no answer",
                log=self.logs(),
            )

    def result(self) -> dict[str, int] | None:
        """The votes by option that result shows; None if it shows none."""
        answer = _well(self.ask("result", "/json"))
        try:
            found = json.loads(answer.text)["votes"] if answer else None
            return None if found is None else {key: int(found[key]) for key in self.options}
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return None

    def logs(self) -> str:
        """The last lines of all five, for a person."""
        told = []
        for name in self.file.services:
            done = self.fleet.manager.run(
                ["docker", "service", "logs", "--raw", "--tail", "8", self.stack.full(name)],
                timeout=20 * self.timeout_factor,
                keep=4000,
            )
            told.append(f"── {name}\n{done.out.rstrip()}")
        return "\n\n".join(told)


def _well(answer: http.Answer | None) -> http.Answer | None:
    return answer if answer and answer.ok else None
