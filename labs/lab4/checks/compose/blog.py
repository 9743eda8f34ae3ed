"""The blog: WordPress with its database."""

from __future__ import annotations

import html
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from grader.checks import fail
from grader.modules.container import Container, Event, Published, events
from grader.modules.http import Answer, connects, redirect
from grader.modules.probe import run_probe
from grader.modules.web.bare_html import without_tags
from grader.nodes.node import Completed
from grader.waiting import wait_until

from .app import App, settle

DATABASE_PORT = 3306
PAGE_SECONDS = 20.0
"""Seconds for a page with all redirects before it."""

WAIT = 60.0
"""Seconds that WordPress may take to answer after a change."""

SETTLE = 2.0
"""Seconds that a container without health check must run to be believed."""

BLOGNAME = (
    "SET @t = (SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
    " AND table_name LIKE '%options' LIMIT 1);"
    " SET @q = CONCAT('SELECT option_value FROM `', @t, '` WHERE option_name = ''blogname''');"
    " PREPARE q FROM @q; EXECUTE q"
)
"""SQL that gives the blog's title, whatever prefix WordPress' tables have."""


class Blog(App):
    """`events` are those of the first `up`, the order of starting in them."""

    def __init__(self, node: Any, submission: Path, lab: Any) -> None:
        super().__init__(node, submission, "blog", lab)
        self.title = f"Log {secrets.token_hex(6)}"
        self.installed = False
        self.events: list[Event] = []

    def first_up(self) -> None:
        """The first `up`, in which the database is made."""
        since = time.time()
        super().first_up()
        self.events = events(self.node, since, time.time())

    def must_run(self) -> None:
        """End the check unless both containers run on; one that crashes does so at once."""
        ready = time.monotonic()

        def runs_on(c: Container) -> bool:
            sure = c.health == "healthy" or time.monotonic() - ready > SETTLE
            return self.runs_well(c) and (sure or self.answers(c.service, within=0))

        def both() -> bool:
            found = self.containers("wordpress", "db")
            return len(found) >= 2 and all(runs_on(c) for c in found)

        if not wait_until(both, within=SETTLE + 1):
            fail(
                "Some containers stopped or restarted.",
                expected="wordpress and db run, and were started once",
                actual=self.state(),
                log=self.transcript(),
            )

    def order_in_words(self, db: Container, wordpress: Container) -> str:
        """When db became healthy and when wordpress was started, for a person."""
        healthy, started = healthy_at(self.events, db.id), started_at(self.events, wordpress.id)
        if started is None:
            return "wordpress was not started"
        if healthy is None:
            return f"wordpress was started while {db.name} was not healthy yet"
        return f"wordpress was started {(healthy - started) / 1e9:.1f} s before db was healthy"

    # The page -----------------------------------------------------------------------------

    def page(self, port: Published, path: str = "/") -> Answer | None:
        """The page that a browser ends at: redirects are followed at the same port."""
        deadline = time.monotonic() + PAGE_SECONDS
        for _ in range(4):
            left = deadline - time.monotonic()
            answer = self.visit(port, path, timeout=min(10.0, left)) if left > 0 else None
            there = redirect(answer) if answer else None
            if there is None:
                return answer
            # A blog names the host at which it was installed, which may be another one.
            path = there.target
        return None

    def wait_for(self, what: Callable[[Answer], bool], within: float = WAIT) -> bool:
        """Whether any published port of wordpress shows such a page in time."""

        def look() -> tuple[bool, float | None]:
            ports = self.ports("wordpress")
            pages = [page for port in ports if (page := self.page(port))]
            if any(what(page) for page in pages):
                return True, None
            if any(page.ok for page in pages) or not ports:
                return False, 3.0
            database_is_there = any(c.health == "healthy" for c in self.containers("db"))
            return False, 10.0 if pages and database_is_there else None

        return bool(settle(look, within))

    def instead(self) -> str:
        """What a visitor gets now, in words."""
        ports = self.ports("wordpress")
        if not ports:
            return f"wordpress publishes no port; {self.state()}"
        answer = self.page(ports[0])
        if answer is None:
            return f"no answer at port {ports[0].host_port}; {self.state()}"
        words = " ".join(html.unescape(without_tags(answer.text)).split())[:200]
        return f"status {answer.status} at port {ports[0].host_port}: {words}"

    def reached(self, answer: Answer) -> bool:
        """Whether it is the installation page; or, of one's own blog, a page after that."""
        return answer.ok and ("install.php" in answer.text or (self.own and "/wp-" in answer.text))

    def install(self) -> None:
        """Install WordPress with a title of the moment, as the form in the browser does."""
        if self.installed:
            return
        self.hands_off()
        password = secrets.token_urlsafe(18)
        form = {
            "weblog_title": self.title,
            "user_name": "tutor",
            "admin_password": password,
            "admin_password2": password,
            "pw_weak": "1",
            "admin_email": "tutor@example.org",
            "blog_public": "0",
            "language": "",
        }
        port = self.ports("wordpress")[0]
        self.visit(port, "/wp-admin/install.php?step=2", form, timeout=60)
        self.installed = self.wait_for(self.shows_title, within=10)
        if not self.installed:
            fail(
                "WordPress could not be installed through its page.",
                expected=f"a blog with the title that was entered, {self.title}",
                actual=self.instead(),
                log=self.transcript(),
            )

    def shows_title(self, answer: Answer) -> bool:
        return answer.ok and self.title in answer.text

    # The database -------------------------------------------------------------------------

    def network(self, key: str) -> str | None:
        """The real name of the network that the compose file calls `key`, if there is one."""
        for network in self.project.networks():
            if key in (network.key, network.name):
                return network.name
        return None

    def database_answers(self, db: Container) -> bool:
        """Whether the database answers on the host itself. What answers at its port on the
        student's own computer may be another one."""
        if self.own:
            return "host" in db.networks
        return connects(self.node.address, DATABASE_PORT)

    def ask_database(self, image: str, user: str, password: str, database: str) -> Completed:
        """The blog's title, asked of the database by a client of the grader's own."""
        networks = list(self.one("db").networks)
        return run_probe(
            self.node,
            image,
            ["mysql", "-h", "db", "-u", user, "-N", "-B", "-e", BLOGNAME, database],
            network=networks[0] if networks else "none",
            environment={"MYSQL_PWD": password},
        )

    def lies_without_database(self, db: Container) -> bool:
        """Whether db's health check is content in a container where no database runs."""
        test = db.healthcheck
        argv = ["/bin/sh", "-c", *test[1:]] if test[0] == "CMD-SHELL" else test[1:]
        environment = list((db.data.get("Config") or {}).get("Env") or [])
        return run_probe(self.node, db.image, argv, environment=environment, timeout=10).ok

    # Being killed -------------------------------------------------------------------------

    def require_restart_policies(self) -> None:
        """End the check if the engine would not start one of the containers again."""
        without = [c for c in (self.one("db"), self.one("wordpress")) if not c.restart_policy]
        if without:
            services = " and ".join(c.service for c in without)
            fail(
                f"If its program ended, {services} would not restart.",
                expected="a restart policy for both",
                actual=f"none for {services}",
            )

    def kill(self, *found: Container) -> None:
        """End the containers' first processes as a crash would.

        `docker kill` would count as a stop by hand, after which no restart policy acts.
        """
        pids = [str(c.pid) for c in found if c.pid > 1]
        if pids:
            # `kill` is a word of the shell: a node may not have it as a program.
            self.node.run(["sh", "-c", 'kill -KILL "$@"', "kill", *pids], timeout=10)

    def come_back(self, killed: list[Container], within: float) -> bool:
        """Whether all these containers run again in time, each with a new first process."""

        def look() -> tuple[bool, float | None]:
            missing = self.gone(killed)
            ended = {c.id for c in self.containers() if c.ended}
            return not missing, 3.0 if all(c.id in ended for c in missing) else None

        return bool(settle(look, within))

    def gone(self, killed: list[Container]) -> list[Container]:
        """Those of the containers that have not come back."""
        now = {c.id: c for c in self.containers() if c.running}
        return [c for c in killed if c.id not in now or now[c.id].started_at <= c.started_at]


def healthy_at(told: list[Event], container: str) -> int | None:
    """When a container became healthy for the first time, None if it never did."""
    return _first(told, container, "health_status: healthy")


def started_at(told: list[Event], container: str) -> int | None:
    return _first(told, container, "start")


def _first(told: list[Event], container: str, action: str) -> int | None:
    return min((e.at for e in told if (e.container, e.action) == (container, action)), default=None)
