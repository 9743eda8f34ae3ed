"""Checks of the counter, in the order of testing by hand."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from grader.checks import check, fail
from grader.waiting import wait_until

from .app import read, refuse_foreign_images, require_services
from .counter import Counter, shown_count

# The counter: its files ---------------------------------------------------------------------


@check(points=0.5, needs_engine=False)
def check_counter_file(submission: Path) -> None:
    """counter/ has a compose file that can be read, and what it builds from is there."""
    read(submission, "counter")


@check(points=0.5, needs=["counter_file"], needs_engine=False)
def check_counter_images(submission: Path, lab: Any) -> None:
    """The counter uses only images of this lab, in its compose file and its Dockerfile."""
    refuse_foreign_images(submission, "counter", lab)


@check(points=0.5, needs=["counter_file"], needs_engine=False)
def check_counter_services(submission: Path) -> None:
    """The counter's services are called web and redis."""
    require_services(submission, "counter", "web", "redis")


# The counter: what it does ------------------------------------------------------------------


@check(
    points=0.5,
    needs=["counter_images"],
    hint="Run `docker compose up -d`, then `docker compose ps -a` and `docker compose logs`.",
)
def check_counter_starts(counter: Counter, stage: Any) -> None:
    """`docker compose up -d` builds and starts the counter, and web answers at a host port."""
    with stage("deploy"):
        counter.first_up()
    if not counter.answers("web", within=30, path="/health"):
        fail(
            "web does not answer.",
            expected="an answer over HTTP at a published port of web",
            actual=counter.ports_in_words("web") + "; " + counter.state(),
            log=counter.transcript(),
        )
    counter.must_run()


@check(
    points=1,
    needs=["counter_starts"],
    hint="app.py looks for a host called redis: the service must have that name, run, and be in a"
    " network with web.",
)
def check_counter_counts(counter: Counter) -> None:
    """Each visit to the page adds one to the count."""
    counts = [counter.count("at the first visit"), counter.count("at the second visit")]
    counts.append(counter.count("at the third visit"))
    if counts != sorted(set(counts)):
        fail("The count does not go up.", expected="more with each visit", actual=str(counts))


@check(
    points=0.5,
    needs=["counter_starts"],
    hint="`up` recreates a container if its settings or its image have changed: look for a value "
    "or file that changes by itself.",
)
def check_counter_unchanged(counter: Counter) -> None:
    """A second `docker compose up -d` changes nothing: the same containers keep running."""
    counter.ensure_up()
    before = {c.id: c for c in counter.containers() if c.running}
    counter.up()
    after = {c.id: c for c in counter.containers() if c.running}
    changed = [c for i, c in before.items() if i not in after or c.started_at < after[i].started_at]
    new = [c for i, c in after.items() if i not in before]
    if changed or new or not before:
        fail(
            "The second `up -d` replaced or restarted containers.",
            expected="the containers of the first `up -d`, still running",
            actual="not the same: " + ", ".join(sorted({c.name for c in [*changed, *new]})),
        )


@check(
    points=0.5,
    needs=["counter_counts"],
    hint="On SIGTERM redis saves its data to /data, unless saving is switched off.",
)
def check_counter_restart(counter: Counter) -> None:
    """The counter keeps its count after `docker compose restart`."""
    counter.ensure_up()
    before = counter.count("before the restart")
    counter.must(counter.project.restart(), "restart")
    counter.goes_on(before, "after `docker compose restart`")


@check(
    points=1.5,
    needs=["counter_counts"],
    hint="Redis keeps its data in /data. A named volume there outlives the container; the next "
    "container does not find an anonymous one.",
)
def check_counter_recreate(counter: Counter) -> None:
    """The counter keeps its count after the redis container is removed and recreated."""
    counter.ensure_up()
    before = counter.count("before redis is removed")
    old = {c.id for c in counter.containers("redis")}
    counter.must(counter.project.remove("redis"), "rm --stop --force redis")
    counter.up()
    if not {c.id for c in counter.containers("redis")} - old:
        fail("There is no new container of redis.", actual=counter.state())
    counter.goes_on(before, "after `docker compose rm --stop --force redis` and `up -d`")


@check(points=0.5, needs=["counter_counts"])
def check_counter_stop_start(counter: Counter) -> None:
    """`docker compose stop` stops the counter, and after `start` it keeps its count."""
    counter.ensure_up()
    before = counter.count("before the stop")
    ports = counter.ports("web")
    counter.must(counter.project.stop(), "stop")
    if any(counter.visit(port, "/health") for port in ports) or counter.webs():
        fail("web still answers after `docker compose stop`.", actual=counter.state())
    counter.must(counter.project.start(), "start")
    counter.goes_on(before, "after `docker compose stop` and `start`")


@check(
    points=1,
    needs=["counter_counts"],
    hint="Several containers cannot share one host port or one container_name: publish a range of"
    ' host ports, "FIRST-LAST:5000".',
)
def check_counter_scales(counter: Counter, variant: dict[str, Any]) -> None:
    """With `--scale web=N` there are N containers of web: each answers, and all share one
    counter."""
    wanted = variant["counter_replicas"]
    last = counter.count("before scaling") if counter.at_rest else 0
    counter.scale(wanted)
    webs = counter.webs()
    if len(webs) != wanted:
        fail(
            f"`--scale web={wanted}` gives another number of containers.",
            expected=f"{wanted} running containers of web",
            actual=counter.state("web"),
        )
    for web in webs:
        answer = wait_until(partial(counter.answer, web), within=30)
        page = answer.text.strip() if answer else ""
        count = shown_count(answer)
        if count is None or web.hostname not in page:
            fail(
                f"{web.name} does not answer at its own port.",
                expected=f"a page that says it comes from host {web.hostname}",
                actual=page or counter.ports_in_words("web"),
                log=counter.transcript(),
            )
        if count <= last:
            fail(
                "The containers of web do not share one counter.",
                expected=f"{web.name} counts on from {last}",
                actual=page,
            )
        last = count


@check(points=1, needs=["counter_starts"], hint='Write "FIRST-LAST:5000" under ports: of web.')
def check_counter_ports(counter: Counter, variant: dict[str, Any]) -> None:
    """web is published on host ports of your range, every time and with any number of
    containers."""
    first, last = variant["counter_port_first"], variant["counter_port_last"]
    seen = sorted(counter.seen)
    if not seen or any(not first <= port <= last for port in seen):
        fail(
            "web is published outside of your range." if seen else "web publishes no port.",
            expected=f"host ports from {first} to {last}",
            actual=", ".join(map(str, seen)) or "no port",
        )


@check(
    points=0.5,
    needs=["counter_starts"],
    hint="Containers that do not stop on SIGTERM delay `down`: check how web and redis stop.",
)
def check_counter_down(counter: Counter) -> None:
    """`docker compose down` leaves no container, no network and no open port."""
    counter.ensure_up()
    ports = counter.ports("web")
    counter.must(counter.project.down(), "down")
    left = [c.name for c in counter.containers()] + [n.name for n in counter.project.networks()]
    open_ports = [str(p.host_port) for p in ports if counter.visit(p, "/health")]
    if left or open_ports:
        fail("`docker compose down` left something behind.", actual=", ".join(left + open_ports))
