"""Exercise image: nginx and PHP-FPM in one image, and what the Dockerfile's instructions do.

Each instruction is graded by its effect: on the image's data, or on a container of it.
"""

from __future__ import annotations

import html
import secrets
from typing import Any

from grader.checks import check, fail
from grader.errors import EngineFault
from grader.modules.image import Build, Image, Running
from grader.modules.outcomes import must_have_built, must_have_worked
from grader.modules.web.php_page import Page, a_number, must_be_executed, words
from grader.modules.web.web_container import must_become_healthy, must_serve, must_start, must_stop
from grader.vetting.dockerfile import Vetted

from .run import RELEASE
from .says import EXPLAINER, TOO_SLOW

COMMAND_WITHIN = 30

TITLE, VERSION = "org.opencontainers.image.title", "org.opencontainers.image.version"


@check(points=0.5, needs_engine=False)
def check_dockerfile(vetted: Vetted) -> None:
    """image/Dockerfile can be read, and builds on an image of this lab (FROM)."""


@check(points=1, needs=["dockerfile"])
def check_builds(build: Build, build_seconds: float) -> None:
    """The image builds and has nginx and PHP-FPM in it (RUN)."""
    must_have_built(build.done, build_seconds, EXPLAINER, TOO_SLOW)
    assert build.image is not None
    missing = [name for name in ("nginx", "php-fpm") if not _has(build.image, name)]
    if missing:
        fail(
            f"The image builds, but it has no {' and no '.join(missing)}.",
            expected="the programs nginx and php-fpm",
            actual=f"missing: {', '.join(missing)}",
            hint="RUN apt-get update && apt-get install -y --no-install-recommends nginx php-fpm"
            " && rm -rf /var/lib/apt/lists/*",
        )


def _has(image: Image, program: str) -> bool:
    """Whether a layer of it has this program (with a version behind its name, perhaps)."""
    search = ["-path", f"*/bin/{program}*", "-o", "-path", f"*/sbin/{program}*"]
    found = image.node.run(["find", *image.layers.values(), *search], timeout=60)
    if not found.ok:
        raise EngineFault(f"The node cannot look into an image's layers: {found.tail(2)}")
    return bool(found.out.strip())


@check(points=3, needs=["builds"])
def check_page(container: Running, page: Page, image: Image) -> None:
    """A container of the image serves your page on your port (COPY, CMD)."""
    must_serve(container, image, page, EXPLAINER)


@check(points=2, needs=["page"])
def check_php(container: Running, page: Page) -> None:
    """PHP-FPM runs the page's PHP, and nginx passes on its answer."""
    must_be_executed(page, container, container.published)


@check(points=2, needs=["page"])
def check_greeting(
    node: Any, container: Running, image: Image, page: Page, variant: dict[str, Any]
) -> None:
    """The page shows the image's own greeting (ENV), or the one given by docker run --env."""
    usual, port = str(variant["greeting"]), int(variant["page_port"])
    if image.environment.get("GREETING") != usual:
        fail(
            "The image does not have your greeting as its own.",
            expected=f'GREETING="{usual}"',
            actual=_of(image.environment, "GREETING"),
            hint=f'ENV GREETING="{usual}" (in quotes, because it contains spaces).',
        )
    _must_greet(page, container, usual)
    other = f"Greetings number {secrets.randbelow(90_000) + 10_000}"
    second = must_start(node, image, port, EXPLAINER, environment={"GREETING": other})
    try:
        page.wait_for(lambda: second.published, a_number(), alive=lambda: second.now().running)
        _must_greet(page, second, other)
    finally:
        second.remove()


def _must_greet(page: Page, container: Running, greeting: str) -> None:
    answer = page.ask(container.published, a_number())
    text = words(answer.text) if answer else ""
    if greeting in html.unescape(text):
        return
    fail(
        "The page does not show the container's greeting.",
        expected=f"greeting: {greeting}",
        actual=text[:300] or "no answer",
        hint="PHP-FPM hides the environment from PHP unless its pool has clear_env = no. The line"
        " 'greeting: …' of the given site/index.php must not be changed.",
        log=container.log(lines=20),
    )


@check(points=1.5, needs=["builds"])
def check_labels(image: Image, variant: dict[str, Any]) -> None:
    """The image's labels have your site's name as title and your release as version (LABEL)."""
    for key, value in ((TITLE, str(variant["site_name"])), (VERSION, str(variant["release"]))):
        if image.labels.get(key) != value:
            fail(
                f"The image's label {key.rpartition('.')[2]} is not yours.",
                expected=f"{key}={value}",
                actual=_of(image.labels, key),
                hint=f'LABEL {key}="{value}"; docker image inspect shows the labels.',
            )


