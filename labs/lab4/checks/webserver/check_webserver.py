"""Exercise webserver: nginx and PHP-FPM on a machine (7 points) and in an image (8 points)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from grader.checks import cannot_show, check, fail
from grader.modules.files import text_of
from grader.modules.image import Build, Image, Running
from grader.modules.machine import Machine
from grader.modules.outcomes import must_have_built, must_have_worked
from grader.modules.web.php_page import Page, a_number, must_be_executed, running_programs
from grader.modules.web.web_container import must_become_healthy, must_serve, must_stop
from grader.nodes.node import Completed
from grader.vetting.dockerfile import SCRATCH, Vetted

from .run import NOT_RUN, Second
from .says import EXPLAINER, TOO_SLOW

# The machine: 7 points -------------------------------------------------------------------


@check(points=0.5, needs_engine=False)
def check_script_present(folder: Path) -> None:
    """webserver/provision.sh exists and is a script that bash can read."""
    text = text_of(folder, "provision.sh")
    lines = [line for line in text.split("\n") if line.strip()]
    if all(line.endswith("\r") for line in lines):
        known = EXPLAINER.explain("\\r: command not found")
        assert known is not None
        fail(
            "provision.sh has Windows line ends (CRLF). bash reads the CR as part of each command.",
            expected="lines that end with LF",
            actual="lines that end with CR LF",
            hint=known.hint,
        )


@check(points=0.5, needs=["script_present"])
def check_packages_installed(machine: Machine, first_run: Completed, build_seconds: float) -> None:
    """provision.sh installs nginx and PHP-FPM from Debian's packages."""
    php = [name for name in machine.packages() if re.fullmatch(r"php\d+\.\d+-fpm", name)]
    missing = [
        name
        for name, found in (
            ("nginx", machine.host.package("nginx").is_installed),
            ("php-fpm", any(machine.host.package(name).is_installed for name in php)),
        )
        if not found
    ]
    if missing and first_run is NOT_RUN:
        fail(
            f"On {machine.node.name} {' and '.join(missing)} {'are' if missing[1:] else 'is'} not"
            " installed.",
            expected="the packages nginx and php-fpm",
            actual=f"missing: {', '.join(missing)}",
            hint="Run your provision.sh there, as root: sudo bash provision.sh",
        )
    if missing:
        must_have_worked(
            first_run,
            "provision.sh",
            build_seconds,
            "Read the end of its output.",
            EXPLAINER,
            TOO_SLOW,
        )
        fail(
            f"The script ran to its end without installing {' and '.join(missing)}.",
            expected="the packages nginx and php-fpm",
            actual=f"missing: {', '.join(missing)}",
            hint="apt-get install -y nginx php-fpm",
            log=first_run.tail(40),
        )


@check(points=1, needs=["packages_installed"])
def check_provision_succeeds(first_run: Completed, build_seconds: float) -> None:
    """On a bare Debian machine provision.sh runs to its end without an error."""
    if first_run is NOT_RUN:
        cannot_show(
            "The grader does not run your script on your own machine. `--fresh` runs it "
            "there, twice."
        )
    must_have_worked(
        first_run,
        "provision.sh",
        build_seconds,
        "The script's exit code is that of its last command, or, with set -e, of the first failed "
        "command. bash -x provision.sh shows each command.",
        EXPLAINER,
        TOO_SLOW,
    )


@check(points=0.5, needs=["packages_installed"])
def check_nginx_config_valid(machine: Machine, first_run: Completed) -> None:
    """nginx accepts its configuration on that machine (nginx -t)."""
    tested = machine.host.run("nginx -t")
    if tested.rc != 0:
        said = tested.stderr or tested.stdout
        known = EXPLAINER.explain(said)
        fail(
            known.reason if known else "nginx refuses its configuration.",
            expected="test is successful",
            actual=said.strip().splitlines()[0] if said.strip() else f"exit code {tested.rc}",
            hint=known.hint if known else "nginx -t shows the file and the line.",
            log=said,
        )


@check(points=1, needs=["packages_installed"])
def check_services_listen(
    machine: Machine, first_run: Completed, page: Page, variant: dict[str, Any]
) -> None:
    """nginx and PHP-FPM run on that machine, and nginx listens on your port."""
    port = int(variant["web_port"])

    def programs() -> set[str]:
        return {p.program for p in machine.processes()}

    def heard() -> list[Any]:
        return [s for s in machine.listening() if s.port == port]

    page.wait(lambda: {"nginx", "php-fpm"} <= programs() and heard(), 10)
    for program, service in (("nginx", "nginx"), ("php-fpm", "php8.2-fpm")):
        if program not in programs():
            fail(
                f"{program} is installed, but does not run.",
                expected="nginx and php-fpm run",
                actual=running_programs(machine),
                hint=machine.to_start(service),
                log=first_run.tail(40),
            )
    others = ", ".join(str(s.port) for s in machine.listening()) or "none"
    if not heard():
        fail(
            f"Nothing listens on your port {port}.",
            expected=f"a socket that listens on port {port}",
            actual=f"ports with a listener: {others}",
            hint=f"listen {port}; in your server block, and restart nginx after the change.",
        )
    if not any(s.from_outside for s in heard()):
        fail(
            f"Port {port} answers only on the machine itself.",
            expected=f"0.0.0.0:{port}",
            actual=f"{heard()[0].address}:{port}",
            hint=f"Leave the address out: listen {port};",
        )


