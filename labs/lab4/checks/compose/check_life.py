"""Checks of the compose runbook, in the usual order of its steps."""

from __future__ import annotations

from grader.checks import check, fail
from grader.modules.container import log
from grader.modules.runbook.scenario import step_check
from grader.modules.runbook.vetted import Book, readable
from grader.vetting.composecli import Vetted
from grader.waiting import wait_until

from .observed import KILLED, edited, ids, rewritten, running, shows, untouched
from .scenario import Scene


@check(points=0.5, needs_engine=False)
def check_life_runbook(life_book: Book[Vetted]) -> None:
    """compose/runbook.txt can be read, and all its commands are commands of this exercise."""
    readable(life_book, "docker compose commands, each after laptop$")
    if not any(part.commands for part in life_book.parts):
        fail(
            "The runbook has no command yet.",
            expected="the commands of each step below it",
            hint="Begin with `laptop$ docker compose up -d` below # step: start",
        )


@step_check("start", points=0.5)
def check_life_started(scene: Scene) -> None:
    """Start: page is built, and page and store run in the background."""
    now = scene.now
    if not running(now.pages) or not running(now.stores):
        scene.fail(
            "Not both services run.",
            expected="a container of page and one of store run",
            actual=now.in_words,
            hint="`docker compose up -d` builds, creates and starts all of them.",
        )


@step_check("look", points=0.5)
def check_life_listed(scene: Scene) -> None:
    """Look: all containers are listed, and the log of store is shown."""
    names = [c.name for c in scene.before.everything]
    scene.wants(bool(names), "There were no containers to list.")
    said = "\n".join(ran.out for ran in scene.ran if ran.ok)
    unnamed = [name for name in names if name not in said]
    if unnamed:
        scene.fail(
            f"No command has listed {', '.join(unnamed)}.",
            expected="a list of the project's containers",
            hint="`docker compose ps` lists them.",
        )
    lines = [
        line.strip()
        for store in scene.before.stores
        for line in log(scene.scenario.node, store, 5).splitlines()
        if line.strip()
    ]
    if not any(line in said for line in lines):
        scene.fail(
            "No command has shown what store has logged.",
            expected=lines[-1] if lines else "the log of store",
            hint="`docker compose logs store`",
        )


@step_check("scale", points=0.5)
def check_life_scaled(scene: Scene) -> None:
    """Scale: your number of page containers run, and the earlier ones keep running."""
    wanted = int(scene.variant["life_replicas"])
    before, now = scene.before, scene.now
    scene.wants(bool(running(before.pages)), "No page ran before this step.")
    if len(running(now.pages)) != wanted or len(now.pages) != wanted:
        scene.fail(
            f"There are not {wanted} containers of page.",
            expected=f"{wanted} of page run",
            actual=now.in_words,
            hint=f"`docker compose up -d --scale page={wanted}`",
        )
    gone = [c.name for c in before.pages if c.id not in ids(now.pages)]
    if len(before.pages) <= wanted and gone:
        scene.fail(
            f"{', '.join(gone)} was recreated.",
            expected="the earlier containers, and more",
            actual=now.in_words,
        )
    untouched(scene, before, now, "Scaling page")


@step_check("keep what runs", points=0.5, change=edited)
def check_life_kept(scene: Scene) -> None:
    """Keep what runs: compose.yaml has changed, but the containers stay and one more is added."""
    wanted = int(scene.variant["life_kept"])
    before, now = scene.before, scene.now
    scene.wants(bool(running(before.pages)), "No page ran before this step.")
    lost = [c.name for c in running(before.pages) if c.id not in {n.id for n in running(now.pages)}]
    if lost:
        scene.fail(
            f"{', '.join(lost)} did not stay.",
            expected="the containers that ran before are still the same ones",
            actual=now.in_words,
            hint="compose.yaml has changed, so `up` recreates them without --no-recreate.",
        )
    if len(running(now.pages)) != wanted:
        scene.fail(
            f"There are not {wanted} containers of page.",
            expected=f"{wanted} of page run, {len(running(before.pages))} of them as before",
            actual=now.in_words,
            hint=f"`--scale page={wanted}` works together with --no-recreate.",
        )
    if len(running(before.pages)) >= wanted:
        scene.fail(
            f"{wanted} containers of page ran before, so this step proves nothing.",
            expected=f"fewer than {wanted} before it, {wanted} after it",
            actual=before.in_words,
            hint=f"Scale to {scene.variant['life_replicas']} in the step before.",
        )
    untouched(scene, before, now, "Adding to page")


@step_check("recreate", points=0.5)
def check_life_recreated(scene: Scene) -> None:
    """Recreate: all containers of page are new, and store is unchanged."""
    before, now = scene.before, scene.now
    scene.wants(bool(running(before.pages)), "No page ran before this step.")
    same = [c.name for c in now.pages if c.id in ids(before.pages)]
    if not running(now.pages) or same:
        scene.fail(
            f"{', '.join(same)} is still the same container." if same else "No page runs now.",
            expected="page runs in new containers only",
            actual=now.in_words,
            hint="`docker compose up -d --force-recreate --no-deps page` recreates them.",
        )
    untouched(
        scene,
        before,
        now,
        "Recreating page",
        "--no-deps leaves the services that page needs alone.",
    )


@step_check("rebuild", points=0.5, change=rewritten)
def check_life_rebuilt(scene: Scene) -> None:
    """Rebuild: page shows the new page.html, and store is unchanged."""
    before, now = scene.before, scene.now
    scene.wants(bool(running(before.pages)), "No page ran before this step.")
    if not running(now.pages):
        scene.fail("No page runs now.", expected="page runs", actual=now.in_words)
    told = wait_until(lambda: shows(scene, "second edition"), within=10)
    if not told:
        scene.fail(
            "The page shows its old text.",
            expected="each container of page shows “second edition”, as in the changed page.html",
            actual=now.in_words,
            hint="page.html is copied into the image when the image is built:"
            " `docker compose up -d --build`",
        )
    untouched(scene, before, now, "Building page")