def _of(said: dict[str, str], key: str) -> str:
    """The value of a key as the image has it, for a person."""
    return f"{key}={said[key]}" if key in said else f"no {key}"


@check(points=1.5, needs=["labels"])
def check_argument(other_build: Build, other_release: str, build_seconds: float) -> None:
    """docker build --build-arg RELEASE=… makes an image with that version (ARG)."""
    must_have_worked(
        other_build.done,
        f"docker build --build-arg {RELEASE}={other_release}",
        build_seconds,
        "It builds without --build-arg: check where RELEASE is used.",
        EXPLAINER,
        TOO_SLOW,
    )
    assert other_build.image is not None
    said = other_build.image.labels
    if said.get(VERSION) != other_release:
        fail(
            "The build ignores the release that --build-arg gives.",
            expected=f"{VERSION}={other_release}",
            actual=_of(said, VERSION),
            hint=f"ARG {RELEASE}=… after FROM, with your release as its default, and $"
            f"{{{RELEASE}}} in the LABEL after it. An ENV of the same name would override it.",
        )


@check(points=1, needs=["builds"])
def check_exposed(image: Image, variant: dict[str, Any]) -> None:
    """The image names the port of its page (EXPOSE)."""
    port = f"{variant['page_port']}/tcp"
    if port not in image.exposed:
        fail(
            "The image does not name your port.",
            expected=port,
            actual=", ".join(image.exposed) or "no port",
            hint=f"EXPOSE {variant['page_port']}. It opens no port; it is information, which "
            f"docker run --publish-all reads.",
        )


@check(points=1, needs=["page"])
def check_command(image: Image, target: Any) -> None:
    """A command given to docker run replaces the image's own (CMD)."""
    word = secrets.token_hex(6)
    done = image.run(["echo", word], seconds=COMMAND_WITHIN * target.timeout_factor)
    if word not in done.out.split():
        fail(
            "docker run IMAGE echo WORD did not print the word.",
            expected=word,
            actual=("it did not end; " if done.timed_out else "") + (done.tail(3) or "no output"),
            hint="ENTRYPOINT always runs; CMD is only the default command. Start the servers in "
            "CMD, "
            'or let an ENTRYPOINT script end with: exec "$@"',
            log=done.tail(40),
        )


@check(points=1.5, needs=["command"])
def check_workdir(image: Image, target: Any, page: Page, variant: dict[str, Any]) -> None:
    """Commands start in your folder, and your page is there (WORKDIR)."""
    folder, seconds = str(variant["site_folder"]), COMMAND_WITHIN * target.timeout_factor
    said = image.run(["pwd"], seconds=seconds)
    if folder not in said.out.split():
        fail(
            "Commands start in another folder.",
            expected=folder,
            actual=said.tail(2) or "no output",
            hint=f"WORKDIR {folder} also creates the folder. RUN cd … has no effect on later "
            f"steps.",
        )
    source = image.run(["cat", "index.php"], seconds=seconds)
    if not source.ok or page.site not in source.out:
        fail(
            f"Your page is not in {folder}.",
            expected=f"{folder}/index.php, the given page",
            actual=source.tail(2) or "an empty file",
            hint="COPY site/ . copies what is in site/ to the WORKDIR.",
        )


@check(points=2, needs=["page"])
def check_not_root(container: Running) -> None:
    """Nothing in the container runs as root (USER)."""
    found = container.processes()
    roots = sorted({p.program for p in found if p.user == 0})
    if roots:
        fail(
            f"{' and '.join(roots)} {'run' if roots[1:] else 'runs'} as root.",
            expected="no process of user ID 0",
            actual=", ".join(f"{p.command[:60]} (user {p.user})" for p in found),
            hint="USER www-data, after everything that needs root. nginx and PHP-FPM then cannot "
            "write to /run and /var/log: put pid files and nginx's temporary folders into /tmp, "
            "and send logs to /dev/stdout and /dev/stderr.",
        )


@check(points=1.5, needs=["page"])
def check_healthy(container: Running, image: Image, page: Page) -> None:
    """The image's own HEALTHCHECK reports the container as healthy."""
    must_become_healthy(container, image, page, EXPLAINER)


@check(points=1.5, needs=["page"])
def check_stops(container: Running) -> None:
    """docker stop ends the container in time, without a kill (CMD as a list)."""
    must_stop(container)