@check(points=1, needs=["services_listen"])
def check_machine_page(machine: Machine, page: Page, variant: dict[str, Any]) -> None:
    """From outside, the machine serves your page on your port."""
    port, n = int(variant["web_port"]), a_number()
    page.wait_for(lambda: port, n)
    page.must_be_mine(page.ask(port, n), port)


@check(points=1, needs=["machine_page"])
def check_machine_php(machine: Machine, page: Page, variant: dict[str, Any]) -> None:
    """On the machine, PHP-FPM runs the page's PHP, and nginx passes on its answer."""
    must_be_executed(page, machine, int(variant["web_port"]))


@check(points=1.5, needs=["provision_succeeds", "machine_page"])
def check_second_run(
    second_run: Second, page: Page, variant: dict[str, Any], build_seconds: float
) -> None:
    """A second run of provision.sh works and changes nothing."""
    must_have_worked(
        second_run.done,
        "The second run of provision.sh",
        build_seconds,
        "Things that exist already must not cause an error: mkdir -p, ln -sf, cp, rm -f.",
        EXPLAINER,
        TOO_SLOW,
    )
    if second_run.changed:
        more = len(second_run.changed) - 5
        fail(
            "The second run changed the result of the first.",
            expected="no difference",
            actual="; ".join(second_run.changed[:5]) + (f"; and {more} more" if more > 0 else ""),
            hint="Write whole files (cat > FILE) instead of appending to them (>>), and let sed "
            "-i change only lines that are not changed yet.",
            log=second_run.shown,
        )
    port, n = int(variant["web_port"]), a_number()
    page.wait_for(lambda: port, n)
    page.must_be_mine(page.ask(port, n), port)


# The image: 8 points ---------------------------------------------------------------------


@check(points=0.5, needs_engine=False)
def check_base_allowed(vetted: Vetted) -> None:
    """webserver/Dockerfile exists and builds only on images of this lab."""


@check(points=1, needs=["base_allowed"])
def check_image_builds(build: Build, build_seconds: float) -> None:
    """The image builds."""
    must_have_built(build.done, build_seconds, EXPLAINER, TOO_SLOW)


@check(points=1.5, needs=["image_builds"])
def check_container_page(container: Running, page: Page, image: Image) -> None:
    """A container of the image serves your page on its port 80."""
    must_serve(container, image, page, EXPLAINER)


@check(points=1, needs=["container_page"])
def check_becomes_healthy(container: Running, image: Image, page: Page) -> None:
    """The image's own HEALTHCHECK reports the container as healthy."""
    must_become_healthy(container, image, page, EXPLAINER)


@check(points=1, needs=["container_page"])
def check_container_php(container: Running, page: Page) -> None:
    """In the container, PHP-FPM runs the page's PHP, and nginx passes on its answer."""
    must_be_executed(page, container, container.published)


@check(points=1, needs=["container_page"])
def check_access_log(container: Running, page: Page) -> None:
    """nginx's access log goes to standard output: docker logs shows each request."""
    n = a_number()
    # Twice, since a log format may leave the question out, or a location may be silent.
    page.ask(container.published, n)
    page.ask(container.published, n, path=f"/{n}.html")
    if page.wait(lambda: str(n) in container.log(err=False), 8):
        return
    on_error = str(n) in container.log(out=False)
    fail(
        "The access log is on standard error, not on standard output."
        if on_error
        else "docker logs does not show the request.",
        expected=f"a line with GET /?n={n} on standard output",
        actual=container.log(err=False, lines=5).strip() or "nothing on standard output",
        hint="access_log /dev/stdout; in nginx's configuration, or in the Dockerfile:"
        " RUN ln -sf /dev/stdout /var/log/nginx/access.log",
    )


@check(points=1, needs=["container_page"])
def check_stops_in_time(container: Running) -> None:
    """docker stop ends the container in time, without a kill."""
    must_stop(container)


@check(points=1, needs=["container_page"])
def check_no_package_lists(image: Image, vetted: Vetted) -> None:
    """No layer of the image has apt's package lists."""
    base = vetted.base
    left = image.left_in_layers(None if base == SCRATCH else base, "var/lib/apt/lists")
    if left:
        fail(
            f"{len(left)} package lists are left in the image; they make it larger and become "
            f"outdated.",
            expected="no files in /var/lib/apt/lists",
            actual=", ".join(left[:3]) + (" …" if len(left) > 3 else ""),
            hint="Remove them in the RUN that made them, because a later RUN only hides them:"
            " RUN apt-get update && apt-get install -y … && rm -rf /var/lib/apt/lists/*",
        )
