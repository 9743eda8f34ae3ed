"""What the checks ask about containers before and after a step of the compose runbook."""

from __future__ import annotations

from grader.modules import http
from grader.modules.container import Container

from .scenario import Files, Scene, State

KILLED = 137
"""The exit code of what SIGKILL ended: 128 and 9."""


def edited(files: Files) -> Files:
    """compose.yaml with another value in it, so that `up` would recreate page."""
    text = files["compose.yaml"].replace(b'EDITION: "1"', b'EDITION: "2"')
    return {**files, "compose.yaml": text}


def rewritten(files: Files) -> Files:
    """page.html with another text."""
    return {**files, "page.html": files["page.html"].replace(b"first edition", b"second edition")}


def ids(found: tuple[Container, ...]) -> set[str]:
    return {c.id for c in found}


def running(found: tuple[Container, ...]) -> list[Container]:
    return [c for c in found if c.running]


def shows(scene: Scene, text: str) -> bool:
    """Whether every running container of page answers with this text."""
    ports = [port for c in running(scene.now.pages) for port in c.host_ports(80)]
    answers = [http.get(scene.scenario.node.address, port, timeout=5) for port in ports]
    return bool(answers) and all(a is not None and a.ok and text in a.text for a in answers)


def untouched(scene: Scene, before: State, now: State, what: str, hint: str = "") -> None:
    """End the check unless the containers of store are the same and were not started again."""
    as_before = {(c.id, c.running, c.started_at) for c in before.stores}
    if {(c.id, c.running, c.started_at) for c in now.stores} != as_before:
        scene.fail(
            f"{what} has touched store.",
            expected="store goes on as it was",
            actual=now.in_words,
            hint=hint or None,
        )
