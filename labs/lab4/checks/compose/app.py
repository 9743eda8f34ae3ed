"""A submitted compose application on a node, and how it is visited."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from grader.checks import fail
from grader.engine.images import catalogue
from grader.modules import http
from grader.modules.compose import ComposeProject
from grader.modules.compose_projects import NotRunning, projects, started_from
from grader.modules.container import Container, Published
from grader.modules.packages import blame_the_network
from grader.modules.submitted import dockerfiles, place_compose
from grader.nodes.node import Completed
from grader.targets.local import hands_off
from grader.vetting import compose as vetting
from grader.vetting.resolved import Disagreement
from grader.vetting.yamlfile import Refused
from grader.waiting import wait_until

from .says import explained

T = TypeVar("T")

LASTS = 3.0
"""Seconds that a container of one's own has to run on, if it was restarted before."""


def read(submission: Path, folder: str) -> vetting.ComposeFile:
    """The folder's compose file, or the end of the check with what is wrong with it."""
    try:
        return vetting.read(submission / folder, folder)
    except Refused as refused:
        _refuse(refused)


def _refuse(refused: Refused) -> NoReturn:
    log = refused.document if isinstance(refused, Disagreement) else None
    fail(str(refused.what), actual=refused.where, hint=refused.remedy, log=log)


def allowed_images(lab: Any) -> Collection[str]:
    return catalogue.load().all_names(lab.exercise("compose").images)


def refuse_foreign_images(submission: Path, folder: str, lab: Any) -> None:
    """End the check if an image is not one of the lab's, in the compose file or a Dockerfile."""
    file = read(submission, folder)
    try:
        file.refuse_images(allowed_images(lab))
        dockerfiles(submission / folder, file, allowed_images(lab))
    except Refused as refused:
        _refuse(refused)


def require_services(submission: Path, folder: str, *names: str) -> None:
    """End the check if the compose file has no services of these names."""
    there = list(read(submission, folder).services)
    missing = [name for name in names if name not in there]
    if missing:
        fail(
            f"There is no service called {' or '.join(missing)}.",
            expected=f"services {' and '.join(names)}",
            actual=f"services {', '.join(there)}",
            hint="Write the names directly below `services:`; containers use them to find each "
            "other.",
        )


def settle(look: Callable[[], tuple[T, float | None]], within: float) -> T | None:
    """The first true answer of `look` within so many seconds, else None.

    `look` also says for how many seconds an answer that is not true must last to be final,
    None if time may still fix it: no one waits a minute for what has crashed for good.
    """
    since: float | None = None

    def once() -> tuple[T | None] | None:
        nonlocal since
        answer, final_after = look()
        now = time.monotonic()
        if answer:
            return (answer,)
        since = None if final_after is None else (since or now)
        return (None,) if since is not None and now - since >= (final_after or 0) else None

    found = wait_until(once, within=within)
    return found[0] if found else None


