"""The student's page: requests it, recognises it, and proves which programs served it."""

from __future__ import annotations

import html
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from grader.checks import fail
from grader.errors import EngineFault
from grader.modules.http import Answer, connects, get, request_inside
from grader.modules.inside import Inside
from grader.modules.own_machine import OwnMachine
from grader.modules.web.bare_html import without_tags
from grader.waiting import wait_until

T = TypeVar("T")

STARTS_WITHIN = 30
PATIENCE = 8
"""Seconds in which a server that answers with an error may still start to work."""

SETTLES_WITHIN = 2
"""Seconds for a read-only check: only a request that is in progress can still change the result."""

PARTS = (("php-fpm", "PHP-FPM"), ("nginx", "nginx"))
"""Programs that take part in serving the page, and their names."""

ANSWERS_WITHIN = 1.5
"""A generous time limit for a page that only multiplies two numbers, in seconds."""


@dataclass(frozen=True)
class Page:
    """The expected content of this student's page, and its address."""

    site: str
    student: str
    factor: int
    node: Any
    timeout_factor: float = 1.0
    """The target's factor: the waits below are multiplied by it."""
    read_only: bool = False
    """Also the target's: nothing was started for this check, so there is nothing to wait for."""

    def ask(self, port: int, n: int, timeout: float = 5.0, path: str = "/") -> Answer | None:
        timeout *= self.timeout_factor
        return get(self.node.address, port, path, {"n": n}, timeout=timeout, follow=True)

    def wait(self, what: Callable[[], T], within: float, every: float = 0.1) -> T | None:
        """`wait_until`, with the target's factor."""
        if self.read_only:
            within = min(within, SETTLES_WITHIN)
        return wait_until(what, within=within * self.timeout_factor, every=every)

    def wait_for(
        self, port: Callable[[], int], n: int, alive: Callable[[], bool] = lambda: True
    ) -> None:
        """Wait until the page answers correctly; less long if something else answers, or if it
        has ended."""
        first_answer: float | None = None

        def settled() -> bool:
            nonlocal first_answer
            answer = self.ask(port(), n)
            if answer and first_answer is None:
                first_answer = time.monotonic()
            if first_answer and time.monotonic() - first_answer > PATIENCE * self.timeout_factor:
                return True
            return bool(answer and answer.ok) or not alive()

        self.wait(settled, STARTS_WITHIN, every=0.3)

    def computed(self, answer: Answer | None, n: int) -> bool:
        """Whether the answer contains PHP's result for `n`."""
        text = words(answer.text) if answer and answer.ok else ""
        return re.search(rf"(?<!\d){n * self.factor}(?!\d)", text) is not None

    def must_be_mine(
        self, answer: Answer | None, port: int, *, at: int | None = None, log: str = ""
    ) -> None:
        """Fail, with the likely cause, if the answer is not this student's page.

        `port` is the port that the student knows, `at` the node's port if it is another one.
        """
        expected = f"a page with {self.site} and {self.student} on it"
        if answer is None:
            self._must_be_reachable(at or port)
            fail(
                f"Nothing answers on port {port}.",
                expected=expected,
                actual="no answer",
                hint="Check that the server block has 'listen' with this port, and that nginx "
                "runs.",
                log=log or None,
            )
        text = answer.text
        if answer.ok and self.site in text and self.student in text:
            return
        reason, hint = _other_page(answer)
        fail(
            reason,
            expected=expected,
            actual=f"status {answer.status}: {words(text)[:300]}",
            hint=hint,
            log=log or None,
        )

    def _must_be_reachable(self, port: int) -> None:
        """No answer is the student's fault only if the node itself gets no answer either."""
        if request_inside(self.node, "127.0.0.1", port, timeout=5) and not connects(
            self.node.address, port
        ):
            raise EngineFault(f"The node answers on port {port}, but the grader cannot reach it.")


def a_number() -> int:
    """Chosen at run time, so that no page can know the answer beforehand."""
    return 10_000 + secrets.randbelow(90_000)


def words(text: str) -> str:
    """A page's text without its tags."""
    return " ".join(html.unescape(without_tags(text)).split())


