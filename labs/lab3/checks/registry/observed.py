"""What the checks ask the registry and the engine after a step of the runbook."""

from __future__ import annotations

from grader.modules.container import Container

from .scenario import Scene, State

FIRST, SECOND = "drydock/demo:1.0", "drydock/demo:2.0"
"""The images that are put into the registry."""

DATA = "/var/lib/registry"
"""Where registry:2 keeps what is pushed."""


def must_run(scene: Scene, state: State) -> Container:
    """The registry's container, which is as it was asked for."""
    play = scene.scenario
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
            hint=f"docker logs {play.name} shows why.",
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
            f"Another container than {play.name} answers at port {play.port}.",
            expected=f"port {play.port} leads to port 5000 of {play.name}",
            actual=found.in_words,
            hint="Remove the other container (docker rm --force NAME), and run this one.",
        )
    kept = [m for m in found.mounts if m.path.rstrip("/") == DATA and m.name == play.volume]
    if not kept:
        scene.fail(
            f"The registry does not keep its data in the volume {play.volume}.",
            expected=f"volume {play.volume} at {DATA}",
            actual=found.mounts_in_words,
            hint=f"--volume {play.volume}:{DATA}",
        )
    return found


def must_hold(scene: Scene, state: State, wanted: dict[str, str]) -> None:
    """The registry has these images of the lab under these tags."""
    play = scene.scenario
    there = state.registry.tags(play.repository)
    for tag, image in wanted.items():
        if tag not in there:
            scene.fail(
                f"The registry has no {play.repository}:{tag}.",
                expected=f"{play.repository}:{tag} in the registry",
                actual=state.registry.in_words,
                hint=f"docker tag {image} {play.names(tag)[0]}, and then docker push"
                f" {play.names(tag)[0]}: docker push takes a name, and the first part of the name "
                f"is the address.",
            )
        if there[tag].image != play.image(image):
            names = {play.image(each): each for each in (FIRST, SECOND)}
            scene.fail(
                f"{play.repository}:{tag} in the registry is not {image}.",
                expected=image,
                actual=names.get(there[tag].image, "another image"),
                hint=f"Give {image} the name {play.names(tag)[0]}, and push it again.",
            )


def noted(scene: Scene, state: State, digest: str) -> bool:
    play = scene.scenario
    return any(
        f"{address}{play.repository}@{digest}" in state.digests for address in play.addresses
    )