class App:
    """One of the two applications: its project on the node and its containers.

    `at_rest` is true while it runs as `up` left it: checks that need it so call `ensure_up`.
    `own`: it is what the student has started, and only looked at.
    """

    def __init__(self, node: Any, submission: Path, folder: str, lab: Any) -> None:
        self.node = node
        self.folder = folder
        self.limits: Mapping[str, int] = lab.limits
        self.file = read(submission, folder)
        self.at_rest = False
        self.own = node.workspace is not None
        self.unreadable: Completed | None = None
        if self.own:
            refuse_foreign_images(submission, folder, lab)
            self.project = self._started()
        else:
            self._place(submission, lab)

    def _started(self) -> ComposeProject:
        """The student's own project, or the end of the check with why there is none."""
        folder = self.node.workspace / self.folder
        try:
            found = started_from(projects(self.node), folder, self.folder)
        except NotRunning as none:
            fail(none.reason, expected=none.expected, actual=none.actual, hint=none.hint)
        return ComposeProject(self.node, found.name, str(folder), self.file.files)

    def _place(self, submission: Path, lab: Any) -> None:
        """The project on the node, its files copied there and what Compose reads in them vetted."""
        try:
            self.placed = place_compose(
                self.node, submission / self.folder, self.folder, self.file, allowed_images(lab)
            )
        except Refused as refused:
            _refuse(refused)
        self.project, self.file = self.placed.project, self.placed.file
        self.unreadable = self.placed.unreadable

    # Commands -----------------------------------------------------------------------------

    def up(self, *arguments: str) -> None:
        """`docker compose up -d …`, or the end of the check with what Compose said."""
        builds = any(service.build for service in self.file.entries)
        seconds = self.limits["start_seconds"]
        if builds:
            seconds += self.limits["build_seconds"]
        command = " ".join(["up", "-d", *arguments])
        if self.unreadable is not None:
            self.must(self.unreadable, command)
        self._read_again(command)
        self.must(self.project.up(*arguments, timeout=seconds), command)

    def _read_again(self, command: str) -> None:
        """As Compose does before each `up`; the end of the check if it cannot any more."""
        if self.own:
            return
        try:
            unreadable = self.placed.read_again()
        except Refused as refused:
            _refuse(refused)
        if unreadable is not None:
            self.must(unreadable, command)

    def first_up(self) -> None:
        """The first `up`, unless it is the student's own: then it is looked at as it is."""
        if not self.own:
            self.up()

    def ensure_up(self) -> None:
        """As after `up -d`, whatever an earlier check left behind, to do something with it next."""
        if not self.at_rest:
            self.up()

    def hands_off(self) -> None:
        """End the check as not graded if it would change the student's own application."""
        if self.own:
            hands_off()

    def must(self, done: Completed, command: str) -> None:
        """End the check if a compose command did not work."""
        self.at_rest = False
        if done.ok:
            self.at_rest = command.startswith(("up", "start", "restart"))
            return
        blame_the_network(self.node, done)
        known = explained(done, command, self.folder)
        fail(
            known.reason + self.note(),
            actual=done.tail(),
            hint=known.hint,
            log=self.transcript(done),
        )

    def clear(self) -> None:
        """Take the project away with all its containers, so that its ports are free again.

        The student's own applications run side by side.
        """
        if self.own or not self.containers():
            return
        if not self.project.down("--remove-orphans", "--timeout", "5").ok:
            for container in self.project.containers():
                self.node.docker.api.remove_container(container.id, force=True)
        self.at_rest = False

    # What is there ------------------------------------------------------------------------

    def containers(self, *services: str) -> list[Container]:
        return self.project.containers(*services)

    def runs_well(self, container: Container) -> bool:
        """Running for good. One's own may have been started again once, by its policy."""
        if not self.own or not container.restarts:
            return container.runs_well
        start = (container.id, container.started_at)

        def runs_on() -> bool:
            return start in {(c.id, c.started_at) for c in self.containers() if c.running}

        return bool(wait_until(runs_on, within=0, stable_for=LASTS))

    def one(self, service: str) -> Container:
        """The container of a service, or the end of the check if there is none."""
        found = self.containers(service)
        if not found:
            fail(f"There is no container of the service {service}.", log=self.transcript())
        return found[0]

    def state(self, *services: str) -> str:
        """The containers' states in words."""
        return "; ".join(c.in_words for c in self.containers(*services)) or "no containers"

    def ports_in_words(self, service: str) -> str:
        """What the service's containers publish: `web-1: 9000 → 5000`."""
        told = [
            f"{c.name}: {p.host_port} → {p.container_port}/{p.protocol}"
            for c in self.containers(service)
            for p in c.published
        ]
        return "; ".join(told) or f"{service} publishes no port"

    def transcript(self, done: Completed | None = None) -> str:
        """What explains a failure: the command's output and the containers' logs."""
        said = f"$ {self.command_line(done)}\n{done.out.strip()}\n\n" if done else ""
        return said + self.project.logs()

    def command_line(self, done: Completed) -> str:
        """The command as a student types it."""
        words = list(done.argv)
        last_file = max(i for i, word in enumerate(words) if word == "-f")
        return " ".join(["docker compose", *words[last_file + 2 :]])

    def note(self) -> str:
        """A word about compose files that Compose does not read, empty if there are none."""
        if not self.file.ignored:
            return ""
        return f" (Compose reads {self.file.files[0]} and ignores {self.file.ignored[0]}.)"

    # Visits -------------------------------------------------------------------------------

    def ports(self, service: str) -> list[Published]:
        """The TCP ports that the service's running containers publish."""
        return [
            port
            for container in self.containers(service)
            if container.running
            for port in container.published
            if port.protocol == "tcp"
        ]

    def visit(
        self,
        port: Published,
        path: str = "/",
        form: Mapping[str, str | int] | None = None,
        timeout: float = 10.0,
    ) -> http.Answer | None:
        """What a visitor gets there; None if nothing answers within `timeout` seconds.

        A port that is published for the node itself is visited from the node.
        """
        if port.only_inside and self.node.address != port.host_ip:
            return http.request_inside(
                self.node, port.host_ip, port.host_port, path, form=form, timeout=timeout
            )
        method = "GET" if form is None else "POST"
        return http.request(
            method, self.node.address, port.host_port, path, form=form, timeout=timeout
        )

    def answers(self, service: str, within: float, path: str = "/") -> bool:
        """Whether a published port of the service gives any answer over HTTP in time."""

        def look() -> tuple[bool, float | None]:
            if any(self.visit(port, path) for port in self.ports(service)):
                return True, None
            alive = [c for c in self.containers(service) if c.running or c.restarts]
            return False, None if any(c.published or not c.running for c in alive) else 1.0

        return bool(settle(look, within))
