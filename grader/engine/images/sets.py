"""Where image sets are: one volume per version, and a marker that says it is complete.

The volume `drydock-images-VERSION` is the /var/lib/docker of an engine that has the images;
nodes are seeded from it. An empty second volume beside it, made last, is the marker: its
labels list the images, so that one request of a millisecond tells all about a set.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grader.engine import node_image, reaper
from grader.errors import EngineFault, KitError

if TYPE_CHECKING:
    import docker

    from grader.engine.find import Engine

PREFIX = "drydock-images-"
MARKER = "-complete"
ROLE = "drydock.role"
SET = "image-set"
SET_MARKER = "image-set-marker"


@dataclass(frozen=True)
class ImageSet:
    """A complete set. `images`: {name in the catalogue: {"id", "origin", "recipe"}}.

    `origin` is "built" or "pulled REFERENCE@DIGEST"; `recipe` the hash of what it was made
    from; `site` the hash of the machine's configuration in the images.
    """

    volume: str
    version: str
    images: Mapping[str, Mapping[str, str]]
    site: str = ""


def volume_name(version: str) -> str:
    return f"{PREFIX}{version}"


def complete(client: docker.DockerClient, version: str) -> ImageSet | None:
    """The complete set of this version, or None; one request."""
    for found in complete_sets(client, volume_name(version)):
        if found.version == version:
            return found
    return None


def complete_sets(client: docker.DockerClient, name: str | None = None) -> list[ImageSet]:
    """All complete sets of the engine (whose volumes' names have `name` in them), newest first."""
    volumes: list[dict[str, Any]] = (
        client.api.volumes(filters={"name": name or PREFIX})["Volumes"] or []
    )
    names = {volume["Name"] for volume in volumes}
    found: list[tuple[str, ImageSet]] = []
    for volume in volumes:
        labels = volume.get("Labels") or {}
        data = volume["Name"].removesuffix(MARKER)
        if labels.get(ROLE) != SET_MARKER or data not in names:
            continue
        try:
            note = json.loads(labels["drydock.images"])
            version = labels["drydock.version"]
        except (KeyError, ValueError):
            continue
        image_set = ImageSet(data, version, note, labels.get("drydock.site", ""))
        found.append((str(volume.get("CreatedAt", "")), image_set))
    return [image_set for _, image_set in sorted(found, key=lambda pair: pair[0], reverse=True)]


def make_volume(client: docker.DockerClient, version: str) -> str:
    """The set's volume, without a marker; what is in it already stays."""
    name = volume_name(version)
    remove_marker(client, version)
    client.api.create_volume(name, labels={ROLE: SET, "drydock.version": version})
    return name


def mark_complete(client: docker.DockerClient, image_set: ImageSet) -> None:
    """The last step: from now on nodes are seeded from the set."""
    client.api.create_volume(
        image_set.volume + MARKER,
        labels={
            ROLE: SET_MARKER,
            "drydock.version": image_set.version,
            "drydock.site": image_set.site,
            "drydock.images": json.dumps(
                {name: dict(image) for name, image in image_set.images.items()}
            ),
        },
    )


def remove_marker(client: docker.DockerClient, version: str) -> None:
    from docker.errors import NotFound

    with contextlib.suppress(NotFound):
        client.api.remove_volume(volume_name(version) + MARKER)


def remove(client: docker.DockerClient, version: str) -> bool:
    """Remove a set; False if nodes still use it."""
    from docker.errors import APIError, NotFound

    name = volume_name(version)
    try:
        client.api.remove_volume(name)
    except NotFound:
        pass
    except APIError as error:
        if error.status_code == 409:
            return False
        raise
    # A marker alone counts for nothing, so a crash between the two does no harm.
    remove_marker(client, version)
    return True


def remove_others(client: docker.DockerClient, version: str) -> None:
    """Remove sets of other versions that no container uses."""
    volumes = client.api.volumes(filters={"name": PREFIX})["Volumes"] or []
    for volume in volumes:
        labels = volume.get("Labels") or {}
        other = labels.get("drydock.version", version)
        if labels.get(ROLE) in (SET, SET_MARKER) and other != version:
            remove(client, other)


def newest_other(client: docker.DockerClient, version: str) -> str | None:
    """The volume of another version to begin from: a complete one if there is, the newest."""
    done = [one.volume for one in complete_sets(client) if one.version != version]
    begun = [
        volume
        for volume in client.api.volumes(filters={"name": PREFIX})["Volumes"] or []
        if (volume.get("Labels") or {}).get(ROLE) == SET and volume["Name"] != volume_name(version)
    ]
    begun.sort(key=lambda volume: str(volume.get("CreatedAt", "")), reverse=True)
    return next(iter([*done, *(volume["Name"] for volume in begun)]), None)


def refuse_change_in_use(client: docker.DockerClient, version: str) -> None:
    """KitError if containers use the set of this version."""
    users = client.api.containers(all=True, filters={"volume": volume_name(version)})
    if users:
        raise KitError(
            "The image set is in use by sandboxes, and cannot be changed under them.",
            where=", ".join(str(user["Names"][0]).lstrip("/") for user in users),
            remedy="Wait until grading has ended, or remove a swarm's nodes "
            "(nox -s swarm -- down); then try again.",
        )


def prepare(engine: Engine, client: docker.DockerClient, version: str, source: str | None) -> None:
    """Fill the volume from the volume `source`, once; a copy that was cut short is redone."""
    run = reaper.Run.begin(engine, purpose="copy of an image set")
    try:
        binds: dict[str, Mapping[str, str]] = {volume_name(version): {"bind": "/to", "mode": "rw"}}
        if source is not None:
            binds[source] = {"bind": "/from", "mode": "ro"}
        done = f"/to/.prepared-{version}"
        script = (
            f"set -eu; [ ! -e {done} ] || exit 0; find /to -mindepth 1 -delete; "
            f"[ ! -d /from ] || cp -a /from/. /to/; rm -f /to/.prepared-*; touch {done}"
        )
        made = client.api.create_container(
            node_image.tag(),
            entrypoint=["/bin/sh", "-c", script],
            labels=run.labels("image-set-copy"),
            host_config=client.api.create_host_config(
                binds=binds,
                network_mode="none",
                # Layers carry attributes that only an administrator of the engine may set.
                cap_add=["SYS_ADMIN"],
                security_opt=["seccomp=unconfined"],
            ),
        )
        client.api.start(made["Id"])
        code = client.api.wait(made["Id"], timeout=1200)["StatusCode"]
        if code != 0:
            said = bytes(client.api.logs(made["Id"])).decode("utf-8", errors="replace")
            raise EngineFault(
                f"The volume of the image set could not be filled (exit code {code}): "
                f"{said.strip()[-500:]}",
                remedy="Is there room on the disk? `python -m grader doctor` says.",
            )
    finally:
        run.end()