def must_be_executed(page: Page, inside: Inside, port: int) -> None:
    """Fail unless PHP computes the page and it comes through nginx and PHP-FPM.

    The proof is one of effect: while all processes of PHP-FPM are stopped, and then all of nginx,
    the page does not answer; when they continue, it answers again. On a read-only machine it is
    enough that both run and nginx has the port.
    """
    n = a_number()
    answer = page.ask(port, n)
    expected = f"result: {n * page.factor} for /?n={n}"
    if answer is not None and re.search(r"<\?(php|=)", answer.text):
        fail(
            "The page's PHP source is sent instead of being run.",
            expected=expected,
            actual=answer.text[:300],
            hint=r"nginx must pass .php files to PHP-FPM: location ~ \.php$ { … fastcgi_pass … }",
        )
    if not page.computed(answer, n):
        shown = re.search(r"result:\s*\S+", words(answer.text)) if answer else None
        fail(
            "The page shows a wrong result.",
            expected=expected,
            actual=shown[0] if shown else (words(answer.text)[:300] if answer else "no answer"),
            hint="The line 'result: …' of the given site/index.php must not be changed.",
        )
    if isinstance(inside, OwnMachine) and inside.only_looked_at:
        _must_seem_to_be_executed(inside, port)
        return
    for program, what in PARTS:
        with inside.frozen(program) as held:
            if not held:
                _does_not_run(inside, program, what)
            came = page.computed(page.ask(port, n, timeout=ANSWERS_WITHIN), n)
        if came:
            fail(
                f"The page does not come through {what}: it still answers while {what} is held"
                " still.",
                expected=f"nginx asks PHP-FPM for the page; without {what} there is no answer",
                actual=running_programs(inside),
                hint="Check which program listens on the port, and where fastcgi_pass leads.",
            )
    if not page.wait(lambda: page.computed(page.ask(port, n), n), 20):
        raise EngineFault("The page did not come back after its processes were held still.")


def _must_seem_to_be_executed(machine: OwnMachine, port: int) -> None:
    """The check without stopping anything: both run, and nginx has the port."""
    running = {process.program for process in machine.processes()}
    for program, what in PARTS:
        if program not in running:
            _does_not_run(machine, program, what)
    heard = machine.listener(port)
    if heard and "nginx" not in heard:
        fail(
            f"The page does not come through nginx: another program listens on port {port}.",
            expected="nginx",
            actual=", ".join(sorted(heard)),
        )


def _does_not_run(inside: Inside, program: str, what: str) -> NoReturn:
    fail(
        f"The page is computed, but {what} does not run.",
        expected=f"a process {program}",
        actual=running_programs(inside),
        hint=f"Do not use PHP's built-in server (php -S) here: {what} must serve the page.",
    )


def running_programs(inside: Inside) -> str:
    """The programs that run in the container, each once, for a person."""
    names = list(dict.fromkeys(p.program for p in inside.processes()))
    return "running: " + (", ".join(names) or "nothing")


def _other_page(answer: Answer) -> tuple[str, str]:
    """What a page is that is not the student's, and what to do about it."""
    text: str = answer.text
    server: Any = answer.headers.get("server", "")
    if "Welcome to nginx" in text or "Apache2 Debian Default Page" in text:
        return (
            "It is the server's own welcome page.",
            "Enable your site (a link in /etc/nginx/sites-enabled), disable the default one, and "
            "copy site/ to the folder that root names.",
        )
    if answer.status in (502, 504):
        return (
            f"nginx answers {answer.status}: it does not reach PHP-FPM.",
            "Check that PHP-FPM runs and that fastcgi_pass names the socket or port that it "
            "listens on. ls /run/php/ shows the socket.",
        )
    if answer.status == 403:
        return (
            "nginx answers 403: it has no permission to show this folder.",
            "Write 'index index.php;' in the server block, copy site/ to the folder that root"
            " names, and let www-data read it.",
        )
    if answer.status == 404 or "File not found." in text:
        return (
            "The server finds no page there.",
            "Check that site/index.php is copied to the folder that root names, and that PHP-FPM "
            "gets the right SCRIPT_FILENAME (include snippets/fastcgi-php.conf;).",
        )
    if answer.status >= 300:
        return (
            f"The server{f' {server}' if server else ''} answers with status {answer.status}.",
            "Its error log shows why: /var/log/nginx/error.log",
        )
    return (
        "It is not your page.",
        "Serve the site/ of your own workspace: it has your student ID and your site's name.",
    )
