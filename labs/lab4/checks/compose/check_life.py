"""What is graded of the compose runbook, in the order in which its steps usually stand."""

from __future__ import annotations

from grader.checks import check, fail
from grader.modules.runbook.vetted import Book, readable
from grader.vetting.composecli import Vetted

from .life import Play


@check(points=0.5, needs_engine=False)
def check_life_runbook(life_book: Book[Vetted]) -> None:
    """compose/runbook.txt can be read, and all its commands are commands of this exercise."""
    readable(life_book, "docker compose commands, each behind laptop$")
    if not any(part.commands for part in life_book.parts):
        fail(
            "The runbook has no command yet.",
            expected="below each step, what you would type",
            hint="Begin with `laptop$ docker compose up -d` below # step: start",
        )


@check(points=0.5)
def check_life_started(life: Play) -> None:
    """Start: page is built, and page and store run in the background."""
    life.see("life_started")


@check(points=0.5)
def check_life_listed(life: Play) -> None:
    """Look: all containers are listed, and the log of store is shown."""
    life.see("life_listed")


@check(points=0.5)
def check_life_scaled(life: Play) -> None:
    """Scale: your number of containers of page run, and what ran before runs on."""
    life.see("life_scaled")


@check(points=0.5)
def check_life_kept(life: Play) -> None:
    """Keep what runs: though compose.yaml has changed, containers stay and one more is added."""
    life.see("life_kept")


@check(points=0.5)
def check_life_recreated(life: Play) -> None:
    """Recreate: all containers of page are new ones, and store was left alone."""
    life.see("life_recreated")


@check(points=0.5)
def check_life_rebuilt(life: Play) -> None:
    """Rebuild: page shows what page.html says now, and store was left alone."""
    life.see("life_rebuilt")


@check(points=0.5)
def check_life_ran_once(life: Play) -> None:
    """Run once: a command in a container of its own has set your key, and the container is gone."""
    life.see("life_ran_once")


@check(points=0.5)
def check_life_stopped(life: Play) -> None:
    """Stop: store has ended in an orderly way and is still there, and page runs on."""
    life.see("life_stopped")


@check(points=0.5)
def check_life_started_again(life: Play) -> None:
    """Start again: the same container of store runs again."""
    life.see("life_started_again")


@check(points=0.5)
def check_life_restarted(life: Play) -> None:
    """Restart: the same containers of page run, started once more, and store was left alone."""
    life.see("life_restarted")


@check(points=0.5)
def check_life_killed(life: Play) -> None:
    """Kill: page has ended at once, without a chance to clean up, and store runs on."""
    life.see("life_killed")


@check(points=0.5)
def check_life_removed(life: Play) -> None:
    """Remove: there is no container of page any more, and store runs on."""
    life.see("life_removed")


@check(points=0.5)
def check_life_down(life: Play) -> None:
    """Take down: no container and no network of the project is left, and its data are."""
    life.see("life_down")
