"""What each step of the registry's runbook has to have come to."""

from __future__ import annotations

from grader.modules.container import Container
from grader.modules.runbook.scenario import Judge

from .play import Scene, State

FIRST, SECOND = "drydock/demo:1.0", "drydock/demo:2.0"
"""The images that are put into the registry."""

DATA = "/var/lib/registry"
"""Where registry:2 keeps what is pushed."""


def runs(scene: Scene) -> None:
    state = scene.wait_for_registry()
    _must_run(scene, state)


def _must_run(scene: Scene, state: State) -> Container:
    """The registry's container, which is as it was asked for."""
    play = scene.play
    found = state.containers.get(play.name)
    run = f"docker run --detach --name {play.name} --publish {play.port}:5000 …"
    if found is None:
        scene.fail(
            f"There is no container {play.name}.",
            expected=f"a container {play.name} of registry:2",
            actual="containers: " + (", ".join(sorted(state.containers)) or "none"),
            hint=f"{run} registry:2",
        )
    if not found.running:
        scene.fail(
            f"The container {play.name} does not run.",
            expected="running",
            actual=found.in_words,
            hint=f"docker logs {play.name} tells why.",
        )
    if not state.registry.answers:
        scene.fail(
            f"No registry answers at port {play.port}.",
            expected=f"http://localhost:{play.port}/v2/",
            actual=found.in_words,
            hint=f"{run} leads port {play.port} of your computer to the registry's port 5000.",
        )
    if play.port not in found.host_ports(5000):
        scene.fail(
            f"It is another container than {play.name} that answers at port {play.port}.",
            expected=f"port {play.port} leads to port 5000 of {play.name}",
            actual=found.in_words,
            hint="Remove the other container (docker rm --force NAME), and run this one.",
        )
    kept = [m for m in found.mounts if m.path.rstrip("/") == DATA and m.name == play.volume]
    if not kept:
        scene.fail(
            f"The registry does not keep its data in the volume {play.volume}.",
            expected=f"volume {play.volume} at {DATA}",
            actual="; ".join(m.in_words for m in found.mounts) or "no volume",
            hint=f"--volume {play.volume}:{DATA}",
        )
    return found


def tagged(scene: Scene) -> None:
    play, state = scene.play, scene.now
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


def pushed(scene: Scene) -> None:
    _must_hold(scene, scene.now, {scene.play.first: FIRST})


def next_version(scene: Scene) -> None:
    play = scene.play
    _must_hold(scene, scene.now, {play.first: FIRST, play.second: SECOND, "latest": SECOND})


def _must_hold(scene: Scene, state: State, wanted: dict[str, str]) -> None:
    """The registry has these images of the lab under these tags."""
    play = scene.play
    there = state.registry.tags(play.repository)
    for tag, image in wanted.items():
        if tag not in there:
            scene.fail(
                f"The registry has no {play.repository}:{tag}.",
                expected=f"{play.repository}:{tag} in the registry",
                actual=state.registry.in_words,
                hint=f"docker tag {image} {play.names(tag)[0]}, and then docker push"
                f" {play.names(tag)[0]}: a name is pushed, and its first part is the address.",
            )
        if there[tag].image != play.image(image):
            names = {play.image(each): each for each in (FIRST, SECOND)}
            scene.fail(
                f"{play.repository}:{tag} in the registry is not {image}.",
                expected=image,
                actual=names.get(there[tag].image, "another image"),
                hint=f"Give {image} the name {play.names(tag)[0]}, and push it again.",
            )


def removed(scene: Scene) -> None:
    play, state = scene.play, scene.now
    left = state.of(play.addresses)
    if left:
        scene.fail(
            "Your engine still has images of the registry.",
            expected=f"no image whose name begins with {play.addresses[0]}",
            actual=", ".join(left),
            hint="docker rmi takes several names. A name is removed, and the image with its last"
            " name.",
        )
    _must_hold(scene, state, {play.first: FIRST, play.second: SECOND, "latest": SECOND})


def pulled(scene: Scene) -> None:
    play, state = scene.play, scene.now
    names = play.names(play.first)
    found = [state.images[name] for name in names if name in state.images]
    if play.image(FIRST) not in found:
        scene.fail(
            f"{names[0]} is not there again.",
            expected=f"{names[0]} is {FIRST}",
            actual=", ".join(state.of(play.addresses)) or "no image of this registry",
            hint=f"docker pull {names[0]}",
        )
    # An engine notes from where it got an image, or where it brought it.
    digest = state.registry.tags(play.repository)[play.first].digest
    if not _noted(scene, state, digest):
        scene.fail(
            f"{names[0]} does not come from the registry.",
            expected="an image that was pulled",
            actual="an image that was given this name here",
            hint=f"docker pull {names[0]}",
        )


def by_digest(scene: Scene) -> None:
    play, state = scene.play, scene.now
    digest = state.registry.tags(play.repository)["latest"].digest
    usual = f"docker pull {play.addresses[0]}{play.repository}@${{DIGEST}}"
    pulls = [r for r in scene.ran if r.allowed.vetted.command.split()[-1] == "pull"]
    if not any("@" in word for ran in pulls for word in ran.allowed.vetted.words):
        scene.fail(
            "No image is pulled by its digest in this step.",
            expected=usual,
            actual=scene.ran[-1].allowed.command.text,
            hint="A tag may lead to another image tomorrow; behind an @ stands the hash of what is"
            " meant.",
        )
    if not any(ran.ok for ran in pulls) or not _noted(scene, state, digest):
        scene.fail(
            "What latest leads to has not been pulled by its digest.",
            expected=f"{play.addresses[0]}{play.repository}@{digest}",
            actual=", ".join(sorted(d for d in state.digests if d.startswith(play.addresses)))
            or "no image with a digest of this registry",
            hint=f"{usual} (the digest is that of latest)",
        )


def _noted(scene: Scene, state: State, digest: str) -> bool:
    play = scene.play
    return any(
        f"{address}{play.repository}@{digest}" in state.digests for address in play.addresses
    )


def replaced(scene: Scene) -> None:
    play = scene.play
    state = scene.wait_for_registry()
    found = _must_run(scene, state)
    old = scene.before.containers.get(play.name)
    if old is not None and old.id == found.id:
        scene.fail(
            f"It is the same container {play.name} as before.",
            expected=f"the container is removed, and another {play.name} runs",
            actual=found.in_words,
            hint=f"docker rm --force {play.name}, and docker run … as in the first step.",
        )
    _must_hold(scene, state, {play.first: FIRST, play.second: SECOND, "latest": SECOND})


JUDGES = (
    Judge("runs", "run the registry", runs),
    Judge("tagged", "tag", tagged),
    Judge("pushed", "push", pushed, ("runs", "tagged")),
    Judge("next_version", "push the next version", next_version, ("pushed",)),
    Judge("removed", "remove", removed, ("next_version",)),
    Judge("pulled", "pull by tag", pulled, ("removed",)),
    Judge("by_digest", "pull by digest", by_digest, ("removed",)),
    Judge("replaced", "replace the registry", replaced, ("next_version",)),
)
