"""Exercise registry: a runbook that runs a registry, and brings images there and back."""

from __future__ import annotations

from grader.checks import check
from grader.modules.runbook import one_engine
from grader.modules.runbook.one_engine import Book
from grader.modules.runbook.scenario import step_check

from .observed import FIRST, SECOND, must_hold, must_run, noted
from .scenario import Scene


@check(points=1, needs_engine=False)
def check_runbook(book: Book) -> None:
    """registry/runbook.txt can be read, and all its commands are commands of this exercise."""
    one_engine.must_be_readable(book)


@step_check("run the registry", points=3)
def check_runs(scene: Scene) -> None:
    """Run the registry: it answers at your port, and keeps what is pushed in your volume."""
    state = scene.wait_for_registry()
    must_run(scene, state)


@step_check("tag", points=2)
def check_tagged(scene: Scene) -> None:
    """Tag: drydock/demo:1.0 also has a name with your registry's address."""
    play, state = scene.scenario, scene.now
    names = play.names(play.first)
    wanted = play.image(FIRST)
    if wanted not in [state.images.get(name) for name in names]:
        wrong = next((name for name in names if name in state.images), None)
        scene.fail(
            f"{wrong} is another image than {FIRST}." if wrong else f"No image is {names[0]}.",
            expected=f"{names[0]} is a name of {FIRST}",
            actual=", ".join(state.of(play.addresses)) or "no image of this registry",
            hint=f"docker tag {FIRST} {names[0]}",
        )


@step_check("push", points=3, needs=["runs", "tagged"])
def check_pushed(scene: Scene) -> None:
    """Push: your registry has the image under your first tag."""
    must_hold(scene, scene.now, {scene.scenario.first: FIRST})


@step_check("push the next version", points=3, needs=["pushed"])
def check_next_version(scene: Scene) -> None:
    """Push the next version: your registry has it under your second tag and as latest; the first
    tag is unchanged."""
    play = scene.scenario
    must_hold(scene, scene.now, {play.first: FIRST, play.second: SECOND, "latest": SECOND})


@step_check("remove", points=2, needs=["next_version"])
def check_removed(scene: Scene) -> None:
    """Remove: your engine has no image of the registry any more; the registry still has all."""
    play, state = scene.scenario, scene.now
    left = state.of(play.addresses)
    if left:
        scene.fail(
            "Your engine still has images of the registry.",
            expected=f"no image whose name begins with {play.addresses[0]}",
            actual=", ".join(left),
            hint="docker rmi takes several names. It removes a name; the image is removed with "
            "its last name.",
        )
    must_hold(scene, state, {play.first: FIRST, play.second: SECOND, "latest": SECOND})


@step_check("pull by tag", points=2, needs=["removed"])
def check_pulled(scene: Scene) -> None:
    """Pull by tag: the image of your first tag is back, from the registry."""
    play, state = scene.scenario, scene.now
    names = play.names(play.first)
    found = [state.images[name] for name in names if name in state.images]
    if play.image(FIRST) not in found:
        scene.fail(
            f"{names[0]} is not back.",
            expected=f"{names[0]} is {FIRST}",
            actual=", ".join(state.of(play.addresses)) or "no image of this registry",
            hint=f"docker pull {names[0]}",
        )
    # An engine notes from where it got an image, or where it brought it.
    digest = state.registry.tags(play.repository)[play.first].digest
    if not noted(scene, state, digest):
        scene.fail(
            f"{names[0]} does not come from the registry.",
            expected="an image that was pulled",
            actual="an image that was given this name here",
            hint=f"docker pull {names[0]}",
        )


@step_check("pull by digest", points=2, needs=["removed"])
def check_by_digest(scene: Scene) -> None:
    """Pull by digest: the image of latest is pulled by its digest."""
    play, state = scene.scenario, scene.now
    digest = state.registry.tags(play.repository)["latest"].digest
    usual = f"docker pull {play.addresses[0]}{play.repository}@${{DIGEST}}"
    pulls = [r for r in scene.ran if r.allowed.vetted.command.split()[-1] == "pull"]
    if not any("@" in word for ran in pulls for word in ran.allowed.vetted.words):
        scene.fail(
            "No image is pulled by its digest in this step.",
            expected=usual,
            actual=scene.ran[-1].allowed.command.text,
            hint="A tag may lead to another image tomorrow. The digest after the @ always means "
            "the same image.",
        )
    if not any(ran.ok for ran in pulls) or not noted(scene, state, digest):
        scene.fail(
            "The image of latest was not pulled by its digest.",
            expected=f"{play.addresses[0]}{play.repository}@{digest}",
            actual=", ".join(sorted(d for d in state.digests if d.startswith(play.addresses)))
            or "no image with a digest of this registry",
            hint=f"{usual} (the digest is that of latest)",
        )


@step_check("replace the registry", points=2, needs=["next_version"])
def check_replaced(scene: Scene) -> None:
    """Replace the registry: a new container runs it and still has everything that was pushed."""
    play = scene.scenario
    state = scene.wait_for_registry()
    found = must_run(scene, state)
    old = scene.before.containers.get(play.name)
    if old is not None and old.id == found.id:
        scene.fail(
            f"It is the same container {play.name} as before.",
            expected=f"the container is removed, and another {play.name} runs",
            actual=found.in_words,
            hint=f"docker rm --force {play.name}, and docker run … as in the first step.",
        )
    must_hold(scene, state, {play.first: FIRST, play.second: SECOND, "latest": SECOND})
