"""What a container with a page must do in any lab: answer, be healthy, stop.

Each function ends the check if this fails, with the likely cause.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from grader.checks import fail
from grader.modules.explain import Explainer
from grader.modules.image import Image, Running, WillNotStart
from grader.modules.web.php_page import Page, a_number, running_programs

if TYPE_CHECKING:
    from grader.nodes.node import Node

PROBES_WITHIN = 30
STOPS_WITHIN = 10
"""Seconds that `docker stop` waits before it kills."""


def must_start(
    node: Node,
    image: Image,
    port: int,
    explainer: Explainer,
    environment: Mapping[str, str] | None = None,
) -> Running:
    """Start a container of the image (see Running.start)."""
    try:
        return Running.start(node, image, port, environment=environment)
    except WillNotStart as error:
        known = explainer.explain(error.reason)
        fail(
            known.reason if known else "A container of the image cannot be started.",
            expected="a container that runs",
            actual=error.reason,
            hint=known.hint
            if known
            else "Run docker run yourself to see the error, and check CMD.",
        )


def must_serve(container: Running, image: Image, page: Page, explainer: Explainer) -> None:
    """The container runs, and serves the page at its port."""
    port, n = container.port, a_number()
    page.wait_for(lambda: container.published, n, alive=lambda: container.now().running)
    state = container.now()
    log = container.log(lines=60)
    if not state.running:
        known = explainer.explain(log)
        fail(
            known.reason if known else "The container stopped by itself.",
            expected="a container that keeps running",
            actual=f"exit code {state.exit_code}; started with: {' '.join(image.command)}",
            hint=known.hint
            if known
            else "A container lives as long as its first process. 'service nginx start' returns at"
            " once; nginx -g 'daemon off;' stays in the foreground.",
            log=log,
        )
    answer = page.ask(container.published, n)
    heard = [s.port for s in container.listening() if s.from_outside]
    if answer is None and heard and port not in heard:
        fail(
            f"Inside the container nothing listens on port {port}.",
            expected=f"port {port}",
            actual=f"ports with a listener: {', '.join(map(str, heard))}",
            hint=f"listen {port}; in the image's nginx configuration. The port of the host is set "
            f"when the container is run: --publish PORT:{port}",
            log=log,
        )
    page.must_be_mine(answer, port, at=container.published, log=log)


def must_become_healthy(container: Running, image: Image, page: Page, explainer: Explainer) -> None:
    """The image's own HEALTHCHECK reports it as healthy."""
    where = "http://localhost" + (f":{container.port}" if container.port != 80 else "")
    if not image.healthcheck:
        fail(
            "The image has no HEALTHCHECK.",
            expected="HEALTHCHECK CMD …",
            actual="none",
            hint=f"Request the page: HEALTHCHECK CMD curl -fsS {where}/ || exit 1"
            " (and install curl in the image).",
        )
    most_probes = (image.healthcheck.get("Retries") or 3) + 5

    def settled() -> bool:
        return container.now().health == "healthy" or container.failing_probes >= most_probes

    page.wait(settled, PROBES_WITHIN)
    if container.now().health != "healthy":
        probe = container.last_probe
        said = str(probe.get("Output", "")).strip()
        known = explainer.explain(said)
        fail(
            "The page answers, but the HEALTHCHECK fails.",
            expected="healthy",
            actual=f"{container.now().health}; exit code {probe.get('ExitCode')}: {said[-300:]}",
            hint=known.reason + " " + known.hint
            if known
            else f"It runs inside the container, and the page is {where}/ there: test the command "
            f"with docker exec.",
            log=said,
        )


def must_stop(container: Running) -> None:
    """`docker stop` ends it without a kill."""
    before = running_programs(container)
    if not container.now().running:
        fail("The container stopped by itself before docker stop.", log=container.log())
    stopped = container.stop(STOPS_WITHIN)
    if stopped.killed:
        fail(
            f"The container did not react to docker stop and was killed after {STOPS_WITHIN} s.",
            expected=f"an end within {STOPS_WITHIN} s of the stop signal",
            actual=f"exit code {stopped.exit_code} after {stopped.seconds} s; {before}",
            hint="The signal goes to the first process only, and a shell does not pass it on. Write"
            ' CMD ["…"] as a list, and let a start script end with: exec nginx -g "daemon off;"',
            log=container.log(lines=40),
        )