@step_check("run once", points=0.5)
def check_life_ran_once(scene: Scene) -> None:
    """Run once: a command in a separate container has set your key, and that container is
    removed."""
    before, now = scene.before, scene.now
    scene.wants(bool(running(before.stores)), "No store ran before this step.")
    key, word = scene.variant["life_key"], scene.variant["life_word"]
    store = next(iter(running(now.stores)), None)
    done = scene.scenario.inside(store, ["redis-cli", "--raw", "get", str(key)]) if store else ""
    if done.strip() != word:
        scene.fail(
            f"store does not have {key}.",
            expected=f"{key} is {word}",
            actual=f"{key} is {done.strip() or 'not there'}",
            hint=f"`docker compose run --rm store redis-cli -h store set {key} {word}`: from a "
            f"separate container, the server's host name is store.",
        )
    if not any(ran.allowed.vetted.command == "run" and ran.ok for ran in scene.ran):
        scene.fail(
            "The command did not run in a separate container.",
            expected="one more container of a service, for this command only",
            hint="`docker compose run` creates a container; `exec` uses one that exists.",
        )
    if now.once:
        scene.fail(
            "The container of this command is still there.",
            expected="it is removed when the command has ended",
            actual=now.in_words,
            hint="Use --rm.",
        )


@step_check("stop", points=0.5)
def check_life_stopped(scene: Scene) -> None:
    """Stop: store has stopped cleanly and still exists, and page keeps running."""
    before, now = scene.before, scene.now
    scene.wants(bool(running(before.stores)), "No store ran before this step.")
    if ids(now.stores) != ids(before.stores) or not all(c.ended for c in now.stores):
        scene.fail(
            "store was not stopped.",
            expected="the container of store is there and has ended",
            actual=now.in_words,
            hint="`docker compose stop store`",
        )
    if any(c.exit_code == KILLED for c in now.stores):
        scene.fail(
            "store was killed and could not save its data.",
            expected="exit code 0",
            actual=now.in_words,
            hint="`stop` asks the program to end; `kill` does not.",
        )
    if len(running(now.pages)) < len(running(before.pages)):
        scene.fail("page was stopped, too.", expected="page runs on", actual=now.in_words)


@step_check("start again", points=0.5)
def check_life_started_again(scene: Scene) -> None:
    """Start again: the same container of store runs again."""
    before, now = scene.before, scene.now
    scene.wants(bool(before.stores), "There was no store before this step.")
    if running(before.stores):
        scene.fail(
            "store ran already before this step.",
            expected="a store that was stopped",
            actual=before.in_words,
            hint="The step “stop” comes before this one.",
        )
    if not running(now.stores) or ids(now.stores) != ids(before.stores):
        scene.fail(
            "The store that runs is not the one that was stopped.",
            expected="the container that was stopped runs",
            actual=now.in_words,
            hint="`docker compose start store`",
        )


@step_check("restart", points=0.5)
def check_life_restarted(scene: Scene) -> None:
    """Restart: the same containers of page were restarted, and store is unchanged."""
    before, now = scene.before, scene.now
    scene.wants(bool(running(before.pages)), "No page ran before this step.")
    old = {c.id: c.started_at for c in before.pages}
    if ids(now.pages) != set(old) or not all(
        c.running and c.started_at > old[c.id] for c in now.pages
    ):
        scene.fail(
            "page was not restarted.",
            expected="the same containers of page, started once more",
            actual=now.in_words,
            hint="`docker compose restart page`",
        )
    untouched(scene, before, now, "Restarting page", "Name the service: restart page.")


@step_check("kill", points=0.5)
def check_life_killed(scene: Scene) -> None:
    """Kill: page was ended at once, without a chance to clean up, and store keeps running."""
    before, now = scene.before, scene.now
    scene.wants(bool(running(before.pages)), "No page ran before this step.")
    if not now.pages or not all(c.ended and c.exit_code == KILLED for c in now.pages):
        scene.fail(
            "page was not killed.",
            expected=f"the containers of page still exist, with exit code {KILLED}",
            actual=now.in_words,
            hint="`docker compose kill page`; `stop` gives another exit code.",
        )
    untouched(scene, before, now, "Killing page", "Name the service: kill page.")


@step_check("remove", points=0.5)
def check_life_removed(scene: Scene) -> None:
    """Remove: page has no containers any more, and store keeps running."""
    before, now = scene.before, scene.now
    scene.wants(bool(before.pages), "There was no page before this step.")
    if now.pages:
        scene.fail(
            "There is still a container of page.",
            expected="no container of page",
            actual=now.in_words,
            hint="`docker compose rm -f page` removes those that have ended.",
        )
    untouched(scene, before, now, "Removing page", "Name the service: rm -f page.")


@step_check("take down", points=0.5)
def check_life_down(scene: Scene) -> None:
    """Take down: no container and no network of the project is left, but its data are."""
    before, now = scene.before, scene.now
    scene.wants(bool(before.everything), "There was nothing to take down.")
    # A container that `run` has left over is that step's fault.
    left = [c.name for c in (*now.pages, *now.stores)] + [n.name for n in now.networks]
    if left:
        scene.fail(
            f"{', '.join(left)} is still there.",
            expected="no container and no network of the project",
            actual=", ".join(left),
            hint="`docker compose down`",
        )
    if before.volumes and not now.volumes:
        scene.fail(
            "The data are gone.",
            expected="the volume data stays",
            hint="`down --volumes` removes it: leave --volumes out.",
        )
