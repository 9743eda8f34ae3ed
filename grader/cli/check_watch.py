"""`check --watch`: grades again on each save and shows what has changed."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from grader.cli import check_outcome, tell
from grader.cli.watching import Saved, Watch
from grader.console import say
from grader.errors import KitError
from grader.grading import submission
from grader.record import Record
from grader.reports import changes
from grader.targets import providers
from grader.targets.providers import Provider

MOST_NAMES = 3


def run(request: submission.Request, out: Path, *, verbose: bool) -> int:
    """Grade, and again each time something was saved, until Ctrl-C; the last grading's exit code.

    What a user cannot help while typing (a file that is half written) is said, and watched on.
    """
    from grader.grading.first_run import FirstRun

    code: int | None = None
    try:
        planned = submission.plan(request)
        watched = [e for e in request.lab.exercises if e.id in planned.keys]
        provider = submission.provide(request, planned.to_run) if planned.to_run else None
        watch = Watch(request.workspace, watched, _pulse(provider))
        found = _grade(request, planned, provider)
        code = check_outcome.show(found, out, fresh=bool(planned.to_run), verbose=verbose)
        while True:
            what = "your files and your Docker" if request.machines else "your files"
            say(f"\nWatching {what}: each time you save, the kit grades again. Ctrl-C stops.")
            saved = watch.wait()
            say(f"{time.strftime('%H:%M:%S')} {_in_words(saved)}")
            try:
                again = _again(request, saved)
                planned = submission.plan(again)
                if not planned.to_run:
                    say("No relevant changes: nothing to grade.")
                    continue
                if provider is None or provider.unavailable or isinstance(provider, FirstRun):
                    provider = submission.provide(again, planned.to_run)
                before, found = found, _grade(again, planned, provider)
                changes.render(before, found, check_outcome.write_page(found, out))
                code = check_outcome.exit_code(found)
            except KitError as error:
                tell(error)
                code = error.exit_code
    except KeyboardInterrupt:
        if code is None:
            raise
        say("\nStopped watching.")
        return code


def _grade(
    request: submission.Request, planned: submission.Plan, provider: Provider | None
) -> Record:
    if not planned.to_run:
        assert planned.previous is not None
        return planned.previous
    assert provider is not None
    return check_outcome.grade(request, planned, provider)


def _again(request: submission.Request, saved: Saved) -> submission.Request:
    """What is to be graded now: on a sandbox the exercises that were saved, else all of it."""
    if request.machines:
        return request
    return replace(request, exercises=sorted(saved.exercises), fresh=False)


def _pulse(provider: Provider | None) -> providers.Pulse | None:
    return provider.pulse if isinstance(provider, providers.Local) else None


def _in_words(saved: Saved) -> str:
    """`saved: counter/compose.yaml`; `your containers have changed`."""
    if not saved.files:
        return "your containers have changed"
    names, more = saved.files[:MOST_NAMES], len(saved.files) - MOST_NAMES
    return "saved: " + ", ".join(names) + (f" and {more} more" if more > 0 else "")
